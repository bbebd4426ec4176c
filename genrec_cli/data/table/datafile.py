"""One file of a log, and what all kinds of them can do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import pyarrow as pa

from genrec_cli.data.text import Dialect
from genrec_cli.data.text.rows import assembled

Kind = Literal["delimited", "json", "parquet"]

NAMES: Mapping[Kind, str] = {
    "delimited": "delimited text",
    "json": "JSON lines",
    "parquet": "Parquet",
}


@dataclass(frozen=True)
class DataFile:
    """A file that has been looked into, but not read.

    Attributes:
        path: the file.
        kind: how it is written.
        header: names of its columns, or of the keys in the first objects of JSON lines.
        dialect: of delimited text; None for other kinds.
        types: column -> type, of Parquet and JSON lines.
    """

    path: Path
    kind: Kind
    header: tuple[str, ...]
    dialect: Dialect | None = None
    types: Mapping[str, pa.DataType] = field(default_factory=dict)


class Part(Protocol):
    """A stretch of a file; it can be pickled."""

    def columns(self) -> dict[str, pa.ChunkedArray]:
        """Role -> values, checked as by `text.rows.checked`.

        Raises:
            DataError: the first row that cannot be used, with its place and value.
        """


@dataclass(frozen=True)
class TablePart:
    """A part whose columns are a log's."""

    part: Part

    def read(self) -> pa.Table:
        """Parse the part; table of schema `INTERACTIONS` or `TITLED_INTERACTIONS`.

        Raises:
            DataError: the first row that cannot be used, with its place and value.
        """
        return assembled(self.part.columns())
