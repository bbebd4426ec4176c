"""The order of training windows: random, and known from the seed alone."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch


class Draw(NamedTuple):
    """One window to train on.

    Attributes:
        epoch: how often every window has been drawn before.
        window: its number.
    """

    epoch: int
    window: int


class EndlessOrder(torch.utils.data.Sampler[Draw]):
    """Shuffled epochs, one after the other, as many draws as a run takes.

    Batches go on across the end of an epoch, so each holds exactly as many windows as it should.
    The order depends on nothing but the seed, so a resumed run goes on with the order that an
    uninterrupted one would have had.

    Args:
        windows: how many there are.
        draws: how many are drawn.
        seed: of the shuffling.
    """

    def __init__(self, windows: int, draws: int, seed: int) -> None:
        self._windows = windows
        self._draws = draws
        self._seed = seed

    def __len__(self) -> int:
        return self._draws

    def __iter__(self) -> Iterator[Draw]:
        left = self._draws
        epoch = 0
        while left > 0:
            order = np.random.default_rng([self._seed, epoch]).permutation(self._windows)
            yield from (Draw(epoch, int(window)) for window in order[:left])
            left -= self._windows
            epoch += 1
