"""Rules: what came soon after, and what goes with it; the strongest of the counting models."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from genrec_cli.core.progress import Progress
from genrec_cli.data.dataset import Dataset
from genrec_cli.recommenders.base import Items, Scores
from genrec_cli.recommenders.baseline import Baseline, Settings, State
from genrec_cli.recommenders.counting.links import built, compact, cosines, followed, scaled
from genrec_cli.recommenders.matrices import sparse_of, sparse_state, training_parts

_WINDOW: Final = 10  # events after the first that a rule may span


class Rules(Baseline):
    """Sequential rules from the items of the history, mixed with item-kNN.

    A rule a -> b gains 1 - (d - 1) / 10 for every b that came d = 1 … 10 events after an a in
    training. Its strength is that sum divided by (events of a)**confidence: with 0 the rule's
    support, with 1 its confidence. Rules and cosine similarities are brought to the same total and
    added, with weights 1 - share and share. The score of an item sums these links from the items of
    the history, each weighted by decay**age, its age counted in events.
    """

    name = "rules"
    source = (
        "Ludewig & Jannach 2018 (UMUAI): sequential rules with linear weights, here from all of "
        "the history, not its last item alone; plus item-kNN (Deshpande & Karypis 2004, TOIS)."
    )
    grid = tuple(
        {"decay": decay, "confidence": confidence, "share": share}
        for decay in (0.7, 0.8, 0.5)
        for confidence in (0.0, 1.0)
        for share in (0.6, 0.3)
    )

    def use(self, settings: Settings) -> None:
        """Mix rules and similarities by other settings."""
        super().use(settings)
        events = np.maximum(self._counts, 1).astype(np.float32)
        rules = scaled(self._rules, events ** np.float32(-settings["confidence"]))
        share = settings["share"]
        mixed = _levelled(rules, 1 - share) + _levelled(self._similar, share)
        self._links = compact(csr_array(mixed))

    def scores(self, histories: Sequence[Items]) -> Scores:
        """Weighted sums of links, float32 [B, items]."""
        return followed(self._links, histories, self.settings["decay"])

    def state(self) -> State:
        """Supports of the rules, and similarities."""
        return {**sparse_state("rules", self._rules), **sparse_state("similar", self._similar)}

    def _learn(self, dataset: Dataset, seed: int) -> None:
        self._counts = dataset.train_counts
        self._similar = cosines(dataset, self._places, self.progress, self.name)
        self._rules = _supports(training_parts(dataset), self._places, self.progress)

    def _recall(self, dataset: Dataset, state: State) -> None:
        self._counts = dataset.train_counts
        self._similar = sparse_of("similar", state)
        self._rules = sparse_of("rules", state)


def _levelled(links: csr_array, level: float) -> csr_array:
    """The same links with the average item's in total at a level."""
    total = links.sum(dtype=np.float64)
    factor = level * links.shape[0] / total if total else 0.0
    return csr_array(links * np.float32(factor))


def _supports(parts: Sequence[Items], places: NDArray[np.int32], progress: Progress) -> csr_array:
    """Distance-weighted counts of what came after what, float32 [items, items]."""
    items = len(places)
    events = np.concatenate([*parts, np.empty(0, dtype=np.int32)])
    lengths = np.array([len(part) for part in parts], dtype=np.int64)
    ends = np.repeat(np.cumsum(lengths), lengths)
    by_item = np.argsort(events, kind="stable")
    pointers = np.concatenate([[0], np.cumsum(np.bincount(events, minlength=items))])

    def block(start: int, stop: int) -> csr_array:
        found = by_item[pointers[start] : pointers[stop]]
        counts = csr_array((stop - start, items), dtype=np.float32)
        for distance in range(1, _WINDOW + 1):
            found = found[found + distance < ends[found]]
            weights = np.full(len(found), 1 - (distance - 1) / _WINDOW, dtype=np.float32)
            pair = events[found] - start, events[found + distance]
            counts = counts + csr_array((weights, pair), shape=counts.shape)
        return csr_array(counts)

    return built(block, places, progress, "rules: what came after what")
