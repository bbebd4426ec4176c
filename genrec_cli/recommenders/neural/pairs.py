"""Histories as training batches: each item against others that its user has not touched."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genrec_cli.recommenders.base import Items

NEGATIVES: Final = 4  # a target; He et al. found 3 to 6 best
_OF_ONE_USER: Final = 32  # targets that share one reading of a history
_TARGETS: Final = 1024  # of a batch


class Pairs(NamedTuple):
    """Targets and their negatives, beside the histories that the targets are from.

    Attributes:
        read: int64, [events]; the items of B histories, one behind another.
        starts: int64, [B]; where each begins.
        sizes: int64, [B]; how many items each has.
        owners: int64, [N]; which of the B histories each target is from.
        asked: int64, [N, 1 + NEGATIVES]; the target, then items drawn from the whole catalog.
        counted: bool, [N, 1 + NEGATIVES]; not those drawn ones that are in the history after all.
    """

    read: Tensor
    starts: Tensor
    sizes: Tensor
    owners: Tensor
    asked: Tensor
    counted: Tensor


class Pairing:
    """Makes batches in which every item of every history is a target once.

    Args:
        histories: without repeats, in ascending order, of at least two items.
        items: size of the catalog.
    """

    def __init__(self, histories: Sequence[Items], items: int) -> None:
        self._histories, self._items = histories, items
        owned = [row * items + part.astype(np.int64) for row, part in enumerate(histories)]
        self._known = np.concatenate(owned)  # ascending

    def epoch(self, rng: np.random.Generator) -> Iterator[Pairs]:
        """All batches, in an order and with negatives of the generator."""
        shares = [
            (row, share)
            for row, history in enumerate(self._histories)
            for share in np.array_split(rng.permutation(history), -(-len(history) // _OF_ONE_USER))
        ]
        order = rng.permutation(len(shares))
        ends = np.cumsum([len(shares[place][1]) for place in order])
        for group in np.split(order, np.flatnonzero(np.diff(ends // _TARGETS)) + 1):
            rows, targets = zip(*(shares[place] for place in group), strict=True)
            yield self._batch(np.array(rows), targets, rng)

    def _batch(
        self, rows: NDArray[np.int64], targets: Sequence[Items], rng: np.random.Generator
    ) -> Pairs:
        histories = [self._histories[row] for row in rows]
        sizes = np.array([len(history) for history in histories])
        owners = np.repeat(np.arange(len(rows)), [len(share) for share in targets])
        own = np.concatenate(targets).astype(np.int64)[:, None]
        drawn = rng.integers(self._items, size=(len(own), NEGATIVES))
        keys = rows[owners, None] * self._items + drawn
        found = np.searchsorted(self._known, keys).clip(max=len(self._known) - 1)
        strange = self._known[found] != keys
        parts = (
            np.concatenate(histories).astype(np.int64),
            np.cumsum(sizes) - sizes,
            sizes,
            owners,
            np.concatenate([own, drawn], axis=1),
            np.concatenate([np.ones_like(own, dtype=bool), strange], axis=1),
        )
        return Pairs(*map(torch.from_numpy, parts))
