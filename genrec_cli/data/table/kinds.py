"""The three kinds of files behind one door: look, cut into parts, find the form of the times."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa

from genrec_cli.core.errors import DataError
from genrec_cli.core.progress import SILENT, Task
from genrec_cli.data.table import delimited, jsonfile, parquetfile
from genrec_cli.data.table.columns import no_doubles
from genrec_cli.data.table.datafile import NAMES, DataFile, Kind, Part
from genrec_cli.data.text import TimeForm, decide, open_bytes

_HEAD: Final = 1 << 20  # bytes that are looked at for a header line

_Parts = Callable[[DataFile, Mapping[str, str], TimeForm, Task], Iterator[Part]]
_PARTS: Final[dict[Kind, _Parts]] = {
    "delimited": delimited.parts,
    "json": jsonfile.parts,
    "parquet": parquetfile.parts,
}

_FirstTimes = Callable[[DataFile, str, Task], pa.ChunkedArray]
_FIRST_TIMES: Final[dict[Kind, _FirstTimes]] = {
    "delimited": delimited.first_times,
    "json": jsonfile.first_times,
    "parquet": parquetfile.first_times,
}


def look(path: Path) -> DataFile:
    """Tell by a file's first bytes what it is, and what columns it has.

    Raises:
        DataError: an empty, damaged or unreadable file, or columns of the same name.
    """
    with SILENT.task("", None, "B") as task, open_bytes(path, task) as stream:
        head = stream.peek(_HEAD)
        packed = stream.packed
    if not head.strip():
        raise DataError(f"{path}: the file is empty", "pass a file with data")
    file = _look(path, head, packed)
    no_doubles(file.header, path)
    return file


def _look(path: Path, head: bytes, packed: str) -> DataFile:
    is_parquet = head.startswith(parquetfile.MAGIC)
    if is_parquet and packed:
        raise DataError(f"{path}: Parquet inside {packed}", "unpack it")
    if is_parquet or path.suffix.lower() in (".parquet", ".pq"):
        return parquetfile.look(path)
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"["):
        return jsonfile.look(path)
    return delimited.look(path, head)


def same_kind(files: Sequence[DataFile]) -> None:
    """Refuse files of different kinds.

    Raises:
        DataError: two of them, with their kinds.
    """
    first = files[0]
    other = next((file for file in files if file.kind != first.kind), None)
    if other is not None:
        raise DataError(
            f"{other.path} is {NAMES[other.kind]}, but {first.path.name} is {NAMES[first.kind]}",
            "pass files of one kind",
        )


def parts(file: DataFile, roles: Mapping[str, str], time: TimeForm, task: Task) -> Iterator[Part]:
    """Cut a file into parts.

    Args:
        file: as `look` gives it.
        roles: role -> column.
        time: how times are written.
        task: is told of the bytes read from the file on disk.

    Raises:
        DataError: a damaged file, or columns of types that their roles cannot have.
    """
    if file.kind == "parquet":
        parquetfile.check_types(file, roles, time)
    yield from _PARTS[file.kind](file, roles, time, task)


def form_of_times(files: Sequence[DataFile], column: str) -> TimeForm:
    """Decide by the first part that has rows how the times of a log are written.

    Raises:
        DataError: a damaged file.
    """
    with SILENT.task("", None, "B") as task:
        for file in files:
            times = _FIRST_TIMES[file.kind](file, column, task)
            if len(times):
                return decide(times)
    return TimeForm("order")
