"""Second step of the kernel: bring a user's events together and order them in time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from genrec_cli.core.schema import ITEMS, TIMESTAMPS, USER_ID
from genrec_cli.core.settings import Repeats, TieRule
from genrec_cli.data.engine.sorting import stable_order
from genrec_cli.data.engine.tables import (
    KEY,
    PARTITION,
    RATED,
    READ,
    RUN,
    column,
    lengths_of,
    lists,
    numbers,
)
from genrec_cli.data.ids import UInt64, hash_ids, mix

_Places = NDArray[np.int64]


@dataclass(frozen=True)
class Order:
    """How one user's events are ordered, and which of her repeats stay.

    Attributes:
        ties: the rule for equal times.
        seed: of the tie hash.
        repeats: which of her events with one item stay.
        item_hashes: `hash_ids` of every item by code; only looked at for the tie rule "hash".
    """

    ties: TieRule
    seed: int
    repeats: Repeats
    item_hashes: UInt64


@dataclass(frozen=True)
class Heads:
    """Users of a partition with an event at all, a well rated one, one in the window; and rows."""

    read: int
    rated: int
    inside: int
    rows: int

    def __add__(self, other: "Heads") -> "Heads":
        return Heads(
            self.read + other.read,
            self.rated + other.rated,
            self.inside + other.inside,
            self.rows + other.rows,
        )


def order(slices: Sequence[pa.Table], rule: Order) -> tuple[pa.Table, Heads]:
    """Merge slices of runs, in the order of the log, into a partition (schema `PARTITION`)."""
    merged = pa.concat_tables([RUN.empty_table(), *slices]).combine_chunks()
    entry_rows, user_ids, keys = _users(merged)
    count = len(user_ids)
    lengths = lengths_of(merged)
    rows = np.repeat(entry_rows, lengths)
    items, timestamps = numbers(merged, ITEMS), numbers(merged, TIMESTAMPS)

    places = _by_row_and_time(rows, timestamps)
    if rule.ties == "hash":
        _order_ties(places, rows, timestamps, _TieHashes(items, user_ids, rule))
    if rule.repeats != "keep":
        places = _once(places, rows, items, rule.repeats)
    kept = np.bincount(rows[places], minlength=count)
    there = kept > 0
    partition = pa.table(
        [
            pa.array(keys[there]),
            user_ids.filter(pa.array(there)),
            lists(kept[there], items[places], PARTITION.field(ITEMS).type),
            lists(kept[there], timestamps[places], PARTITION.field(TIMESTAMPS).type),
        ],
        schema=PARTITION,
    )
    read, rated = (_users_with(entry_rows, numbers(merged, name), count) for name in (READ, RATED))
    return partition, Heads(read, rated, int(np.count_nonzero(there)), len(places))


def _users(merged: pa.Table) -> tuple[_Places, pa.StringArray, UInt64]:
    """The row of each entry's user, and the users by row: ids and keys."""
    keys, ids = numbers(merged, KEY), column(merged, USER_ID)
    by_key = np.argsort(keys, kind="stable")
    new = _changes(keys[by_key], ids.take(pa.array(by_key)))
    if _astray(keys[by_key], new):
        # Two users with one key, the odd one in 2^64 pairs: the ids must sort them.
        by_key = pc.sort_indices(
            merged.select([KEY, USER_ID]), [(KEY, "ascending"), (USER_ID, "ascending")]
        ).to_numpy()
        new = _changes(keys[by_key], ids.take(pa.array(by_key)))
    rows = np.empty(len(keys), dtype=np.int64)
    rows[by_key] = np.cumsum(new) - 1
    firsts = by_key[new]
    return rows, ids.take(pa.array(firsts)), keys[firsts]


def _changes(keys: UInt64, ids: pa.StringArray) -> NDArray[np.bool_]:
    """Where a new user begins."""
    new = np.ones(len(keys), dtype=np.bool_)
    if len(keys) > 1:
        other = pc.not_equal(ids.slice(1), ids.slice(0, len(ids) - 1))
        new[1:] = other.to_numpy(zero_copy_only=False)
    return new


def _astray(keys: UInt64, new: NDArray[np.bool_]) -> bool:
    """Whether ids change where keys do not."""
    return bool(np.any(new[1:] & (keys[1:] == keys[:-1])))


def _by_row_and_time(rows: _Places, timestamps: NDArray[np.int64]) -> _Places:
    if not len(rows):
        return np.zeros(0, dtype=np.int64)
    first, last = int(timestamps.min()), int(timestamps.max())
    bits = (last - first).bit_length()
    if bits + int(rows.max()).bit_length() > 63:
        return np.lexsort((timestamps, rows))
    return stable_order((rows << bits) | (timestamps - first))


@dataclass(frozen=True)
class _TieHashes:
    """What orders events that share user and time: a hash of user and item."""

    items: NDArray[np.int32]
    user_ids: pa.StringArray
    rule: Order

    def of(self, places: _Places, rows: _Places) -> UInt64:
        """Hashes of events in order of their rows."""
        tied = rows[places]
        new = np.append(True, tied[1:] != tied[:-1])
        users = hash_ids(self.user_ids.take(pa.array(tied[new])).to_pylist(), self.rule.seed)
        return mix(users[np.cumsum(new) - 1], self.rule.item_hashes[self.items[places]])


def _order_ties(
    places: _Places, rows: _Places, timestamps: NDArray[np.int64], hashes: _TieHashes
) -> None:
    """Order places with equal row and time by their hashes, in place."""
    sorted_rows, sorted_times = rows[places], timestamps[places]
    same = (sorted_rows[1:] == sorted_rows[:-1]) & (sorted_times[1:] == sorted_times[:-1])
    if not same.any():
        return
    tied = np.append(same, False)
    tied[1:] |= same
    at = np.flatnonzero(tied)
    groups = np.cumsum(~np.append(False, same)[at])
    among = places[at]
    places[at] = among[_by_group(groups, hashes.of(among, rows))]


def _by_group(groups: _Places, hashes: UInt64) -> _Places:
    """Places that sort hashes within their groups, groups being in order already."""
    bits = max(48, int(groups[-1]).bit_length() + 24)  # few, for a quick sort, but enough to differ
    size = np.uint64(bits - int(groups[-1]).bit_length())
    words = (groups.astype(np.uint64) << size) | (hashes >> (np.uint64(64) - size))
    order = stable_order(words)
    alike = np.flatnonzero(words[order[1:]] == words[order[:-1]])
    if np.any(hashes[order[alike]] != hashes[order[alike + 1]]):
        return np.lexsort((hashes, groups))  # hashes that differ only in what was cut off
    return order


def _once(places: _Places, rows: _Places, items: NDArray[np.int32], keep: Repeats) -> _Places:
    """Drop all but the first or last of one user's events with one item."""
    pairs = (rows[places] << 32) | items[places]
    if keep == "last":
        _, found = np.unique(pairs[::-1], return_index=True)
        found = len(pairs) - 1 - found
    else:
        _, found = np.unique(pairs, return_index=True)
    kept: _Places = places[np.sort(found)]
    return kept


def _users_with(rows: _Places, counts: NDArray[np.int32], users: int) -> int:
    return int(np.count_nonzero(np.bincount(rows, weights=counts, minlength=users)))
