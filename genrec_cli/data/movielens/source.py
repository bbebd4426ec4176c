"""A zip or a folder as a place to read files from; nothing is ever unpacked or written."""

import os
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from genrec_cli.core.errors import DataError
from genrec_cli.data.movielens.variants import BY_FILE
from genrec_cli.data.text import streams

# What `zipfile` raises on damage: no directory or a bad checksum, a broken stream, a short file.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError)

# Where offsets are wrong, `zipfile` may seek to before the start: OSError or ValueError.
_ASTRAY = "its table of contents points outside the file"

# What it raises on opening a member that is encrypted, or packed by a method it does not know.
_LOCKED = (RuntimeError, NotImplementedError)


@dataclass(frozen=True)
class Source:
    """What lies in a zip or a folder.

    Attributes:
        path: the zip or the folder.
        is_zip: whether `path` is a zip.
        folders: folder inside ("" or ending with "/") -> file name -> bytes.
        wanted: the file name that the user pointed at; None when she named the whole.
        zips: names of archives directly in the folder, to hint at.
    """

    path: Path
    is_zip: bool
    folders: Mapping[str, Mapping[str, int]]
    wanted: str | None = None
    zips: tuple[str, ...] = ()


def look_into(path: Path, names: Collection[str]) -> Source:
    """List the files called one of `names` in a zip, a folder, or the folder of such a file.

    Raises:
        DataError: a missing or unreadable path, or a file that is no whole zip.
    """
    try:
        if not path.exists():
            raise DataError(
                f"{path}: no such file or folder",
                "pass a MovieLens zip or a folder as --source, or leave --source out to download",
            )
        if path.is_dir():
            return _folder(path, names, None)
        if path.name in names:
            return _folder(path.parent, names, path.name)
        return _zip(path, names)
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> DataError:
    """The error to raise where the system refuses to read `path`."""
    return DataError(f"{path}: cannot be read: {error.strerror or error}")


def _folder(path: Path, names: Collection[str], wanted: str | None) -> Source:
    entries = sorted(path.iterdir())
    below = [entry for entry in entries if wanted is None and _is_open_folder(entry)]
    listed = {"": entries} | {f"{folder.name}/": [*folder.iterdir()] for folder in below}
    folders = {
        folder: {file.name: file.stat().st_size for file in files if file.name in names}
        for folder, files in listed.items()
    }
    zips = tuple(entry.name for entry in entries if entry.suffix == ".zip")
    return Source(path, is_zip=False, folders=folders, wanted=wanted, zips=zips)


def _is_open_folder(path: Path) -> bool:
    """Whether to look inside; somebody else's private folder beside the data is no error."""
    return path.is_dir() and os.access(path, os.R_OK | os.X_OK)


def _zip(path: Path, names: Collection[str]) -> Source:
    folders: dict[str, dict[str, int]] = {}
    with _whole_zip(path) as archive:
        for info in archive.infolist():
            member = PurePosixPath(info.filename)
            if member.name in names and _is_plain(info):
                folder = info.filename.removesuffix(member.name)
                folders.setdefault(folder, {})[member.name] = info.file_size
    return Source(path, is_zip=True, folders=folders)


def _is_plain(info: zipfile.ZipInfo) -> bool:
    """Whether a member is a file under the archive's own root, and no leftover of macOS."""
    parts = PurePosixPath(info.filename).parts
    odd = {"..", "/", "__MACOSX"} & set(parts)
    return not (odd or info.is_dir() or "\\" in info.filename or ":" in parts[0])


@contextmanager
def _whole_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip, or read from it; whatever is wrong with it becomes a `DataError`."""
    try:
        with _opened(path) as archive:
            yield archive
    except _DAMAGE as error:
        raise broken_zip(path, str(error)) from error


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (OSError, ValueError) as error:
        raise broken_zip(path, _ASTRAY) from error


def broken_zip(path: Path, reason: str) -> DataError:
    """The error for a file that should be a zip and is not, or not a whole one."""
    size = path.stat().st_size
    if reason == "File is not a zip file":
        reason = "its table of contents, at the end, is missing"
    with path.open("rb") as file:
        looks_like_zip = file.read(2) == b"PK"
    known = BY_FILE.get(path.name)
    due = f"; the published one has {known.size:,}" if known and known.size else ""
    if looks_like_zip:
        fault = f"the zip is damaged or cut short: {reason} ({size:,} bytes{due})"
    else:
        fault = f"neither a zip nor a MovieLens file ({size:,} bytes{due})"
    url = known.url if known else "https://grouplens.org/datasets/movielens/"
    return DataError(f"{path}: {fault}", f"download it again from {url}")


@contextmanager
def open_file(source: Source, name: str) -> Iterator[IO[bytes]]:
    """Open a file of the source (folder inside and file name) as a stream of bytes.

    Raises:
        DataError: the file cannot be read, or its archive is damaged.
    """
    try:
        if source.is_zip:
            with _whole_zip(source.path) as archive, _member(source, archive, name) as member:
                yield member
        else:
            with (source.path / name).open("rb") as file:
                yield file
    except OSError as error:
        raise unreadable(source.path / name, error) from error


def _member(source: Source, archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    try:
        info = archive.getinfo(name)
        packed = min(info.compress_size, source.path.stat().st_size)
        # `zipfile` gives no more bytes than are declared, so the declared ones are all.
        if info.file_size > max(streams.BOMB_BYTES, streams.BOMB_RATIO * packed):
            raise streams.bomb(source.path / name, info.file_size, packed)
        return archive.open(name)
    except (OSError, ValueError) as error:
        raise broken_zip(source.path, _ASTRAY) from error
    except _LOCKED as error:
        raise DataError(
            f"{source.path / name}: encrypted, or packed in a way that cannot be read ({error})",
            "unpack the archive and pass the folder as --source",
        ) from error
