"""Parquet, a row group at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet as pq

from genrec_cli.core.errors import DataError
from genrec_cli.core.progress import Task
from genrec_cli.data.table.datafile import DataFile
from genrec_cli.data.text import TimeForm, Unfit
from genrec_cli.data.text.faults import FIXES, first_fault, shown
from genrec_cli.data.text.rows import checked, readers

MAGIC = b"PAR1"

_DAMAGE = (pa.ArrowException, OSError)  # what Arrow raises on a broken file


@dataclass(frozen=True)
class RowGroup:
    """A row group of a Parquet file.

    Attributes:
        path: the file.
        place: of the group in the file, from 0.
        first_row: number of its first row, from 1.
        roles: role -> column.
        time: how times are written.
    """

    path: Path
    place: int
    first_row: int
    roles: Mapping[str, str]
    time: TimeForm

    def columns(self) -> dict[str, pa.ChunkedArray]:
        """Role -> values; see `Part`."""
        table = _read_group(self.path, self.place, list(self.roles.values()))
        columns = {role: table[name] for role, name in self.roles.items()}
        try:
            return checked(columns, self.time)
        except Unfit as error:
            raise self._fault(columns, error) from error

    def _fault(self, columns: Mapping[str, pa.ChunkedArray], error: Unfit) -> DataError:
        fault = first_fault(columns, self.time)
        if fault is None:
            return DataError(f"{self.path}: row group {self.place}: {error}")
        value = columns[fault.role][fault.row].as_py()
        seen = "" if value is None else f" {shown(str(value))}"
        row = self.first_row + fault.row
        message = f"{self.path}: row {row:,}: {self.roles[fault.role]}{seen} {fault.why}"
        return DataError(message, FIXES[fault.role])


def look(path: Path) -> DataFile:
    """Read the names and types of the columns from the footer.

    Raises:
        DataError: no Parquet file, or a damaged one.
    """
    with _open(path) as file:
        schema = file.schema_arrow
    types = dict(zip(schema.names, schema.types, strict=True))
    return DataFile(path, "parquet", tuple(schema.names), types=types)


def check_types(file: DataFile, roles: Mapping[str, str], time: TimeForm) -> None:
    """Refuse columns of types that their roles cannot have.

    Raises:
        DataError: the first such column, with its type.
    """
    read = readers(time)
    for role, name in roles.items():
        kind = file.types[name]
        try:
            read[role](pa.chunked_array([], kind))
        except Unfit as error:
            raise DataError(
                f"{file.path}: column {name} is of type {kind}, which {error}",
                f"write it with another type, or name another --{role}-column",
            ) from error


def parts(
    file: DataFile, roles: Mapping[str, str], time: TimeForm, task: Task
) -> Iterator[RowGroup]:
    """Yield the row groups; nothing of them is read here.

    Args:
        file: as `look` gives it.
        roles: role -> column.
        time: how times are written.
        task: is told of each group's share in the bytes of the file.

    Raises:
        DataError: no Parquet file, or a damaged one.
    """
    with _open(file.path) as opened:
        metadata = opened.metadata
        rows = [metadata.row_group(place).num_rows for place in range(metadata.num_row_groups)]
    size = file.path.stat().st_size
    for place, (before, count) in enumerate(zip(accumulate(rows, initial=0), rows, strict=False)):
        if count:
            yield RowGroup(file.path, place, before + 1, roles, time)
        task.advance(size / len(rows))


def first_times(file: DataFile, column: str, task: Task) -> pa.ChunkedArray:
    """The times in the first row group that has rows."""
    for group in parts(file, {"time": column}, TimeForm("order"), task):
        return _read_group(file.path, group.place, [column])[column]
    return pa.chunked_array([], file.types[column])


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except _DAMAGE as error:
        raise _damaged(path, error) from error


def _read_group(path: Path, place: int, columns: Sequence[str]) -> pa.Table:
    names = list(dict.fromkeys(columns))
    try:
        with _open(path) as file:
            table = file.read_row_group(place, columns=names, use_threads=False)
        table.validate(full=True)  # text that is no UTF-8, above all
        return table
    except _DAMAGE as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DataError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return DataError(
        f"{path}: no Parquet file, or a damaged one: {reason}", "download or write it again"
    )
