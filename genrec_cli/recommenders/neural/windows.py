"""Histories as training batches: windows of events in which each next event is a target."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genrec_cli.recommenders.base import Items

NO_TARGET = -100  # torch's mark for places that the loss passes over


class Batch(NamedTuple):
    """Windows side by side, filled up on the right.

    Attributes:
        inputs: int64, [B, T]; items, and behind a window's end the number of items.
        lengths: int64, [B]; how many of them are real.
        targets: int64, [B, T]; the items that came next, or `NO_TARGET`.
    """

    inputs: Tensor
    lengths: Tensor
    targets: Tensor


def cut(histories: Sequence[Items], length: int, rng: np.random.Generator) -> list[Items]:
    """Windows in which every event but a user's first is a target exactly once.

    Args:
        histories: oldest first; those of fewer than two events give no window.
        length: most targets of a window, which then has one event more.
        rng: where a longer history is cut first; so its cuts move from epoch to epoch.
    """
    windows = []
    for history in histories:
        targets = len(history) - 1
        first = int(rng.integers(1, length + 1)) if targets > length else targets
        starts = [0, *range(first, targets, length)] if targets > 0 else []
        ends = [*starts[1:], targets]
        windows += [history[start : end + 1] for start, end in zip(starts, ends, strict=False)]
    return windows


def batches(
    windows: Sequence[Items], items: int, tokens: int, rng: np.random.Generator
) -> Iterator[Batch]:
    """Windows of similar lengths together, in random order.

    Args:
        windows: of at least two events.
        items: size of the catalog, the number that fills windows up.
        tokens: most places of a batch, if it has more than one window.
        rng: decides the order, and which windows of nearly equal lengths meet.
    """
    lengths = np.array([len(window) - 1 for window in windows])
    order = np.argsort(lengths * rng.uniform(0.9, 1.1, len(lengths)), kind="stable")
    groups: list[list[int]] = [[]]
    longest = 0
    for place in order:
        longest = max(longest, int(lengths[place]))
        if groups[-1] and longest * (len(groups[-1]) + 1) > tokens:
            groups.append([])
            longest = int(lengths[place])
        groups[-1].append(int(place))
    for group in rng.permutation(len(groups)):
        chosen = [windows[place] for place in groups[group]]
        inputs, ends = padded([window[:-1] for window in chosen], items)
        targets, _ = padded([window[1:] for window in chosen], NO_TARGET)
        yield Batch(torch.from_numpy(inputs), torch.from_numpy(ends), torch.from_numpy(targets))


def padded(rows: Sequence[Items], filling: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows side by side, filled up on the right, [B, longest]; and their lengths, [B]."""
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    table = np.full((len(rows), int(lengths.max(initial=1))), filling, dtype=np.int64)
    table[np.arange(table.shape[1]) < lengths[:, None]] = np.concatenate(rows)
    return table, lengths
