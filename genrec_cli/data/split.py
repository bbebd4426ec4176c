"""Splits: readings of a dataset's sequences, not copies (design.md, section 1).

Leave-one-out: with n items a user's training part is `items[:-2]`, her validation target
`items[-2]`, her test target `items[-1]`.

Global-time: the training part is all before one point in time; the validation target is the first
event from there to a second point, the test target the first event from that point on. A user has
a target only where she has such an event and a history before it.

In both, the history of a target is everything before it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genrec_cli.core.settings import Split

if TYPE_CHECKING:  # datasets are made with `bounds`
    from genrec_cli.data.dataset import Dataset

Items = NDArray[np.int32]
Places = NDArray[np.int64]

_COMMON = 0.05  # from there on the audit warns, too
NOWHERE = -1  # the place of a target that a user does not have


@dataclass(frozen=True)
class Cut:
    """Points in time that part a log: validation begins at one, test at the other."""

    validation: int
    test: int


@dataclass(frozen=True)
class Bounds:
    """Where each user's parts lie among all events, [users] each.

    Attributes:
        train_ends: behind her training part.
        validation: her validation target, or `NOWHERE`.
        test: her test target, or `NOWHERE`.
    """

    train_ends: Places
    validation: Places
    test: Places


def bounds(offsets: Places, timestamps: NDArray[np.int64], cut: Cut | None) -> Bounds:
    """Find the parts of every user.

    Args:
        offsets: [users + 1]; user u's events are at `offsets[u]:offsets[u + 1]`, in time order.
            Without a cut each has at least 2.
        timestamps: [events]; only looked at with a cut.
        cut: of a global-time split; None: leave-one-out.
    """
    starts, ends = offsets[:-1], offsets[1:]
    if cut is None:
        return Bounds(ends - 2, ends - 2, ends - 1)
    train_ends = starts + _before(cut.validation, offsets, timestamps)
    test_starts = starts + _before(cut.test, offsets, timestamps)
    has_validation = (train_ends < test_starts) & (train_ends > starts)
    has_test = (test_starts < ends) & (test_starts > starts)
    return Bounds(
        train_ends,
        np.where(has_validation, train_ends, NOWHERE),
        np.where(has_test, test_starts, NOWHERE),
    )


def _before(point: int, offsets: Places, timestamps: NDArray[np.int64]) -> Places:
    """How many events of each user are before a point in time."""
    so_far = np.concatenate([[0], np.cumsum(timestamps < point)])
    before: Places = so_far[offsets[1:]] - so_far[offsets[:-1]]
    return before


@dataclass(frozen=True)
class Cases:
    """Questions to a recommender, with their answers.

    Attributes:
        rows: int64, [cases]; rows of the dataset.
        histories: what each user had touched before, oldest first; never empty.
        targets: int32, [cases]; what she touched next.
        repeats: whether what a user has touched may be asked for again.
    """

    rows: Places
    histories: list[Items]
    targets: Items
    repeats: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def seen(self) -> list[Items]:
        """What each user must not get: her history, or nothing where repeats are common.

        Whether it is her target that repeats makes no difference, or the list would give it away.
        """
        return [history[:0] for history in self.histories] if self.repeats else self.histories

    def batches(self, size: int) -> Iterator["Cases"]:
        """The same cases, so many at a time."""
        for start in range(0, len(self), size):
            yield self.part(slice(start, start + size))

    def part(self, part: slice) -> "Cases":
        """Some of the cases."""
        return Cases(self.rows[part], self.histories[part], self.targets[part], self.repeats)


def training_part(dataset: "Dataset", row: int) -> Items:
    """Items that a model may learn from; may be empty in a global-time split."""
    return dataset.items[dataset.offsets[row] : dataset.bounds.train_ends[row]]


def held_out(dataset: "Dataset", split: Split, rows: Places | None = None) -> Cases:
    """The held-out item of each user who has one, and her history before it.

    Histories are copies: through a view's `base` one could read what came next.

    Args:
        dataset: a prepared dataset.
        split: which of the two held-out items.
        rows: rows to ask about; None means all.
    """
    places = _targets(dataset, split)
    rows = np.arange(len(places)) if rows is None else rows
    rows = rows[places[rows] != NOWHERE]
    return Cases(
        rows=rows,
        histories=[dataset.items[dataset.offsets[row] : places[row]].copy() for row in rows],
        targets=dataset.items[places[rows]],
        repeats=repeats_are_common(dataset),
    )


def repeats_are_common(dataset: "Dataset") -> bool:
    """Whether more than a twentieth of the events are with an item that the user had before."""
    return bool(dataset.manifest["audit"]["repeats"]["share"] > _COMMON)


def without_test(dataset: "Dataset") -> "Dataset":
    """The same dataset as systems may learn from it: nobody's test target, nor what came after.

    Who fits a system on this cannot read the answers, by mistake or on purpose. Users, items and
    their numbers stay. In a global-time split a user without a test target keeps her training part
    and validation target only.
    """
    starts, known = dataset.offsets[:-1], dataset.bounds
    tested, validated = known.test != NOWHERE, known.validation != NOWHERE
    ends = np.where(tested, known.test, np.where(validated, known.validation + 1, known.train_ends))
    offsets = np.concatenate([[0], np.cumsum(ends - starts)])
    earlier = starts - offsets[:-1]  # how far each user's events have moved to the front
    kept = np.arange(offsets[-1]) + np.repeat(earlier, ends - starts)
    moved = Bounds(
        known.train_ends - earlier,
        np.where(validated, known.validation - earlier, NOWHERE),
        np.full_like(known.test, NOWHERE),
    )
    return replace(dataset, offsets=offsets, items=dataset.items[kept], bounds=moved)


def sample_rows(dataset: "Dataset", split: Split, count: int | None, seed: int) -> Places:
    """Rows of `count` users with a target, drawn by the seed, in dataset order.

    None or too many: all rows with a target.
    """
    rows = np.flatnonzero(_targets(dataset, split) != NOWHERE)
    if count is None or count >= len(rows):
        return rows
    return rows[np.sort(np.random.default_rng(seed).choice(len(rows), count, replace=False))]


def _targets(dataset: "Dataset", split: Split) -> Places:
    return dataset.bounds.test if split == "test" else dataset.bounds.validation
