"""Files as lines: the first one, and all of them in stretches."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from genrec_cli.core.errors import DataError
from genrec_cli.core.progress import SILENT, Progress
from genrec_cli.data.text import Stretch, cut, faults, open_bytes

_PEEK: Final = 1 << 16  # bytes; a review is about 1 KiB
_SHOWN: Final = 400  # bytes of an offending line, of which fewer are shown


def first_line(path: Path) -> tuple[int, bytes]:
    """Number and bytes of the first line that is not blank, without its end.

    Raises:
        DataError: there is none, or the file cannot be read.
    """
    with SILENT.task("", None, "B") as task, open_bytes(path, task) as stream:
        for stretch in cut(stream, path, quoted=False, size=_PEEK):
            for number, line in enumerate(stretch.data.split(b"\n"), stretch.first_line):
                if line.strip():
                    return number, line.rstrip(b"\r")
    raise DataError(f"{path}: the file is empty", "download it again")


def stretches(path: Path, progress: Progress, *, quoted: bool = False) -> Iterator[Stretch]:
    """All lines of a file, in order, some MiB at a time.

    Args:
        path: the file, plain or compressed.
        progress: is told of the bytes read.
        quoted: whether lines may end inside of quotes without being over, as in CSV.

    Raises:
        DataError: the file is damaged, or has a line that is too long.
    """
    title, size = f"Reading {path.name}", path.stat().st_size
    with progress.task(title, size, "B") as task, open_bytes(path, task) as stream:
        yield from cut(stream, path, quoted=quoted)


def shown(line: bytes) -> str:
    """An offending line, quoted and shortened."""
    return faults.shown(line[:_SHOWN].decode(errors="replace").rstrip("\r\n"))
