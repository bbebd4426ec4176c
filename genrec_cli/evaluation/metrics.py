"""Metrics of one target among a whole catalog, in expectation over ties.

If rank ≤ k, HR@k = 1, NDCG@k = 1 / log2(rank + 1), for with one relevant item the ideal gain is 1
(Järvelin & Kekäläinen 2002), and MRR@k = 1 / rank (Voorhees 1999); else all are 0. If a target
shares its score with e - 1 other items and g items score higher, its rank is uniform on g+1 … g+e;
each metric is the mean over these ranks, in closed form, so that neither luck nor item order
decides.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genrec_cli.recommenders.base import Items, Ranking, Scores

Figures = NDArray[np.float64]


@dataclass(frozen=True)
class Placement:
    """Where the targets of B users stand.

    Attributes:
        above: int64, [B]; items that score higher than the target.
        tied: int64, [B]; items with the target's score, itself included.
    """

    above: NDArray[np.int64]
    tied: NDArray[np.int64]


def place_in_scores(scores: Scores, exclude: list[Items], targets: Items) -> Placement:
    """Where targets stand among fully scored items.

    Args:
        scores: float32, [B, items]; not changed.
        exclude: items that take no place, for each user; a target among them is a miss.
        targets: int32, [B].
    """
    rows = np.arange(len(targets))
    allowed = scores.copy()
    for row, items in enumerate(exclude):
        allowed[row, items] = -np.inf
    target_scores = allowed[rows, targets]
    above = np.count_nonzero(allowed > target_scores[:, None], axis=1)
    tied = np.count_nonzero(allowed == target_scores[:, None], axis=1)
    # A target that can never be reached stands behind every item, not level with the excluded. So
    # does one without a score: nothing compares with NaN, which would count as rank 1.
    never = ~(target_scores > -np.inf)
    return Placement(np.where(never, scores.shape[1], above), np.where(never, 1, tied))


def place_in_ranking(ranking: Ranking, targets: Items) -> Placement:
    """Where targets stand in lists of the k best; a target outside its list counts as a miss."""
    found = ranking.items == targets[:, None]
    k = ranking.items.shape[1]
    above = np.where(found.any(axis=1), found.argmax(axis=1), k)
    return Placement(above.astype(np.int64), np.ones(len(targets), dtype=np.int64))


def hit_rate(placement: Placement, k: int) -> Figures:
    """HR@k of each user, [B]; with one target it equals recall@k.

    Example:
        >>> tied_for_ranks_2_to_5 = Placement(np.array([1]), np.array([4]))
        >>> hit_rate(tied_for_ranks_2_to_5, k=3).tolist()
        [0.5]
    """
    return np.clip((k - placement.above) / placement.tied, 0.0, 1.0)


def ndcg(placement: Placement, k: int) -> Figures:
    """NDCG@k of each user, [B].

    Example:
        >>> rank_1_and_rank_3 = Placement(np.array([0, 2]), np.array([1, 1]))
        >>> ndcg(rank_1_and_rank_3, k=10).round(9).tolist()
        [1.0, 0.5]
    """
    return _expected(placement, 1.0 / np.log2(np.arange(1, k + 1) + 1.0))


def mrr(placement: Placement, k: int) -> Figures:
    """Reciprocal rank of each user, [B], and 0 behind rank k; its mean over users is MRR@k.

    Example:
        >>> rank_2_and_a_tie_for_ranks_1_and_2 = Placement(np.array([1, 0]), np.array([1, 2]))
        >>> mrr(rank_2_and_a_tie_for_ranks_1_and_2, k=10).tolist()
        [0.5, 0.75]
    """
    return _expected(placement, 1.0 / np.arange(1, k + 1))


def _expected(placement: Placement, gains: Figures) -> Figures:
    """Mean gain over the ranks that each target may have; ranks behind the last gain give 0."""
    k = len(gains)
    so_far = np.concatenate([[0.0], np.cumsum(gains)])
    first = np.minimum(placement.above, k)
    last = np.minimum(placement.above + placement.tied, k)
    figures: Figures = (so_far[last] - so_far[first]) / placement.tied
    return figures


METRICS = {"HR": hit_rate, "NDCG": ndcg, "MRR": mrr}
"""Name -> metric, in the order in which tables show them."""
