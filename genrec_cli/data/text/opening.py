"""Open a data file, however it is compressed, as a stream of plain bytes."""

import lzma
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Final

import pyarrow as pa

from genrec_cli.core.errors import DataError
from genrec_cli.core.progress import Task
from genrec_cli.data.text.streams import DAMAGE, Unpacked

# How files begin. Suffixes are not asked: browsers and people rename files.
_MAGIC: Final = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",  # an empty one
}
_LONGEST_MAGIC: Final = 6

# What Windows programs write as "Unicode"; UTF-32 first, whose mark begins like that of UTF-16.
_WIDE: Final = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


def packing(head: bytes) -> str:
    """How a file that begins with `head` is packed; "" for not at all.

    >>> packing(b"BZh91AY")
    'bzip2'
    """
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "")


@contextmanager
def open_bytes(path: Path, task: Task) -> Iterator[Unpacked]:
    """Open a file that is plain, or packed by gzip, zstd, bzip2 or xz, or alone in a zip.

    Args:
        path: the file; what it is is told by its first bytes, not by its name.
        task: is told of the bytes read from the file on disk, its whole size at the end.

    Yields:
        A stream whose `read(size)` gives unpacked bytes.

    Raises:
        DataError: no such file, damage (also later, from `read`), a decompression bomb, text in
            UTF-16 or UTF-32, packed twice, or a zip with more than one file or none.
    """
    with ExitStack() as stack:
        raw = _raw(path, stack)
        packed = packing(raw.read(_LONGEST_MAGIC))
        raw.seek(0)
        stream = _OPENERS[packed](path, raw, stack)
        stream.report_to(task, path.stat().st_size)
        _refuse_odd_text(stream)
        yield stream


def _raw(path: Path, stack: ExitStack) -> IO[bytes]:
    try:
        return stack.enter_context(path.open("rb", buffering=0))
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


def _plain(path: Path, raw: IO[bytes], stack: ExitStack) -> Unpacked:
    return Unpacked(raw, raw.tell, path, "")


def _by_arrow(packed: str, codec: str) -> "_Opener":
    """Arrow unpacks without the GIL, and checks more than Python's modules do."""

    def opener(path: Path, raw: IO[bytes], stack: ExitStack) -> Unpacked:
        file = stack.enter_context(pa.OSFile(str(path)))
        stream = stack.enter_context(pa.CompressedInputStream(file, codec))
        return Unpacked(stream, file.tell, path, packed)

    return opener


def _xz(path: Path, raw: IO[bytes], stack: ExitStack) -> Unpacked:
    return Unpacked(stack.enter_context(lzma.open(raw)), raw.tell, path, "xz")


def _zip(path: Path, raw: IO[bytes], stack: ExitStack) -> Unpacked:
    try:
        archive = stack.enter_context(zipfile.ZipFile(raw))
        plain = [name for name in archive.namelist() if _is_plain(name)]
        if len(plain) != 1:
            raise _not_one(path, plain)
        member = stack.enter_context(archive.open(plain[0]))
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or an unknown method
        raise DataError(
            f"{path}: cannot be unpacked: {error}", "unpack it and pass the plain file"
        ) from error
    except DAMAGE as error:
        raise DataError(
            f"{path}: the zip is damaged or cut short: {error}", "download or copy the file again"
        ) from error
    return Unpacked(member, raw.tell, path, "zip")


def _is_plain(name: str) -> bool:
    """Whether a member is a file under the archive's root, and no leftover of macOS."""
    parts = PurePosixPath(name).parts
    odd = {"..", "/", "__MACOSX"} & set(parts)
    return not (odd or name.endswith("/") or "\\" in name or parts[-1].startswith("."))


def _not_one(path: Path, names: list[str]) -> DataError:
    if not names:
        return DataError(f"{path}: no file in the zip", "pass the file itself")
    listed = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    return DataError(
        f"{path}: {len(names)} files in the zip where one is due: {listed}",
        "unpack it and pass the folder or one of the files",
    )


def _refuse_odd_text(stream: Unpacked) -> None:
    head = stream.peek(_LONGEST_MAGIC)
    wide = next((name for mark, name in _WIDE.items() if head.startswith(mark)), None)
    if wide:
        raise DataError(f"{stream.path}: {wide} text where UTF-8 is due", "save the file as UTF-8")
    if stream.packed and packing(head):
        raise DataError(
            f"{stream.path}: packed twice: {packing(head)} inside {stream.packed}",
            "unpack it once and pass what comes out",
        )


_Opener = Callable[[Path, IO[bytes], ExitStack], Unpacked]

_OPENERS: Final[dict[str, _Opener]] = {
    "": _plain,
    "gzip": _by_arrow("gzip", "gzip"),
    "zstd": _by_arrow("zstd", "zstd"),
    "bzip2": _by_arrow("bzip2", "bz2"),
    "xz": _xz,
    "zip": _zip,
}
