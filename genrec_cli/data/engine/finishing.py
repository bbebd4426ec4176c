"""Last step of the kernel: a partition becomes rows of the dataset, a tally and digests."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from genrec_cli.core.schema import ITEMS, SEQUENCES, TIMESTAMPS, USER_ID
from genrec_cli.data.engine.keeping import Keep, kept
from genrec_cli.data.engine.tables import (
    KEY,
    column,
    lengths_of,
    lists,
    numbers,
    section_starts,
)
from genrec_cli.data.engine.tally import Bins, Sequences, Tally, tally
from genrec_cli.data.ids import UInt64
from genrec_cli.data.split import Cut, bounds

# How sequences are written: nothing repeats enough for dictionaries, times rise within a user.
PARQUET: Final[Mapping[str, Any]] = {
    "compression": "zstd",
    "use_dictionary": False,
    "column_encoding": {
        f"{ITEMS}.list.element": "BYTE_STREAM_SPLIT",
        f"{TIMESTAMPS}.list.element": "DELTA_BINARY_PACKED",
    },
}


@dataclass(frozen=True)
class Finish:
    """What the last step needs to know.

    Attributes:
        keep: what stays.
        numbers: int32, [codes]; number of each item in the catalog, -1 where it has none.
        items: how many items the catalog has.
        cut: of a global-time split.
        bins: of time.
    """

    keep: Keep
    numbers: NDArray[np.int32]
    items: int
    cut: Cut | None
    bins: Bins


@dataclass(frozen=True)
class Finished:
    """One partition, done.

    Attributes:
        sequences: table of schema `SEQUENCES`.
        tally: for the audit.
        digests: section -> digest of its rows.
    """

    sequences: pa.Table
    tally: Tally
    digests: dict[int, bytes]


def finish(partition: pa.Table, how: Finish) -> Finished:
    """Drop what does not stay, number the items, count and hash."""
    left = kept(partition, how.keep)
    users = partition.select([KEY, USER_ID]).filter(pa.array(left.users))
    items = how.numbers[left.items]
    offsets = np.concatenate([[0], np.cumsum(left.lengths)])
    parts = bounds(offsets, left.timestamps, how.cut)
    sequences = pa.table(
        [
            column(users, USER_ID),
            lists(left.lengths, items, SEQUENCES.field(ITEMS).type),
            lists(left.lengths, left.timestamps, SEQUENCES.field(TIMESTAMPS).type),
        ],
        schema=SEQUENCES,
    )
    counted = tally(Sequences(offsets, items, left.timestamps, parts), how.items, how.bins)
    return Finished(sequences, counted, section_digests(numbers(users, KEY), sequences))


def section_digests(keys: UInt64, sequences: pa.Table) -> dict[int, bytes]:
    """SHA-256 of what each section says; sections without users have none.

    Args:
        keys: of the users, ascending.
        sequences: table of schema `SEQUENCES`, in the same order.
    """
    starts = section_starts(keys)
    events = np.concatenate([[0], np.cumsum(lengths_of(sequences))])
    ids = column(sequences, USER_ID)
    columns = [numbers(sequences, ITEMS), numbers(sequences, TIMESTAMPS)]
    digests = {}
    for section in np.flatnonzero(np.diff(starts)).tolist():
        first, last = int(starts[section]), int(starts[section + 1])
        digest = hashlib.sha256()
        hash_texts(digest, ids.slice(first, last - first))
        digest.update(np.diff(events[first : last + 1]).astype("<i8").tobytes())
        for values in columns:
            digest.update(np.ascontiguousarray(values[events[first] : events[last]]).data)
        digests[section] = digest.digest()
    return digests


def hash_texts(digest: "hashlib._Hash", texts: pa.StringArray) -> None:
    """Feed texts to a digest; their lengths keep ["ab", "c"] and ["a", "bc"] apart."""
    offsets = np.frombuffer(texts.buffers()[1], "<i4")[texts.offset : texts.offset + len(texts) + 1]
    digest.update(np.diff(offsets).tobytes())
    text = texts.buffers()[2]
    if text is not None:
        digest.update(memoryview(text)[int(offsets[0]) : int(offsets[-1])])
