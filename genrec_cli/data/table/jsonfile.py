"""JSON lines: the first objects tell the keys and what kinds of values they have."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from genrec_cli.core.errors import DataError
from genrec_cli.core.progress import SILENT, Task
from genrec_cli.data.table.datafile import DataFile
from genrec_cli.data.text import Stretch, TimeForm, cut, open_bytes
from genrec_cli.data.text.jsonlines import parse, read_columns
from genrec_cli.data.text.jsonlook import objects

_SAMPLE: Final = 1000  # objects


@dataclass(frozen=True)
class Objects:
    """Whole lines of a file with one JSON object a line."""

    stretch: Stretch
    roles: Mapping[str, str]
    kinds: Mapping[str, pa.DataType]
    time: TimeForm

    def columns(self) -> dict[str, pa.ChunkedArray]:
        """Role -> values; see `Part`."""
        return read_columns(self.stretch, self.roles, self.kinds, self.time)


def look(path: Path) -> DataFile:
    """Find the keys and the types of their values in the first objects.

    Raises:
        DataError: the file is damaged, or a line among them is no JSON object.
    """
    values: dict[str, list[Any]] = {}
    with SILENT.task("", None, "B") as task:
        first = next(_stretches(path, task))
    for _, row in islice(objects(first), _SAMPLE):
        for key, value in row.items():
            values.setdefault(key, []).append(value)
    types = {key: _type(some) for key, some in values.items()}
    return DataFile(path, "json", tuple(values), types=types)


def _type(values: list[Any]) -> pa.DataType:
    """The type of a key's values; text where they are of several kinds, or no plain values."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int}:
        return pa.int64()
    return pa.float64() if kinds in ({float}, {int, float}) else pa.string()


def parts(
    file: DataFile, roles: Mapping[str, str], time: TimeForm, task: Task
) -> Iterator[Objects]:
    """Cut the file into parts.

    Args:
        file: as `look` gives it.
        roles: role -> key.
        time: how times are written.
        task: is told of the bytes read.

    Raises:
        DataError: a damaged file, or a line too long.
    """
    for stretch in _stretches(file.path, task):
        yield Objects(stretch, roles, _kinds(file, roles), time)


def first_times(file: DataFile, key: str, task: Task) -> pa.ChunkedArray:
    """The times in the first part; as text, and only those above a broken line, where one is."""
    roles = {"time": key}
    for stretch in _stretches(file.path, task):
        columns = parse(stretch.data, roles, _kinds(file, roles))
        if columns is not None and len(columns["time"]):
            return columns["time"]
        times = _above_fault(stretch, key)
        if times:
            return pa.chunked_array([pa.array(times, pa.string())])
    return pa.chunked_array([], pa.string())


def _above_fault(stretch: Stretch, key: str) -> list[str]:
    times: list[str] = []
    with suppress(DataError):  # whoever reads the part will say so, with all that is above it
        for _, row in objects(stretch):
            if row.get(key) is not None:
                times.append(str(row[key]))
    return times


def _kinds(file: DataFile, roles: Mapping[str, str]) -> dict[str, pa.DataType]:
    return {role: file.types.get(key, pa.string()) for role, key in roles.items()}


def _stretches(path: Path, task: Task) -> Iterator[Stretch]:
    with open_bytes(path, task) as stream:
        for stretch in cut(stream, path, quoted=False):
            if not stretch.data.isspace():
                yield stretch
