import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from asking import asked, exam_of, results_of
from hypothesis import given
from hypothesis import strategies as st
from small_data import dataset_of, items_of

from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import held_out
from genrec_cli.evaluation.metrics import (
    Placement,
    hit_rate,
    mrr,
    ndcg,
    place_in_ranking,
    place_in_scores,
)
from genrec_cli.evaluation.results import Result, Results, figures, row
from genrec_cli.recommenders.base import Items, Ranking, Scores, top_k

NEVER = -math.inf


def scores_of(*rows: Sequence[float]) -> Scores:
    return np.array(rows, dtype=np.float32)


def gain(rank: int, k: int) -> float:
    return 1 / math.log2(rank + 1) if rank <= k else 0.0


@pytest.mark.parametrize(
    ("above", "tied", "k", "hit", "gained"),
    [
        (0, 1, 1, 1.0, 1.0),
        (1, 1, 1, 0.0, 0.0),
        (1, 1, 2, 1.0, 0.6309297535714574),  # 1 / log2(3)
        (4, 1, 5, 1.0, 0.3868528072345416),  # 1 / log2(6)
        (5, 1, 5, 0.0, 0.0),
        (9, 1, 10, 1.0, 0.2890648263178879),  # 1 / log2(11)
        (10, 1, 10, 0.0, 0.0),
        (0, 2, 1, 0.5, 0.5),
        (0, 2, 2, 1.0, 0.8154648767857287),  # (1 + 1 / log2(3)) / 2
        (1, 4, 3, 0.5, 0.2827324383928644),  # (1 / log2(3) + 1 / 2 + 0 + 0) / 4
        (3, 9, 3, 0.0, 0.0),
        (99, 5, 10, 0.0, 0.0),
    ],
)
def test_metrics_by_hand(above: int, tied: int, k: int, hit: float, gained: float) -> None:
    placement = Placement(np.array([above]), np.array([tied]))
    assert hit_rate(placement, k).tolist() == pytest.approx([hit])
    assert ndcg(placement, k).tolist() == pytest.approx([gained])


@pytest.mark.parametrize(
    ("above", "tied", "k", "expected"),
    [
        (0, 1, 1, 1.0),
        (2, 1, 3, 1 / 3),
        (2, 1, 2, 0.0),
        (9, 1, 10, 0.1),
        (10, 1, 10, 0.0),
        (0, 2, 1, 0.5),
        (0, 2, 2, 0.75),  # (1 + 1 / 2) / 2
        (1, 4, 3, 0.20833333333333334),  # (1 / 2 + 1 / 3 + 0 + 0) / 4
        (3, 9, 3, 0.0),
    ],
)
def test_reciprocal_ranks_by_hand(above: int, tied: int, k: int, expected: float) -> None:
    placement = Placement(np.array([above]), np.array([tied]))
    assert mrr(placement, k).tolist() == pytest.approx([expected])


def mean_over_tie_orders(
    scores: Sequence[float], candidates: Sequence[int], target: int, k: int
) -> tuple[float, float, float]:
    """HR, NDCG and MRR, averaged over every order of the candidates that the scores allow."""
    orders = [
        order
        for order in permutations(candidates)
        if all(scores[a] >= scores[b] for a, b in zip(order, order[1:], strict=False))
    ]
    ranks = [order.index(target) + 1 for order in orders]
    hits = sum(rank <= k for rank in ranks) / len(ranks)
    reciprocals = sum(1 / rank for rank in ranks if rank <= k) / len(ranks)
    return hits, sum(gain(rank, k) for rank in ranks) / len(ranks), reciprocals


@given(st.lists(st.integers(0, 2), min_size=2, max_size=6), st.sets(st.integers(0, 5)), st.data())
def test_ties_count_as_the_mean_over_every_order(
    scores: list[int], excluded: set[int], data: st.DataObject
) -> None:
    target = data.draw(st.integers(0, len(scores) - 1))
    k = data.draw(st.integers(1, 7))
    gone = sorted(item for item in excluded if item < len(scores) and item != target)
    candidates = [item for item in range(len(scores)) if item not in gone]
    placement = place_in_scores(scores_of(scores), [items_of(*gone)], items_of(target))
    found = [float(metric(placement, k)[0]) for metric in (hit_rate, ndcg, mrr)]
    expected = mean_over_tie_orders(scores, candidates, target, k)
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("scores", "exclude", "target", "above", "tied"),
    [
        ([9, 8, 7, 6], [], 2, 2, 1),
        ([9, 8, 7, 6], [0], 2, 1, 1),
        ([9, 8, 7, 6], [0, 1], 2, 0, 1),  # excluded items take no place
        ([9, 8, 7, 6], [3], 2, 2, 1),
        ([5, 5, 5, 5], [0, 1], 3, 0, 2),  # and do not share one
        ([9, 8, 7, 6], [2], 2, 4, 1),  # an excluded target is a miss
        ([9, NEVER, NEVER, 6], [], 2, 4, 1),  # not level with what can never be reached either
        ([9, NEVER, 7, 6], [0], 1, 4, 1),
        ([9, math.nan, 7, 6], [], 1, 4, 1),  # without a score it is no hit
        ([9, math.nan, 7, 6], [], 2, 1, 1),
    ],
)
def test_where_a_target_stands(
    scores: list[float], exclude: list[int], target: int, above: int, tied: int
) -> None:
    placement = place_in_scores(scores_of(scores), [items_of(*exclude)], items_of(target))
    assert (placement.above.tolist(), placement.tied.tolist()) == ([above], [tied])


def test_every_user_has_exclusions_of_her_own() -> None:
    scores = np.broadcast_to(scores_of([3, 2, 1]), (2, 3))  # read-only, as popularity's are
    placement = place_in_scores(scores, [items_of(0, 1), items_of()], items_of(2, 2))
    assert placement.above.tolist() == [0, 2]


def test_the_inputs_stay_as_they_were() -> None:
    scores, exclude, targets = scores_of([3, 2, 1], [1, 2, 3]), [items_of(0)] * 2, items_of(2, 0)
    place_in_scores(scores, exclude, targets)
    top_k(scores, exclude, 2, items_of(0, 1, 2))
    np.testing.assert_array_equal(scores, scores_of([3, 2, 1], [1, 2, 3]))
    assert [items.tolist() for items in exclude] == [[0], [0]]
    assert targets.tolist() == [2, 0]


def test_a_target_outside_its_list_is_a_miss_at_every_cutoff() -> None:
    items = np.array([[4, 2], [4, -1]], dtype=np.int32)
    ranking = Ranking(items, scores_of([-1, -2], [-1, NEVER]), np.ones(2, dtype=bool))
    placement = place_in_ranking(ranking, items_of(2, 7))
    assert placement.above.tolist() == [1, 2]
    assert [hit_rate(placement, k).tolist() for k in (1, 2)] == [[0, 0], [1, 0]]


class Lister:
    """Ranks by fixed scores, and gives lists only."""

    name = "lister"

    def __init__(self, scores: Sequence[float]) -> None:
        self.fixed = scores_of(scores)

    def fit(self, dataset: Dataset, seed: int) -> None: ...

    def rank(self, histories: Sequence[Items], k: int, exclude: Sequence[Items]) -> Ranking:
        scores = np.tile(self.fixed, (len(histories), 1))
        return top_k(scores, exclude, k, np.arange(scores.shape[1], dtype=np.int32))

    def identity(self) -> Mapping[str, Any]:
        return {"scores": self.fixed.tolist()}

    def describe(self) -> Mapping[str, Any]:
        return {}


class ScoringLister(Lister):
    """The same, and scores the whole catalog."""

    def scores(self, histories: Sequence[Items]) -> Scores:
        return np.tile(self.fixed, (len(histories), 1))


@pytest.mark.parametrize("kind", [Lister, ScoringLister])
def test_a_target_that_repeats_is_a_miss_where_repeats_are_rare(kind: type[Lister]) -> None:
    # Both have seen 0 and 1; the first comes back to 1.
    dataset = dataset_of([[1, 0, 1], [0, 1, 3]])
    measured = asked(kind([9, 8, 7, 6]), exam_of(dataset, 3))
    assert hit_rate(measured.placement, 3).tolist() == [0, 1]
    assert measured.items.tolist() == [[2, 3, -1], [2, 3, -1]]


@pytest.mark.parametrize("kind", [Lister, ScoringLister])
def test_nothing_is_left_out_where_repeats_are_common(kind: type[Lister]) -> None:
    dataset = dataset_of([[1, 0, 1], [0, 1, 3]], repeats=0.06)
    measured = asked(kind([9, 8, 7, 6]), exam_of(dataset, 4))
    assert measured.placement.above.tolist() == [1, 3]
    assert measured.items.tolist() == [[0, 1, 2, 3], [0, 1, 2, 3]]


def test_what_is_left_out_does_not_tell_that_a_target_repeats() -> None:
    for share in (0.0, 0.06):
        repeating, fresh = (
            held_out(dataset_of([[1, 0, last]], items=4, repeats=share), "test") for last in (1, 3)
        )
        assert repeating.seen[0].tolist() == fresh.seen[0].tolist()


def test_a_row_is_the_mean_of_the_users_of_its_table() -> None:
    exam = exam_of(dataset_of([[0, 1, 2], [1, 0, 3]]), 2)
    results = results_of(exam, [1, 2], ("lister", asked(Lister([9, 8, 7, 6]), exam)))
    table = results.table()
    shown = ["system", "user_id", "item_id", "rank", "tied", "recommended", "exact"]
    assert table.select(shown).to_pylist() == [
        dict(zip(shown, ["lister", "u0", "i2", 1, 1, ["i2", "i3"], True], strict=True)),
        dict(zip(shown, ["lister", "u1", "i3", 2, 1, ["i2", "i3"], True], strict=True)),
    ]
    [result] = results.results
    found = row(result, results)
    assert (found["system"], found["users"]) == ("lister", 2)
    for metric in figures(result.measured[0].placement, [1, 2]):
        assert found[metric] == pytest.approx(np.mean(table[metric].to_pylist()))
        low, high = found[f"{metric}_ci"]
        assert low <= found[metric] <= high
    assert (found["HR@1"], found["HR@2"], found["NDCG@1"]) == (0.5, 1.0, 0.5)


def test_seeds_give_their_mean_and_deviation_and_users_the_mean_over_seeds() -> None:
    exam = exam_of(dataset_of([[0, 1, 2], [1, 0, 3]]), 2)
    both = tuple(asked(Lister(scores), exam) for scores in ([9, 8, 7, 6], [9, 8, 6, 7]))
    result = Result("lister", "baseline", (), (4, 5), both, cached=False)
    results = Results(exam, (1,), 0, (result,))
    found = row(result, results)
    assert (found["HR@1"], found["HR@1_sd"], found["seeds"]) == (0.5, 0, [4, 5])
    assert results.table()["HR@1"].to_pylist() == [0.5, 0.5]  # each is right with one seed
    assert results.table()["rank"].to_pylist() == [1, 2]  # of the first seed


def test_places_without_an_item_and_repeats_lower_the_shares_of_a_list() -> None:
    exam = exam_of(dataset_of([[0, 1, 2], [1, 0, 3]]), 2)
    whole = asked(Lister([9, 8, 7, 6]), exam)
    written = replace(whole, items=np.array([[2, 2], [-1, 3]], dtype=np.int32))
    results = results_of(exam, [1, 2], ("free", written))
    found = row(results.results[0], results)
    assert (found["valid@1"], found["unique@1"]) == (0.5, 0.5)
    assert (found["valid@2"], found["unique@2"]) == (0.75, 0.5)
    assert results.table()["recommended"].to_pylist() == [["i2", "i2"], ["i3"]]


def test_batches_of_users_give_what_one_batch_gives() -> None:
    sequences = [[user % 7, 7, user % 5] for user in range(150)]  # three batches of 64
    exam = exam_of(dataset_of(sequences, items=8), 3)
    cases = exam.cases
    scores = [3.0, 1.0, 2.0, 2.0, 5.0, 0.0, 1.0, 4.0]
    measured = asked(ScoringLister(scores), exam)
    at_once = place_in_scores(scores_of(*[scores] * 150), cases.histories, cases.targets)
    np.testing.assert_array_equal(measured.placement.above, at_once.above)
    np.testing.assert_array_equal(measured.placement.tied, at_once.tied)
    assert measured.items.shape == (150, 3)
