"""Cut a stream of text into stretches of whole lines."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from genrec_cli.core.errors import DataError
from genrec_cli.data.text.quotes import QUOTE, last_line_end
from genrec_cli.data.text.streams import Bytes

BLOCK_BYTES: Final = 16 << 20
LONGEST_LINE: Final = 64 << 20

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Stretch:
    """Whole lines of a file; it can be pickled.

    Attributes:
        data: the bytes, each line with its end; only the last line of a file may lack it.
        path: what to call the file.
        first_line: number of the first line, from 1.
    """

    data: bytes
    path: Path
    first_line: int

    def after(self, size: int) -> "Stretch":
        """The same without its first `size` bytes, which are whole lines."""
        lines = self.data.count(b"\n", 0, size)
        return replace(self, data=self.data[size:], first_line=self.first_line + lines)

    def first_and_rest(self) -> tuple[bytes, "Stretch"]:
        r"""The first line that is not blank, without its end, and what is below it.

        >>> Stretch(b"\r\na,b\r\n1,2\n", Path("x"), 1).first_and_rest()
        (b'a,b', Stretch(data=b'1,2\n', path=PosixPath('x'), first_line=3))
        """
        below = self.after(len(self.data) - len(self.data.lstrip(b"\r\n")))
        end = below.data.find(b"\n") + 1 or len(below.data)
        return below.data[:end].rstrip(b"\r\n"), below.after(end)


def cut(
    stream: Bytes,
    path: Path,
    *,
    quoted: bool,
    size: int = BLOCK_BYTES,
    delimiter: str = ",",
) -> Iterator[Stretch]:
    """Cut a stream at line ends; a UTF-8 byte order mark at its start is dropped.

    Args:
        stream: the text, from its start.
        path: what to call it.
        quoted: whether line ends inside of `"…"` belong to a field, as in CSV.
        size: bytes to read at a time; stretches are about as long.
        delimiter: between the fields, where `quoted`; a quote opens a field only behind it.

    Yields:
        Stretches in order, none of them empty; joined, they are the stream.

    Raises:
        DataError: a quote that is never closed, or a line longer than `LONGEST_LINE`.
    """
    rest, line = b"", 1
    for place, piece in enumerate(_pieces(stream, size)):
        chunk = piece.removeprefix(_BYTE_ORDER_MARK) if place == 0 else piece
        if quoted and (QUOTE in chunk or QUOTE in rest):
            chunk, rest = rest + chunk, b""
            end = last_line_end(chunk, delimiter.encode())
        else:
            end = chunk.rfind(b"\n") + 1
        if end:
            data = b"".join((rest, memoryview(chunk)[:end]))
            yield Stretch(data, path, line)
            # As fast as `count`, but without the GIL.
            line += int(np.count_nonzero(np.frombuffer(data, np.uint8) == ord("\n")))
            rest = chunk[end:]
        else:
            rest += chunk
        if len(rest) > LONGEST_LINE:
            raise _too_long(path, line, quoted and QUOTE in rest)
    if rest:
        # An open quote hides line ends, so one more of them would not end the line.
        if quoted and QUOTE in rest and not last_line_end(rest + b"\n", delimiter.encode()):
            raise unclosed(path, line)
        yield Stretch(rest, path, line)


def _pieces(stream: Bytes, size: int) -> Iterator[bytes]:
    """Pieces of `size` bytes and a shorter one, however few the stream gives at a time."""
    # The first piece has room for the whole byte order mark.
    wanted = max(size, len(_BYTE_ORDER_MARK))
    parts, length = [], 0
    while data := stream.read(wanted - length):
        parts.append(data)
        length += len(data)
        if length == wanted:
            yield b"".join(parts)
            parts, length, wanted = [], 0, size
    if parts:
        yield b"".join(parts)


def unclosed(path: Path, line: int) -> DataError:
    """The error for a quote that opens in the record at `line` and is not closed."""
    return DataError(
        f"{path}:{line}: a quote is opened here and never closed",
        'close it, or write "" for a quote inside a quoted field',
    )


def _too_long(path: Path, line: int, quote: bool) -> DataError:
    what = "a quoted field" if quote else "a line"
    fix = "close the quote" if quote else "break it into lines, or pass the right file"
    return DataError(
        f"{path}:{line}: {what} that begins here is longer than {LONGEST_LINE >> 20} MiB", fix
    )
