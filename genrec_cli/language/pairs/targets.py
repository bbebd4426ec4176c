"""What pairs are trained on: every item of a training part, with the history before it."""

from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.data.dataset import Dataset
from genrec_cli.language.windows import Window

_Places = NDArray[np.int64]


class TargetWindows(Sequence[Window]):
    """One window for each target: the newest items before it that have room, and the target.

    Millions of them are two numbers each; a window is made when it is asked for.

    Args:
        dataset: whose training parts they are of.
        lengths: tokens of each item as it is read, [items].
        room: tokens that the items before a target may take.
        settings: which items are targets.

    Attributes:
        rows: int64 [windows]; of the users.
        first: int64 [windows]; place of the oldest item among all events.
        last: int64 [windows]; place of the target.
        read: int64 [windows]; tokens of the items before the target.
    """

    def __init__(
        self, dataset: Dataset, lengths: _Places, room: int, settings: FinetuneSettings
    ) -> None:
        self._items = dataset.items
        self.rows, self.last = _targets(dataset, settings)
        begins = np.concatenate([[0], np.cumsum(lengths[dataset.items])])
        fits = np.searchsorted(begins, begins[self.last] - room)
        self.first = np.maximum(fits, dataset.offsets[self.rows])
        self.read = begins[self.last] - begins[self.first]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def targets(self) -> NDArray[np.int32]:
        """The item that each window ends with, [windows]."""
        return self._items[self.last]

    @overload
    def __getitem__(self, number: int) -> Window: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Window]: ...
    def __getitem__(self, number: int | slice) -> Window | Sequence[Window]:
        if isinstance(number, slice):
            return [self[place] for place in range(*number.indices(len(self)))]
        first, last = int(self.first[number]), int(self.last[number])
        return Window(self._items[first : last + 1], last - first)


def _targets(dataset: Dataset, settings: FinetuneSettings) -> tuple[_Places, _Places]:
    """Rows and places of all targets, in the order of rows."""
    starts, ends = dataset.offsets[:-1], dataset.bounds.train_ends
    newest = ends - starts if settings.targets_per_user is None else settings.targets_per_user
    begins = np.minimum(np.maximum(starts + settings.context_titles, ends - newest), ends)
    counts = ends - begins
    rows = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return rows, begins[rows] + within
