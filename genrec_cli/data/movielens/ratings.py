"""Ratings files in stretches, through `pyarrow.csv`; line by line where that fails."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc

from genrec_cli.core.errors import DataError
from genrec_cli.core.progress import Progress, Task
from genrec_cli.core.schema import INTERACTIONS
from genrec_cli.data.movielens.faults import AGAIN, FIELDS, MAX_RATING, decoded, explain, header_of
from genrec_cli.data.movielens.layouts import Found
from genrec_cli.data.movielens.source import Source, open_file
from genrec_cli.data.rawlog import Block
from genrec_cli.data.text import Dialect, Stretch, cut
from genrec_cli.data.text.csvlines import parse
from genrec_cli.data.text.rows import is_plain

_USER, _ITEM, _RATING, _TIMESTAMP = FIELDS
_KINDS = {_RATING: pa.float32(), _TIMESTAMP: pa.int64()}


@dataclass(frozen=True)
class _Counted:
    """A stream that reports how many bytes went through it."""

    stream: IO[bytes]
    task: Task

    def read(self, size: int, /) -> bytes:
        data = self.stream.read(size)
        self.task.advance(len(data))
        return data


@dataclass(frozen=True)
class RatingsBlock:
    """Whole lines of ratings, without a header; it can be pickled."""

    stretch: Stretch
    dialect: Dialect

    def read(self) -> pa.Table:
        """Parse the lines.

        Raises:
            DataError: the first line that cannot be read, with its number and content.
        """
        try:
            table = parse(self.stretch.data, self.dialect, FIELDS, _KINDS)
            fault = _suspicion(table)
        except pa.ArrowException as error:
            fault = str(error)
        if fault:
            raise explain(self.stretch, self.dialect, fault)
        columns = [table[name] for name in (_USER, _ITEM, _TIMESTAMP, _RATING)]
        return pa.table(columns, schema=INTERACTIONS)


def ratings_blocks(source: Source, found: Found, progress: Progress) -> Iterator[Block]:
    """Yield the ratings in stretches, in the file's order.

    Raises:
        DataError: an empty file, a header without the due columns, or a damaged archive.
    """
    name = found.folder + found.layout.ratings
    size = source.folders[found.folder][found.layout.ratings]
    path = source.path / name
    if size == 0:
        raise DataError(f"{path}: the file is empty", AGAIN)
    separator = found.layout.separator
    dialect = None if separator == "," else Dialect(FIELDS, separator, quoted=False)
    is_empty = True
    with (
        open_file(source, name) as stream,
        progress.task(f"Reading {found.layout.ratings}", size, "B") as task,
    ):
        # No field of theirs holds a line end, so a quote that is not closed spoils one line only.
        for stretch in cut(_Counted(stream, task), path, quoted=False):
            lines = stretch
            if dialect is None:
                dialect, lines = _without_header(stretch)
            if lines.data and not lines.data.isspace():
                is_empty = False
                yield RatingsBlock(lines, dialect)
    if is_empty:
        raise DataError(f"{path}: no ratings in it", AGAIN)


def _without_header(stretch: Stretch) -> tuple[Dialect, Stretch]:
    header, below = stretch.first_and_rest()
    line = stretch.first_line + stretch.data[: len(stretch.data) - len(below.data)].count(b"\n") - 1
    where = f"{stretch.path}:{line}"
    return Dialect(header_of(decoded(header, where), where)), below


def _suspicion(table: pa.Table) -> str | None:
    """What Arrow let pass and MovieLens never has; None where all is well."""
    if any(table[name].null_count for name in (_RATING, _TIMESTAMP)):
        return "an empty field"
    stars = table[_RATING]
    span = pc.min_max(stars).as_py()
    is_rating = pc.all(pc.is_finite(stars)).as_py()
    if not is_rating or span["min"] < 0 or span["max"] > MAX_RATING:
        return "a rating out of range"
    if not (is_plain(table[_USER]) and is_plain(table[_ITEM])):
        return "an empty id, or one with blanks in it"
    return None
