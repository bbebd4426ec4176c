"""The metrics against `ir_measures`, which asks trec_eval."""

from collections.abc import Sequence

import ir_measures
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ir_measures import RR, Qrel, ScoredDoc, Success, nDCG
from small_data import items_of

from genrec_cli.evaluation.metrics import METRICS, Placement, place_in_ranking, place_in_scores
from genrec_cli.recommenders.base import Ranking

ORACLES = {"HR": Success, "NDCG": nDCG, "MRR": RR}


def mean_by_oracle(lists: Sequence[Sequence[int]], targets: Sequence[int], k: int) -> list[float]:
    """HR@k, NDCG@k and MRR@k of lists of items, best first; one relevant item each."""
    relevant = [Qrel(f"u{user}", f"i{item}", 1) for user, item in enumerate(targets)]
    listed = [
        ScoredDoc(f"u{user}", f"i{item}", -float(place))
        for user, items in enumerate(lists)
        for place, item in enumerate(items)
    ]
    measures = [ORACLES[name] @ k for name in METRICS]
    found = ir_measures.calc_aggregate(measures, relevant, listed)
    return [found[measure] for measure in measures]


def means(placement: Placement, k: int) -> list[float]:
    return [float(metric(placement, k).mean()) for metric in METRICS.values()]


@st.composite
def orders(draw: st.DrawFn) -> tuple[list[list[int]], list[int]]:
    """The catalog in an order of each user's, and a target of each."""
    users, items = draw(st.integers(1, 4)), draw(st.integers(1, 15))
    lists = [draw(st.permutations(range(items))) for _ in range(users)]
    return lists, [draw(st.integers(0, items - 1)) for _ in range(users)]


@given(orders(), st.integers(1, 16))
def test_a_scored_catalog_is_measured_as_trec_eval_measures(
    drawn: tuple[list[list[int]], list[int]], k: int
) -> None:
    lists, targets = drawn
    # The item at place p of a list scores -p.
    scores = -np.argsort(np.array(lists), axis=1).astype(np.float32)
    placement = place_in_scores(scores, [items_of()] * len(lists), items_of(*targets))
    assert means(placement, k) == pytest.approx(mean_by_oracle(lists, targets, k), abs=1e-9)


@given(orders(), st.integers(1, 16), st.data())
def test_a_list_of_the_best_is_measured_as_trec_eval_measures(
    drawn: tuple[list[list[int]], list[int]], k: int, data: st.DataObject
) -> None:
    lists, targets = drawn
    length = data.draw(st.integers(k, 16))
    best = np.full((len(lists), length), -1, dtype=np.int32)
    for row, items in zip(best, lists, strict=True):
        row[: len(items[:length])] = items[:length]
    ranking = Ranking(best, np.zeros(best.shape, np.float32), np.ones(len(best), dtype=bool))
    cut = [items[:length] for items in lists]
    placement = place_in_ranking(ranking, items_of(*targets))
    assert means(placement, k) == pytest.approx(mean_by_oracle(cut, targets, k), abs=1e-9)
