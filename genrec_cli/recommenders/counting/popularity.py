"""Popularity: the same list for everybody, and the first thing that a model must beat."""

from collections.abc import Sequence

import numpy as np

from genrec_cli.data.dataset import Dataset
from genrec_cli.recommenders.base import Items, Scores
from genrec_cli.recommenders.baseline import Baseline, State


class Popularity(Baseline):
    """Ranks by the number of training events.

    The score is log((count + 1) / sum over the catalog), the add-one estimate of the item's share,
    so that an item nobody touched in training still has a rank.
    """

    name = "popularity"
    source = "Cremonesi, Koren & Turrin 2010 (RecSys): TopPop."
    scale = "log"

    def scores(self, histories: Sequence[Items]) -> Scores:
        """The same scores for every history, float32 [B, items]."""
        return np.broadcast_to(self._scores, (len(histories), len(self._scores)))

    def state(self) -> State:
        """The scores."""
        return {"scores": self._scores}

    def _learn(self, dataset: Dataset, seed: int) -> None:
        smoothed = dataset.train_counts + 1.0
        self._scores: Scores = np.log(smoothed / smoothed.sum()).astype(np.float32)

    def _recall(self, dataset: Dataset, state: State) -> None:
        self._scores = state["scores"]
