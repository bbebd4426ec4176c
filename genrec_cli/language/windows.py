"""What is trained on: windows over a user's titles in which nearly every title is a target.

One pass over a window trains all its next-item predictions at once: for n titles it costs about
n times less than n prompts with one target each.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import Cases, training_part
from genrec_cli.language.prompt import Encoder

# Share of a window that repeats the end of the one before, as context for its first targets.
_OVERLAP = 0.125


@dataclass(frozen=True, eq=False)
class Window:
    """A run of one user's items; those from `first_target` on are predicted."""

    items: NDArray[np.int32]
    first_target: int

    @property
    def targets(self) -> int:
        """How many titles are predicted."""
        return len(self.items) - self.first_target


def training_windows(
    dataset: Dataset, encoder: Encoder, settings: FinetuneSettings
) -> list[Window]:
    """Windows over the training parts; each item that is a target is so exactly once an epoch.

    Targets are all items after the first `context_titles`, or the newest `targets_per_user`.
    Behind the paper's "Output:" there is room for one: serving asks for one there.
    """
    alone = settings.targets == "last" or settings.objective == "paper"
    cut = prompt_windows if alone else split_windows
    windows: list[Window] = []
    for row in range(len(dataset.user_ids)):
        items = training_part(dataset, row)
        newest = len(items) - (settings.targets_per_user or len(items))
        windows.extend(cut(items, encoder, max(settings.context_titles, newest)))
    return windows


def held_out_windows(cases: Cases, encoder: Encoder) -> list[Window]:
    """One window a case: the history that fits, and the held-out item as the only target."""
    windows = []
    for history, target in zip(cases.histories, cases.targets, strict=True):
        kept = encoder.newest(history)
        windows.append(Window(np.append(kept, target).astype(np.int32), len(kept)))
    return windows


def split_windows(
    items: NDArray[np.int32], encoder: Encoder, first_target: int
) -> Iterator[Window]:
    """Cut one sequence into windows that fit, in which all items from `first_target` on are."""
    begins, room = _begins(items, encoder), encoder.room
    split = begins[min(first_target, len(items))]
    # At first as much history as the targets leave room for, or half a window if they are many.
    start = int(np.searchsorted(begins, min(begins[-1] - room, split - room / 2)))
    while first_target < len(items):
        stop = int(np.searchsorted(begins, begins[start] + room, side="right")) - 1
        yield Window(items[start:stop], first_target - start)
        first_target = stop
        if stop < len(items):
            start = _continued(begins, stop, room)


def _continued(begins: NDArray[np.int64], target: int, room: int) -> int:
    """Where a window starts that repeats some of the one before and goes on with a target."""
    wanted = np.searchsorted(begins, begins[target] - _OVERLAP * room, side="right") - 1
    # Long titles: the repeated ones may leave no room for a target.
    oldest = np.searchsorted(begins, begins[target + 1] - room)
    return int(max(wanted, oldest))


def prompt_windows(
    items: NDArray[np.int32], encoder: Encoder, first_target: int
) -> Iterator[Window]:
    """One window for each target, with as much history as fits: one target a prompt."""
    begins = _begins(items, encoder)
    for target in range(first_target, len(items)):
        start = int(np.searchsorted(begins, begins[target + 1] - encoder.room))
        yield Window(items[start : target + 1], target - start)


def _begins(items: NDArray[np.int32], encoder: Encoder) -> NDArray[np.int64]:
    """Tokens before each item and, last, of all, [items + 1]."""
    return np.concatenate([[0], np.cumsum(encoder.titles.lengths[items])])
