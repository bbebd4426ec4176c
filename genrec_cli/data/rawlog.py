"""What every reader hands to `prepare`: a stream of interactions and the items' titles."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Protocol

import pyarrow as pa

from genrec_cli.core.progress import Progress

TimeUnit = Literal["s", "ms", "us", "ns", "order"]
"""What a timestamp counts since 1970 (UTC); `order`: it has no unit, only larger is later."""

PER_SECOND: Final[Mapping[TimeUnit, int]] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""Units of a second; an order has none."""


class Block(Protocol):
    """A stretch of a log that fits into memory many times over; it can be pickled."""

    def read(self) -> pa.Table:
        """Parse the stretch, rows in the source's order.

        Returns:
            A table of schema `core.schema.INTERACTIONS`, or `TITLED_INTERACTIONS` where the log
            itself names its items. Ids are never empty.

        Raises:
            DataError: the first bad line, with file, line, value and fix.
        """


@dataclass(frozen=True)
class RawLog:
    """A raw interaction log: opened and understood, but not yet read.

    Attributes:
        blocks: starts at the beginning of the log each time it is called; yields its stretches in
            order and tells the progress of the bytes read.
        items: table of schema `core.schema.RAW_ITEMS`; it may name items that nobody touched, may
            lack items that somebody did, and may name one more than once.
        source: where it came from, in words ("/data/ml-1m.zip", "bundled sample, seed 7").
        files: what is read, to be hashed for the record in `dataset.json`.
        inputs: file name -> "sha256:<hex>", of inputs that are no files on their own.
        columns: role ("user", "item", "time", "title", "rating") -> the source's name for it, where
            somebody had to decide that.
        time_unit: of the timestamps.
        citation: how the publisher asks to be cited; None where nobody does.
    """

    blocks: Callable[[Progress], Iterator[Block]]
    items: pa.Table
    source: str
    files: tuple[Path, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    time_unit: TimeUnit = "s"
    citation: str | None = None


@dataclass(frozen=True)
class TableBlock:
    """A stretch that is parsed already."""

    table: pa.Table

    def read(self) -> pa.Table:
        """The table."""
        return self.table
