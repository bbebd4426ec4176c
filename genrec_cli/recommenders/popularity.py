"""Popularity: the same list for everybody, and the first thing that a model must beat."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from genrec_cli.data.dataset import Dataset
from genrec_cli.recommenders.base import Items, Ranking, Scores, top_k


class Popularity:
    """Ranks by the number of training events.

    The score is log((count + 1) / sum over the catalog), the add-one estimate of the item's share,
    so that an item nobody touched in training still has a rank.
    """

    name = "popularity"

    def fit(self, dataset: Dataset, seed: int) -> None:
        """Count the training events of each item; nothing is random."""
        smoothed = dataset.train_counts + 1.0
        self._scores: Scores = np.log(smoothed / smoothed.sum()).astype(np.float32)

    def scores(self, histories: Sequence[Items]) -> Scores:
        """The same scores for every history, float32 [B, items]."""
        return np.broadcast_to(self._scores, (len(histories), len(self._scores)))

    def rank(self, histories: Sequence[Items], k: int, exclude: Sequence[Items]) -> Ranking:
        """The k most popular items that are not excluded."""
        return top_k(self.scores(histories), exclude, k)

    def describe(self) -> Mapping[str, Any]:
        """It has no settings."""
        return {}
