"""What the audit counts in one partition; tallies add up to that of the whole log."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genrec_cli.data.engine.sorting import stable_order
from genrec_cli.data.split import NOWHERE, Bounds

_Places = NDArray[np.int64]
_BIN_BITS = 16


@dataclass(frozen=True)
class Bins:
    """Some 65,536 equal stretches of a span of time, whose length is a power of two.

    Attributes:
        first: number of the first one, counted from time 0.
        shift: binary logarithm of the length.
    """

    first: int
    shift: int

    @classmethod
    def over(cls, first: int, last: int) -> "Bins":
        """Bins from the time `first` to `last`, both inside."""
        shift = max(0, (last - first).bit_length() - _BIN_BITS)
        return cls(first >> shift, shift)

    def count(self, timestamps: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many fall into each bin, [bins]."""
        return np.bincount((timestamps >> self.shift) - self.first, minlength=(1 << _BIN_BITS) + 1)

    def start(self, place: int) -> int:
        """Where a bin begins."""
        return (self.first + place) << self.shift


@dataclass(frozen=True)
class Sequences:
    """Users' events side by side, items by number.

    Attributes:
        offsets: [users + 1].
        items: int32, [events].
        timestamps: int64, [events].
        bounds: the users' parts.
    """

    offsets: _Places
    items: NDArray[np.int32]
    timestamps: NDArray[np.int64]
    bounds: Bounds


@dataclass(frozen=True)
class Tally:
    """Counts over users and events.

    Attributes:
        train: int64, [items]; training events of each.
        tested: int64, [items]; test targets.
        total: int64, [items]; all events.
        tests: users with a test target.
        tied: of those, whose target shares its time with an event beside it.
        changed: of those, who would have another target if ties went the other way.
        next_id: of those, whose target is the item behind the highest number of their history.
        repeats: events with an item that the same user has already touched.
        spans: from each user's first event to her last, [users].
        train_times: training events by bin of time.
        test_times: test targets by bin of time.
    """

    train: NDArray[np.int64]
    tested: NDArray[np.int64]
    total: NDArray[np.int64]
    tests: int
    tied: int
    changed: int
    next_id: int
    repeats: int
    spans: NDArray[np.float64]
    train_times: NDArray[np.int64]
    test_times: NDArray[np.int64]

    @property
    def rows(self) -> int:
        """Events."""
        return int(self.total.sum())


def add_up(tallies: list[Tally]) -> Tally:
    """The tally of all partitions together."""
    first, *others = tallies
    sums = {
        name: sum((getattr(other, name) for other in others), start=getattr(first, name))
        for name in Tally.__dataclass_fields__
        if name != "spans"
    }
    return Tally(**sums, spans=np.concatenate([tally.spans for tally in tallies]))


def tally(users: Sequences, items: int, bins: Bins) -> Tally:
    """Count what the audit wants to know.

    Args:
        users: of one partition.
        items: how many items the catalog has.
        bins: of time.
    """
    starts, ends = users.offsets[:-1], users.offsets[1:]
    tested = np.flatnonzero(users.bounds.test != NOWHERE)
    targets = users.bounds.test[tested]
    trained = _trained(users)
    tied, changed = _ties(users, tested)
    return Tally(
        train=np.bincount(users.items[trained], minlength=items),
        tested=np.bincount(users.items[targets], minlength=items),
        total=np.bincount(users.items, minlength=items),
        tests=len(tested),
        tied=tied,
        changed=changed,
        next_id=_next_ids(users, tested),
        repeats=_repeats(users, items),
        spans=users.timestamps[ends - 1].astype(np.float64) - users.timestamps[starts],
        train_times=bins.count(users.timestamps[trained]),
        test_times=bins.count(users.timestamps[targets]),
    )


def _trained(users: Sequences) -> NDArray[np.bool_]:
    """True for the events of the training parts."""
    steps = np.zeros(len(users.items) + 1, dtype=np.int8)
    # A training part may be empty and the next begin where it does, so the steps must add up.
    np.add.at(steps, users.offsets[:-1], 1)
    np.add.at(steps, users.bounds.train_ends, -1)
    trained: NDArray[np.bool_] = np.cumsum(steps[:-1], dtype=np.int8).astype(np.bool_)
    return trained


def _ties(users: Sequences, tested: _Places) -> tuple[int, int]:
    """Test targets with a tie, and those that differ if each tie is read backwards."""
    first, last = users.bounds.test[tested].copy(), users.bounds.test[tested].copy()
    times = users.timestamps[first]
    starts, ends = users.offsets[tested], users.offsets[tested + 1]
    moving = np.arange(len(tested))
    while len(moving):
        moving = moving[first[moving] > starts[moving]]
        moving = moving[users.timestamps[first[moving] - 1] == times[moving]]
        first[moving] -= 1
    moving = np.arange(len(tested))
    while len(moving):
        moving = moving[last[moving] + 1 < ends[moving]]
        moving = moving[users.timestamps[last[moving] + 1] == times[moving]]
        last[moving] += 1
    targets = users.bounds.test[tested]
    backwards = first + last - targets
    changed = users.items[backwards] != users.items[targets]
    return int(np.count_nonzero(first < last)), int(np.count_nonzero(changed))


def _next_ids(users: Sequences, tested: _Places) -> int:
    """Hits of the guess "the item behind the highest number so far"."""
    if not len(tested):
        return 0
    starts, targets = users.offsets[tested], users.bounds.test[tested]
    pairs = np.stack([starts, targets], axis=1).ravel()
    highest = np.maximum.reduceat(users.items, pairs)[::2]
    return int(np.count_nonzero(highest + 1 == users.items[targets]))


def _repeats(users: Sequences, items: int) -> int:
    rows = np.repeat(np.arange(len(users.offsets) - 1), np.diff(users.offsets))
    pairs = rows * items + users.items
    pairs = pairs[stable_order(pairs)]
    return int(np.count_nonzero(pairs[1:] == pairs[:-1]))
