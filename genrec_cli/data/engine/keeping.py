"""Third step of the kernel: which events stay, by the items that are still in."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from genrec_cli.core.schema import ITEMS, TIMESTAMPS
from genrec_cli.data.engine.tables import lengths_of, numbers


@dataclass(frozen=True)
class Keep:
    """What is still in.

    Attributes:
        live: bool, [codes]; items that are in.
        min_user: a user stays with so many events of live items.
        longest: a user keeps so many of those, the latest; None keeps all.
    """

    live: NDArray[np.bool_]
    min_user: int
    longest: int | None = None


@dataclass(frozen=True)
class Census:
    """What a partition or a whole log holds.

    Attributes:
        rows: events.
        users: with an event.
        items: int64, [codes]; events of each.
    """

    rows: int
    users: int
    items: NDArray[np.int64]

    def __add__(self, other: "Census") -> "Census":
        return Census(self.rows + other.rows, self.users + other.users, self.items + other.items)


@dataclass(frozen=True)
class Kept:
    """The events of a partition that stay.

    Attributes:
        users: bool, [users of the partition].
        lengths: int64, [users that stay].
        items: int32 codes, [events].
        timestamps: int64, [events]; empty when they were not asked for.
    """

    users: NDArray[np.bool_]
    lengths: NDArray[np.int64]
    items: NDArray[np.int32]
    timestamps: NDArray[np.int64]


def kept(partition: pa.Table, keep: Keep) -> Kept:
    """What stays of a partition; without its times where the table has no column of them."""
    items = numbers(partition, ITEMS)
    timed = TIMESTAMPS in partition.schema.names
    timestamps = numbers(partition, TIMESTAMPS) if timed else np.zeros(0, dtype=np.int64)
    lengths = lengths_of(partition)
    mask = keep.live[items]
    counts = _sums(mask, lengths)
    users = counts >= max(1, keep.min_user)
    mask &= np.repeat(users, lengths)
    if keep.longest is not None:
        mask &= _latest(mask, lengths, keep.longest)
        counts = np.minimum(counts, keep.longest)
    if not mask.all():
        items = items[mask]
        timestamps = timestamps[mask] if timed else timestamps
    return Kept(users, counts[users], items, timestamps)


def census(partition: pa.Table, keep: Keep) -> Census:
    """Count what stays of a partition."""
    left = kept(partition, keep)
    counts = np.bincount(left.items, minlength=len(keep.live))
    return Census(len(left.items), len(left.lengths), counts)


def _sums(mask: NDArray[np.bool_], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many are true in each list."""
    before = np.concatenate([[0], np.cumsum(mask)])
    ends = np.cumsum(lengths)
    sums: NDArray[np.int64] = before[ends] - before[ends - lengths]
    return sums


def _latest(mask: NDArray[np.bool_], lengths: NDArray[np.int64], longest: int) -> NDArray[np.bool_]:
    """True for the last `longest` events of the mask in each list, and maybe for others."""
    so_far = np.cumsum(mask)
    ends = np.cumsum(lengths)
    totals = np.concatenate([[0], so_far])[ends]
    latest: NDArray[np.bool_] = np.repeat(totals, lengths) - so_far < longest
    return latest
