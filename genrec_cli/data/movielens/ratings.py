"""Ratings files through `pyarrow.csv`, with a line-by-line diagnosis when that fails."""

from collections.abc import Mapping
from typing import IO, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from genrec_cli.core.errors import DataError
from genrec_cli.core.progress import Progress, Task
from genrec_cli.core.schema import INTERACTIONS, ITEM_ID, RATING, TIMESTAMP, USER_ID
from genrec_cli.data.movielens.faults import FIELDS, MAX_RATING, explain
from genrec_cli.data.movielens.layouts import Found
from genrec_cli.data.movielens.source import Source, open_file

_FIELDS: Final = (USER_ID, ITEM_ID, RATING, TIMESTAMP)

# Column names by separator: Arrow splits at one character, so "::" leaves empty columns between.
_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "\t": _FIELDS,
    "::": (USER_ID, "gap1", ITEM_ID, "gap2", RATING, "gap3", TIMESTAMP),
}

_FIRST_PRINTABLE = 0x21  # below lie blanks, tabs, NUL and line ends, which no id has


class _Counted:
    """A stream that reports how many bytes went through it; all that Arrow asks of a file."""

    def __init__(self, stream: IO[bytes], task: Task) -> None:
        self._stream = stream
        self._task = task
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._task.advance(len(data))
        return data

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True


def read_ratings(source: Source, found: Found, progress: Progress) -> pa.Table:
    """Read the ratings as a table of schema `INTERACTIONS`, rows in the file's order.

    Raises:
        DataError: the first line that cannot be read, with its number and content.
    """
    name = found.folder + found.layout.ratings
    size = source.folders[found.folder][found.layout.ratings]
    if size == 0:
        raise DataError(f"{source.path / name}: the file is empty", "download the data again")
    try:
        with (
            open_file(source, name) as stream,
            progress.task(f"Reading {found.layout.ratings}", size, "B") as task,
        ):
            table = _parse(_Counted(stream, task), found.layout.separator)
        fault = _suspicion(table)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        fault = str(error)
    if fault is None:
        return table
    with open_file(source, name) as stream:
        raise explain(stream, source.path / name, found.layout, fault)


def _parse(stream: _Counted, separator: str) -> pa.Table:
    quoted = separator == ","
    columns = FIELDS if quoted else _FIELDS
    types: dict[str, Any] = {
        column: INTERACTIONS.field(field).type
        for column, field in zip(columns, _FIELDS, strict=True)
    }
    # A gap of type null makes Arrow refuse whatever stands between the two colons.
    gaps = {} if quoted else {name: pa.null() for name in _COLUMNS[separator] if name not in types}
    table = csv.read_csv(
        stream,
        read_options=csv.ReadOptions(column_names=None if quoted else _COLUMNS[separator]),
        parse_options=csv.ParseOptions(
            delimiter=separator[0], quote_char='"' if quoted else False, double_quote=quoted
        ),
        convert_options=csv.ConvertOptions(
            column_types=types | gaps, include_columns=[*types, *gaps], null_values=[""]
        ),
    )
    picked = [table.column(name) for name in columns]
    by_field = dict(zip(_FIELDS, picked, strict=True))
    return pa.table([by_field[field.name] for field in INTERACTIONS], schema=INTERACTIONS)


def _suspicion(table: pa.Table) -> str | None:
    """What Arrow let pass and MovieLens never has; None where all is well."""
    if table.num_rows == 0:
        return "no ratings in it"
    if any(table[name].null_count for name in (RATING, TIMESTAMP)):
        return "an empty field"
    low_high = pc.min_max(table[RATING]).as_py()
    is_rating = pc.all(pc.is_finite(table[RATING])).as_py()
    if not is_rating or low_high["min"] < 0 or low_high["max"] > MAX_RATING:
        return "a rating out of range"
    if not all(_printable(table[name]) for name in (USER_ID, ITEM_ID)):
        return "an empty id, or one with blanks in it"
    return None


def _printable(ids: pa.ChunkedArray) -> bool:
    """Whether no id is empty or has a blank or control character; looks at raw bytes, for speed."""
    if pc.min(pc.binary_length(ids)).as_py() == 0:
        return False
    texts = [chunk.buffers()[2] for chunk in ids.chunks if len(chunk)]
    return all(np.frombuffer(text, np.uint8).min() >= _FIRST_PRINTABLE for text in texts)
