"""What theory says of rankers that are perfect, blind, better or differently scaled."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_data import items_of

from genrec_cli.evaluation.metrics import METRICS, Figures, hit_rate, mrr, ndcg, place_in_scores
from genrec_cli.recommenders.base import Items, Scores

USERS, CATALOG = 3, 8
ROUNDING = 1e-12

SCORES = st.lists(
    st.lists(st.integers(-3, 3), min_size=CATALOG, max_size=CATALOG),
    min_size=USERS,
    max_size=USERS,
).map(lambda rows: np.array(rows, dtype=np.float32))
TARGETS = st.lists(st.integers(0, CATALOG - 1), min_size=USERS, max_size=USERS).map(
    lambda items: items_of(*items)
)
CUTOFFS = st.integers(1, CATALOG)


def measure(scores: Scores, targets: Items, k: int) -> Figures:
    """Every metric of every user, [metrics, users]."""
    placement = place_in_scores(scores, [items_of()] * len(targets), targets)
    return np.stack([metric(placement, k) for metric in METRICS.values()])


def without_knowledge(k: int, candidates: int) -> list[float]:
    """Expected figures of a ranker to which each of the candidates is as good as another."""
    ranks = np.arange(1, min(k, candidates) + 1)
    gains = {
        "HR": np.ones(len(ranks)),  # k of the candidates
        "NDCG": 1 / np.log2(ranks + 1),
        "MRR": 1 / ranks,  # a harmonic number of the candidates
    }
    return [float(gains[name].sum()) / candidates for name in METRICS]


@given(scores=SCORES, targets=TARGETS, k=CUTOFFS)
def test_a_ranker_that_knows_the_target_scores_one(scores: Scores, targets: Items, k: int) -> None:
    scores[np.arange(USERS), targets] = 4
    assert (measure(scores, targets, k) == 1).all()


@given(scores=SCORES, targets=TARGETS, k=CUTOFFS)
def test_a_ranker_that_shuns_the_target_hits_it_at_the_end_only(
    scores: Scores, targets: Items, k: int
) -> None:
    scores[np.arange(USERS), targets] = -4
    assert ((measure(scores, targets, k) > 0) == (k == CATALOG)).all()


@pytest.mark.parametrize(("k", "seen"), [(1, 0), (5, 0), (3, 4), (7, 4), (8, 0)])
def test_equal_scores_give_exactly_what_chance_expects(k: int, seen: int) -> None:
    scores = np.zeros((1, CATALOG), dtype=np.float32)
    placement = place_in_scores(scores, [np.arange(seen, dtype=np.int32)], items_of(CATALOG - 1))
    found = [float(metric(placement, k)[0]) for metric in METRICS.values()]
    assert found == pytest.approx(without_knowledge(k, CATALOG - seen))


@pytest.mark.parametrize("k", [1, 5])
def test_random_scores_give_on_average_what_chance_expects(k: int) -> None:
    rng, users = np.random.default_rng(0), 40_000
    scores = rng.random((users, CATALOG), dtype=np.float32)
    figures = measure(scores, rng.integers(CATALOG, size=users, dtype=np.int32), k)
    distance = np.abs(figures.mean(axis=1) - without_knowledge(k, CATALOG))
    assert (distance < 4 * figures.std(axis=1) / np.sqrt(users)).all()


@given(scores=SCORES, targets=TARGETS, k=CUTOFFS)
def test_only_the_order_of_the_scores_matters(scores: Scores, targets: Items, k: int) -> None:
    rising = np.exp(scores) * 7 - 100
    np.testing.assert_array_equal(measure(rising, targets, k), measure(scores, targets, k))


@given(scores=SCORES, targets=TARGETS, k=CUTOFFS, data=st.data())
def test_the_numbers_of_the_items_do_not_matter(
    scores: Scores, targets: Items, k: int, data: st.DataObject
) -> None:
    new = items_of(*data.draw(st.permutations(range(CATALOG))))
    moved = np.empty_like(scores)
    moved[:, new] = scores
    np.testing.assert_array_equal(measure(moved, new[targets], k), measure(scores, targets, k))


@given(scores=SCORES, targets=TARGETS, k=CUTOFFS, more=st.integers(1, 4))
def test_a_higher_score_of_the_target_or_a_longer_list_never_hurts(
    scores: Scores, targets: Items, k: int, more: int
) -> None:
    before = measure(scores, targets, k)
    assert (measure(scores, targets, k + more) >= before - ROUNDING).all()
    scores[np.arange(USERS), targets] += more
    assert (measure(scores, targets, k) >= before - ROUNDING).all()


@given(scores=SCORES, targets=TARGETS, k=CUTOFFS)
def test_reciprocal_ranks_fall_faster_than_gains_and_gains_faster_than_hits(
    scores: Scores, targets: Items, k: int
) -> None:
    placement = place_in_scores(scores, [items_of()] * USERS, targets)
    assert (mrr(placement, k) <= ndcg(placement, k) + ROUNDING).all()
    assert (ndcg(placement, k) <= hit_rate(placement, k) + ROUNDING).all()
    np.testing.assert_allclose(mrr(placement, 1), hit_rate(placement, 1))
