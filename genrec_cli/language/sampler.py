"""The order of training windows: random, known from seed and epoch, and with little padding."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

_BATCHES_IN_A_POOL = 50


class LengthGroupedOrder(torch.utils.data.Sampler[int]):
    """Shuffles windows, then sorts by length within pools of some batches, then shuffles batches.

    The order depends on nothing but the seed and the epoch, so a resumed run goes on with the
    order that an uninterrupted one would have had.

    Args:
        lengths: tokens of each window.
        batch_size: windows that are read together.
        seed: of the shuffling.
    """

    def __init__(self, lengths: NDArray[np.int64], batch_size: int, seed: int) -> None:
        self._lengths = lengths
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order is next; the Trainer calls this."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self._seed, self._epoch])
        order = rng.permutation(len(self._lengths))
        pool = self._batch_size * _BATCHES_IN_A_POOL
        batches = []
        for start in range(0, len(order), pool):
            part = order[start : start + pool]
            part = part[np.argsort(-self._lengths[part], kind="stable")]
            batches += [
                part[i : i + self._batch_size] for i in range(0, len(part), self._batch_size)
            ]
        whole = [batch for batch in batches if len(batch) == self._batch_size]
        rest = [batch for batch in batches if len(batch) < self._batch_size]
        # Batches that are not whole come last, else they would shift the bounds of all others.
        for batch in [*(whole[i] for i in rng.permutation(len(whole))), *rest]:
            yield from (int(i) for i in batch)
