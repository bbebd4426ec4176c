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
        masked: whether only hidden items of it are predicted.
    """

    epoch: int
    window: int
    masked: bool = False


class EndlessOrder(torch.utils.data.Sampler[Draw]):
    """Shuffled epochs, one after the other, as many draws as a run takes.

    Batches go on across the end of an epoch, so each holds exactly as many windows as it should.
    The order depends on nothing but the seed, so a resumed run goes on with the order that an
    uninterrupted one would have had.

    Args:
        windows: how many there are.
        draws: how many are drawn.
        seed: of the shuffling.
        masked: how many of the first draws are for masked-item prediction alone.
    """

    def __init__(self, windows: int, draws: int, seed: int, masked: int = 0) -> None:
        self._windows = windows
        self._draws = draws
        self._seed = seed
        self._masked = masked

    def __len__(self) -> int:
        return self._draws

    def __iter__(self) -> Iterator[Draw]:
        left = self._draws
        epoch = 0
        while left > 0:
            order = np.random.default_rng([self._seed, epoch]).permutation(self._windows)
            drawn = self._draws - left
            for place, window in enumerate(order[:left], start=drawn):
                yield Draw(epoch, int(window), place < self._masked)
            left -= self._windows
            epoch += 1
