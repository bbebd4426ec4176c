"""What every reader hands to `prepare`: interactions and item titles, as the source has them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa


@dataclass(frozen=True)
class RawLog:
    """A raw interaction log, read and typed but neither filtered nor ordered.

    Attributes:
        interactions: table of schema `core.schema.INTERACTIONS`, rows in the source's order.
        items: table of schema `core.schema.RAW_ITEMS`, one row an item id; it may name items that
            nobody touched, and may lack items that somebody did.
        inputs: file name -> "sha256:<hex>" of what was read, for the record in `dataset.json`.
        source: where it came from, in words ("/data/ml-1m.zip", "bundled sample, seed 7").
        citation: how the publisher asks to be cited; None where nobody does.
    """

    interactions: pa.Table
    items: pa.Table
    source: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    citation: str | None = None
