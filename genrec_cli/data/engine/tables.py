"""The tables that travel between the steps of the kernel, and what stands in them."""

from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from genrec_cli.core.schema import ITEMS, SEQUENCES, TIMESTAMPS, USER_ID

KEY: Final = "key"
READ: Final = "read"
RATED: Final = "rated"

_KEYED = [pa.field(KEY, pa.uint64(), nullable=False), SEQUENCES.field(USER_ID)]
_EVENTS = [SEQUENCES.field(ITEMS), SEQUENCES.field(TIMESTAMPS)]

# One row a user, by key. Items are codes: numbers of the log's items in order of appearance.
# Events stand in the order of the log.
RUN: Final = pa.schema(
    [
        *_KEYED,
        pa.field(READ, pa.int32(), nullable=False),  # events of hers in the log
        pa.field(RATED, pa.int32(), nullable=False),  # those rated well enough
        *_EVENTS,  # those in the window of time, too
    ]
)

# One row a user, by key and then id; events in time order, equal times by the tie rule.
PARTITION: Final = pa.schema([*_KEYED, *_EVENTS])

SECTIONS: Final = 256
"""Ranges of equal size that the keys are cut into; a partition holds one or more of them."""


def lists(lengths: NDArray[Any], values: NDArray[Any], kind: pa.DataType) -> pa.ListArray:
    """Values cut into lists of the given lengths."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values, kind.value_type), type=kind)


def column(table: pa.Table, name: str) -> pa.Array:
    """A column as one array."""
    chunked = table.column(name)
    return chunked.chunk(0) if chunked.num_chunks == 1 else chunked.combine_chunks()


def numbers(table: pa.Table, name: str) -> NDArray[Any]:
    """A column of numbers, or what stands in its lists, as one array."""
    array = column(table, name)
    flat: NDArray[Any] = (array.flatten() if pa.types.is_list(array.type) else array).to_numpy()
    return flat


def lengths_of(table: pa.Table, name: str = ITEMS) -> NDArray[np.int64]:
    """How much stands in each list of a column, [rows]."""
    lengths: NDArray[np.int64] = np.diff(column(table, name).offsets.to_numpy().astype(np.int64))
    return lengths


def section_starts(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Where each section begins in sorted keys, [SECTIONS + 1]."""
    edges = np.arange(SECTIONS, dtype=np.uint64) << np.uint64(56)
    return np.append(np.searchsorted(keys, edges), len(keys)).astype(np.int64)
