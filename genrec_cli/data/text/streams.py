"""A stream of unpacked bytes that counts, notices damage, and stops at a decompression bomb."""

import lzma
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from genrec_cli.core.errors import DataError
from genrec_cli.core.progress import Task

# A log that really shrinks 200-fold is rare, and one that then fills a GiB rarer still.
BOMB_BYTES: Final = 1 << 30
BOMB_RATIO: Final = 200

# What gzip, zstd, bzip2 (Arrow), xz and zip raise on damage; Arrow's own is an OSError.
DAMAGE: Final = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)

# A damaged stream gives nothing of the read that fails, so reads are short: the count is closer.
_MOST_AT_ONCE: Final = 1 << 20


class Bytes(Protocol):
    """All that is asked of a stream: `read`, which may return fewer bytes, and b"" at the end."""

    def read(self, size: int, /) -> bytes:
        """Give at most `size` bytes."""


class Unpacked:
    """The bytes of a file, unpacked on the way.

    Args:
        stream: gives the unpacked bytes.
        position: how far the file on disk has been read, in bytes.
        path: what to call the file.
        packed: how it is packed ("gzip"); "" for a plain file.
    """

    def __init__(self, stream: Bytes, position: Callable[[], int], path: Path, packed: str) -> None:
        self.path = path
        self.packed = packed
        self._stream = stream
        self._position = position
        self._unpacked = 0
        self._kept = b""
        self._task: Task | None = None
        self._told = 0

    def report_to(self, task: Task, size: int) -> None:
        """Tell `task` of the bytes read on disk, of `size` in all."""
        self._task, self._size = task, size

    def peek(self, size: int) -> bytes:
        """The next `size` bytes (fewer at the end), which stay to be read."""
        while len(self._kept) < size:
            data = self._read(size)
            if not data:
                break
            self._kept += data
        return self._kept[:size]

    def read(self, size: int = -1, /) -> bytes:
        """Give at most `size` bytes, b"" at the end; all that is left where `size` is negative.

        Raises:
            DataError: the file is damaged, cut short, unreadable, or a decompression bomb.
        """
        if size < 0:
            return b"".join(iter(lambda: self.read(_MOST_AT_ONCE), b""))
        if self._kept:
            data, self._kept = self._kept[:size], self._kept[size:]
            return data
        return self._read(size)

    def _read(self, size: int) -> bytes:
        try:
            data = self._stream.read(min(size, _MOST_AT_ONCE) if self.packed else size)
        except DAMAGE as error:
            raise self._damaged(error) from error
        self._unpacked += len(data)
        self._watch(at_end=not data)
        return data

    def _watch(self, at_end: bool) -> None:
        position = self._position()
        if self.packed and self._unpacked > max(BOMB_BYTES, BOMB_RATIO * position):
            raise bomb(self.path, self._unpacked, position)
        if self._task is not None:
            # The end of a zip is its table of contents, which nobody reads through this stream.
            reached = self._size if at_end else min(position, self._size)
            self._task.advance(reached - self._told)
            self._told = reached

    def _damaged(self, error: Exception) -> DataError:
        reason = getattr(error, "strerror", None) or str(error)
        if not self.packed:
            return DataError(f"{self.path}: cannot be read: {reason}")
        return DataError(
            f"{self.path}: the {self.packed} data is damaged or cut short: {reason} "
            f"({self._unpacked:,} bytes came out before)",
            "download or copy the file again",
        )


def bomb(path: Path, unpacked: int, packed: int) -> DataError:
    """The error for a file that unpacks to far more than any log does."""
    return DataError(
        f"{path}: {packed:,} bytes unpack to {unpacked:,} or more, over {BOMB_RATIO} times as many",
        "if that is meant, unpack it yourself and pass the plain file",
    )
