"""Fetch MovieLens archives: resumed where they broke off, and never taken for whole unchecked."""

import logging
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import pooch
import requests
from requests import exceptions as failures

from genrec_cli.core.errors import DataError, UsageError
from genrec_cli.core.progress import SILENT, Progress
from genrec_cli.data.movielens.variants import BASE_URL, VARIANTS, Variant

_TIMEOUT: Final = 30.0  # seconds without a byte
_ATTEMPTS: Final = 3  # connections for one file, as long as each breaks off in the middle
_BLOCK: Final = 1 << 14  # bytes; less than a block is lost where a connection breaks off

_PARTIAL, _RANGE_REFUSED = 206, 416  # HTTP status codes

# First match wins, so a class stands before the classes that it derives from.
_REASONS: Final = (
    (failures.SSLError, "its certificate is not accepted, perhaps it has expired"),
    (failures.ProxyError, "the proxy refuses the connection"),
    (failures.Timeout, f"no answer within {_TIMEOUT:.0f} s"),
    (failures.ConnectionError, "no connection: offline, or the host is down or unknown"),
)


class _BrokeOff(failures.ChunkedEncodingError):
    """The server closed the connection before the announced length."""


def fetch_movielens(
    variant: str, cache: Path, progress: Progress = SILENT, base_url: str = BASE_URL
) -> Path:
    """Download a MovieLens archive into `cache`, or find it there.

    Args:
        variant: a name in `VARIANTS`.
        cache: folder for archives; made where it is missing.
        progress: is told of the bytes that arrive.
        base_url: folder of the archives, with a slash at its end; for mirrors.

    Raises:
        UsageError: an unknown variant.
        DataError: no connection, an HTTP error, a wrong checksum, or a full disk.
    """
    if variant not in VARIANTS:
        raise UsageError(f"no MovieLens variant {variant!r}: choose from {', '.join(VARIANTS)}")
    return fetch(VARIANTS[variant], cache, progress, base_url)


def fetch(archive: Variant, cache: Path, progress: Progress, base_url: str) -> Path:
    """`fetch_movielens` for an archive that need not be in the table."""
    url = base_url + archive.file
    elsewhere = _elsewhere(archive)
    target = cache / archive.file
    known_hash = f"md5:{archive.md5}" if archive.md5 else None
    try:
        with _quiet_pooch():
            pooch.retrieve(
                url,
                known_hash=known_hash,
                fname=archive.file,
                path=cache,
                downloader=_Downloader(cache / f"{archive.file}.part", archive, progress),
            )
    except failures.ChunkedEncodingError as error:
        fix = f"run the command again, it goes on where it stopped; or {elsewhere}"
        raise DataError(f"{url}: cannot be downloaded: {error}", fix) from error
    except failures.RequestException as error:
        raise DataError(f"{url}: cannot be downloaded: {_reason(error)}", elsewhere) from error
    except OSError as error:
        raise DataError(f"{target}: cannot be written: {error.strerror or error}") from error
    # Without a checksum pooch takes whatever lies in the cache.
    if archive.md5 is None and not zipfile.is_zipfile(target):
        raise DataError(f"{target}: not a zip, or cut short", f"delete {target} and run again")
    return target


def _elsewhere(archive: Variant) -> str:
    return f"download it elsewhere and pass --source /path/to/{archive.file}"


def _reason(error: failures.RequestException) -> str:
    if error.response is not None:
        return f"HTTP {error.response.status_code} {error.response.reason}"
    return next((text for kind, text in _REASONS if isinstance(error, kind)), str(error))


@contextmanager
def _quiet_pooch() -> Iterator[None]:
    """Keep pooch's log off the terminal, which the display layer owns."""
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@dataclass(frozen=True)
class _Downloader:
    """What pooch calls to get a file; keeps what has arrived in `part` for the next time."""

    part: Path
    archive: Variant
    progress: Progress

    def __call__(self, url: str, output_file: str, _pooch: Any) -> None:
        # An archive that is remade from time to time must not be pieced together from two makes.
        if self.archive.md5 is None:
            self.part.unlink(missing_ok=True)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._connect(url)
                break
            except failures.ChunkedEncodingError:
                if attempt == _ATTEMPTS:
                    raise
        # Either way the part is gone if it is no good: the next call begins anew.
        self.part.replace(output_file)
        _check(Path(output_file), self.archive, url)

    def _connect(self, url: str) -> None:
        """Fetch what is missing from `part`, over one connection."""
        have = self.part.stat().st_size if self.part.exists() else 0
        # "identity": lengths and ranges count the file's own bytes.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            if _misfits(response, have):
                self.part.unlink()
                raise _BrokeOff("the part kept from before does not fit the file")
            response.raise_for_status()
            # A server that knows no ranges sends the whole file, from its start.
            start = have if response.status_code == _PARTIAL else 0
            length = response.headers.get("Content-Length")
            total = start + int(length) if length and length.isdigit() else None
            with self.part.open("ab" if start else "wb") as file:
                self._copy(response, file, start, total)
        if total is not None and self.part.stat().st_size < total:
            raise _BrokeOff(f"the connection broke off before {total:,} bytes had arrived")

    def _copy(
        self, response: requests.Response, file: IO[bytes], start: int, total: int | None
    ) -> None:
        with self.progress.task(f"Downloading {self.archive.file}", total, "B") as task:
            task.advance(start)
            try:
                for block in response.iter_content(_BLOCK):
                    file.write(block)
                    task.advance(len(block))
            except failures.RequestException as error:  # in the middle
                raise _BrokeOff("the connection broke off") from error


def _misfits(response: requests.Response, have: int) -> bool:
    """Whether the server goes on elsewhere than where `part` ends, or refuses to."""
    if response.status_code != _PARTIAL:
        return response.status_code == _RANGE_REFUSED
    return not response.headers.get("Content-Range", "").startswith(f"bytes {have}-")


def _check(path: Path, archive: Variant, url: str) -> None:
    """Hold a fresh archive against its checksum or, for want of one, read it through."""
    fix = f"run the command again; if it stays wrong, {_elsewhere(archive)}"
    if archive.md5 is not None:
        got = pooch.file_hash(str(path), alg="md5")
        if got != archive.md5:
            message = f"{url}: wrong checksum: expected md5 {archive.md5}, got {got}"
            raise DataError(message, fix)
    elif not _is_whole_zip(path):
        size = path.stat().st_size
        raise DataError(f"{url}: what arrived is not a whole zip ({size:,} bytes)", fix)


def _is_whole_zip(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError):
        return False
