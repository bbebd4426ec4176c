"""Markov: what came next after the last item, in other people's histories."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from genrec_cli.data.dataset import Dataset
from genrec_cli.recommenders.base import Items, Scores
from genrec_cli.recommenders.baseline import Baseline, State
from genrec_cli.recommenders.matrices import (
    history_matrix,
    sparse_of,
    sparse_state,
    training_parts,
)


class Markov(Baseline):
    """Ranks by how often an item came right after the last one of the history.

    To the count is added the item's share of all training events. It is less than 1 and so decides
    only between equal counts; items that never came next are ranked by popularity.
    """

    name = "markov"
    source = (
        "First-order Markov chain, estimated by counts: Rendle, Freudenthaler & Schmidt-Thieme "
        "2010 (WWW), their MC without factors; Ludewig & Jannach 2018 (UMUAI). Popularity breaks "
        "ties."
    )

    def scores(self, histories: Sequence[Items]) -> Scores:
        """Transitions from each last item, float32 [B, items]; without one popularity alone."""
        last = history_matrix([history[-1:] for history in histories], len(self._popularity))
        counts: Scores = (last @ self._transitions).toarray()
        return counts + self._popularity

    def state(self) -> State:
        """How often each item came right after each other."""
        return sparse_state("transitions", self._transitions)

    def _learn(self, dataset: Dataset, seed: int) -> None:
        parts, items = training_parts(dataset), len(dataset.titles)
        before = np.concatenate([*(part[:-1] for part in parts), np.empty(0, dtype=np.int32)])
        after = np.concatenate([*(part[1:] for part in parts), np.empty(0, dtype=np.int32)])
        ones = np.ones(len(before), dtype=np.float32)
        self._transitions = csr_array((ones, (before, after)), shape=(items, items))
        self._popularity = _shares(dataset)

    def _recall(self, dataset: Dataset, state: State) -> None:
        self._transitions = sparse_of("transitions", state)
        self._popularity = _shares(dataset)


def _shares(dataset: Dataset) -> Scores:
    counts = dataset.train_counts
    shares: Scores = (counts / (counts.sum() + 1)).astype(np.float32)
    return shares
