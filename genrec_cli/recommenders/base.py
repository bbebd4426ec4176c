"""The protocol that everything which can rank speaks, and what its answers look like."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from genrec_cli.data.dataset import Dataset
from genrec_cli.decoding.question import Ranking

__all__ = ["Items", "Ranking", "Recommender", "Scorer", "Scores", "top_k"]

Items = NDArray[np.int32]
Scores = NDArray[np.float32]


class Recommender(Protocol):
    """Something that ranks the catalog for a person."""

    name: str

    def fit(self, dataset: Dataset, seed: int) -> None:
        """Learn from the training part of a dataset; a no-op for what was trained before."""

    def rank(self, histories: Sequence[Items], k: int, exclude: Sequence[Items]) -> Ranking:
        """The k best items for each history, without those of `exclude`.

        Args:
            histories: items that each of B people touched, oldest first.
            k: how many items to return for each.
            exclude: items that must not be returned, for each.
        """

    def describe(self) -> Mapping[str, Any]:
        """Settings and origin, for the record in `metrics.json`."""


@runtime_checkable
class Scorer(Protocol):
    """A recommender that can score the whole catalog cheaply."""

    def scores(self, histories: Sequence[Items]) -> Scores:
        """Natural-log scores of every item, float32 [B, items]; -inf means never."""


def top_k(scores: Scores, exclude: Sequence[Items], k: int) -> Ranking:
    """The k best of fully scored items.

    Equal scores rank by item number, so that the same scores always give the same list.

    Args:
        scores: float32, [B, items]; not changed.
        exclude: items that each of the B people must not get.
        k: length of the lists.
    """
    allowed = scores.copy()
    for row, items in enumerate(exclude):
        allowed[row, items] = -np.inf
    k_there = min(k, allowed.shape[1])
    order = np.argsort(-allowed, axis=1, kind="stable")[:, :k_there].astype(np.int32)
    best = np.take_along_axis(allowed, order, axis=1)
    order[np.isneginf(best)] = -1
    padding = ((0, 0), (0, k - k_there))
    return Ranking(
        items=np.pad(order, padding, constant_values=-1),
        scores=np.pad(best, padding, constant_values=-np.inf),
        exact=np.ones(len(scores), dtype=bool),
    )
