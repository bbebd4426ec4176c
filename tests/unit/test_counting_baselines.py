"""Counting baselines by hand and by brute force."""

import io
import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array
from small_data import dataset_of, items_of

from genrec_cli.data.dataset import Dataset
from genrec_cli.recommenders.baseline import Baseline
from genrec_cli.recommenders.baselines import CLASSICAL
from genrec_cli.recommenders.counting.itemknn import ItemKNN
from genrec_cli.recommenders.counting.links import strongest
from genrec_cli.recommenders.counting.markov import Markov
from genrec_cli.recommenders.counting.recency import RecentPopularity
from genrec_cli.recommenders.counting.rules import Rules

KINDS: list[type[Baseline]] = [RecentPopularity, Markov, ItemKNN, Rules]
ITEMS = 7

events = st.lists(st.integers(0, ITEMS - 1), min_size=2, max_size=16)
people = st.lists(events, min_size=1, max_size=6)


def fitted(kind: type[Baseline], sequences: Sequence[Sequence[int]], items: int) -> Baseline:
    system = kind()
    system.fit(dataset_of(sequences, items), 0)
    return system


def scores_of(system: Baseline, history: Sequence[int]) -> NDArray[np.float32]:
    scores: NDArray[np.float32] = system.scores([items_of(*history)])[0]
    return scores


def training(sequences: Sequence[Sequence[int]]) -> list[Sequence[int]]:
    return [sequence[:-2] for sequence in sequences]


def in_order(item: Sequence[int] | NDArray[np.float32]) -> list[int]:
    return sorted(range(len(item)), key=lambda place: -item[place])


# By hand. The last two events of each sequence are held out.


def test_recent_popularity_prefers_what_people_took_last() -> None:
    system = fitted(RecentPopularity, [[0, 0, 0, 1, 2, 2], [0, 0, 0, 1, 2, 2]], 3)
    system.use({"decay": 0.3})
    expected = [2 * (0.3 + 0.09 + 0.027), 2, 0]
    assert scores_of(system, [2]) == pytest.approx(expected)


def test_markov_counts_what_came_right_after_and_breaks_ties_by_popularity() -> None:
    # After 0 came 1 twice and 2 once; 3 is the most popular, 4 was never touched.
    system = fitted(Markov, [[0, 1, 0, 1, 9, 9], [0, 2, 9, 9], [3, 3, 3, 9, 9]], 10)
    scores = scores_of(system, [3, 3, 0])
    assert scores[[1, 2, 0, 3, 4]] == pytest.approx([2 + 2 / 10, 1 + 0.1, 0.3, 0.3, 0])
    assert in_order(scores)[:2] == [1, 2]


def test_itemknn_is_the_cosine_of_the_training_columns() -> None:
    # 0 was touched by 3 users, 1 by 2 of them, 2 by 1 of them; a repeat counts once.
    system = fitted(ItemKNN, [[0, 1, 0, 8, 8], [0, 1, 8, 8], [0, 2, 8, 8]], 9)
    system.use({"decay": 0.5})
    scores = scores_of(system, [1, 0])
    zero_one, zero_two = 2 / np.sqrt(3 * 2), 1 / np.sqrt(3)
    assert scores[[0, 1, 2, 3]] == pytest.approx([0.5 * zero_one, zero_one, zero_two, 0])


def test_rules_weaken_with_distance_and_point_forward_only() -> None:
    system = fitted(Rules, [[0, 1, 2, 8, 8]], 9)
    system.use({"decay": 0.7, "confidence": 0.0, "share": 0.0})
    scores = scores_of(system, [0])
    assert scores[2] == pytest.approx(0.9 * scores[1])
    assert not scores_of(system, [2]).any()


def test_confidence_divides_a_rule_by_the_events_of_its_antecedent() -> None:
    system = fitted(Rules, [[0, 1, 8, 8], [0, 8, 8], [0, 8, 8], [2, 3, 8, 8]], 9)
    system.use({"decay": 0.8, "confidence": 1.0, "share": 0.0})
    scores = scores_of(system, [2, 0])
    assert scores[1] == pytest.approx(scores[3] / 0.8 / 3)


@pytest.mark.parametrize("kind", KINDS)
def test_no_history_and_no_training_events_give_finite_scores(kind: type[Baseline]) -> None:
    system = fitted(kind, [[0, 1], [1, 2]], 3)
    assert system.scores([items_of(), items_of(1)]).tolist() == [[0, 0, 0], [0, 0, 0]]


# By brute force.


def faded(history: Sequence[int], decay: float, links: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = decay ** np.arange(len(history))[::-1]
    sums: NDArray[np.float64] = sum(
        (weight * links[item] for weight, item in zip(weights, history, strict=True)),
        np.zeros(len(links)),
    )
    return sums


def similarities(sequences: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    users = [
        {row for row, part in enumerate(training(sequences)) if item in part}
        for item in range(ITEMS)
    ]
    links = np.zeros((ITEMS, ITEMS))
    for a in range(ITEMS):
        for b in range(ITEMS):
            if a != b and users[a] & users[b]:
                links[a, b] = len(users[a] & users[b]) / np.sqrt(len(users[a]) * len(users[b]))
    return links


def supports(sequences: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    links = np.zeros((ITEMS, ITEMS))
    for part in training(sequences):
        for first, a in enumerate(part):
            for distance, b in enumerate(part[first + 1 :][:10]):
                links[a, b] += 1 - distance / 10
    return links


def levelled(links: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    return links * level * ITEMS / links.sum() if links.any() else links


@given(people, events, st.sampled_from(RecentPopularity.grid))
def test_recent_popularity_against_brute_force(
    sequences: list[list[int]], history: list[int], chosen: dict[str, float]
) -> None:
    system = fitted(RecentPopularity, sequences, ITEMS)
    system.use(chosen)
    expected = np.zeros(ITEMS)
    for part in training(sequences):
        for age, item in enumerate(reversed(part)):
            expected[item] += chosen["decay"] ** age
    assert scores_of(system, history) == pytest.approx(expected, rel=1e-5)


@given(people, events)
def test_markov_against_brute_force(sequences: list[list[int]], history: list[int]) -> None:
    parts = training(sequences)
    flat = [item for part in parts for item in part]
    pairs = [pair for part in parts for pair in zip(part, part[1:], strict=False)]
    keys = [(pairs.count((history[-1], item)), flat.count(item)) for item in range(ITEMS)]
    scores = scores_of(fitted(Markov, sequences, ITEMS), history)
    for one in range(ITEMS):
        for other in range(ITEMS):
            assert (scores[one] > scores[other]) == (keys[one] > keys[other])
    assert np.floor(scores).tolist() == [count for count, _ in keys]


@given(people, events, st.sampled_from(ItemKNN.grid))
def test_itemknn_against_brute_force(
    sequences: list[list[int]], history: list[int], chosen: dict[str, float]
) -> None:
    system = fitted(ItemKNN, sequences, ITEMS)
    system.use(chosen)
    expected = faded(history, chosen["decay"], similarities(sequences))
    assert scores_of(system, history) == pytest.approx(expected, rel=1e-4, abs=1e-6)


@given(people, events, st.sampled_from(Rules.grid))
def test_rules_against_brute_force(
    sequences: list[list[int]], history: list[int], chosen: dict[str, float]
) -> None:
    system = fitted(Rules, sequences, ITEMS)
    system.use(chosen)
    counts = np.bincount([i for part in training(sequences) for i in part] or [0], minlength=ITEMS)
    rules = supports(sequences) / np.maximum(counts, 1)[:, None] ** chosen["confidence"]
    links = levelled(rules, 1 - chosen["share"])
    links = links + levelled(similarities(sequences), chosen["share"])
    expected = faded(history, chosen["decay"], links)
    assert scores_of(system, history) == pytest.approx(expected, rel=1e-4, abs=1e-6)


@given(st.lists(st.lists(st.integers(0, 3), min_size=6, max_size=6), min_size=1), st.data())
def test_the_strongest_links_stay_and_places_decide_between_equal_ones(
    rows: list[list[int]], data: st.DataObject
) -> None:
    places = data.draw(st.permutations(range(6)))
    most = data.draw(st.integers(1, 6))
    links = csr_array(np.array(rows, dtype=np.float32))
    kept = strongest(links, most, np.array(places, dtype=np.int32)).toarray()
    for row, found in zip(rows, kept, strict=True):
        best = sorted(range(6), key=lambda item: (-row[item], places[item]))[:most]
        assert found.tolist() == [row[item] if item in best else 0 for item in range(6)]


# For all of them.


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25)
@given(sequences=people, histories=people, order=st.permutations(range(ITEMS)))
def test_other_item_numbers_only_move_the_scores(
    kind: type[Baseline],
    sequences: list[list[int]],
    histories: list[list[int]],
    order: list[int],
) -> None:
    renamed = [[order[item] for item in sequence] for sequence in sequences]
    before, after = fitted(kind, sequences, ITEMS), fitted(kind, renamed, ITEMS)
    for history in histories:
        moved = scores_of(after, [order[item] for item in history])
        assert moved[order] == pytest.approx(scores_of(before, history), rel=1e-5, abs=1e-7)


def random_dataset(users: int, items: int, length: int) -> Dataset:
    rng = np.random.default_rng(3)
    return dataset_of([*rng.integers(0, items, (users, length)).tolist(), [*range(2000)]], items)


@pytest.mark.parametrize("kind", KINDS)
def test_a_restored_baseline_scores_as_the_fitted_one(kind: type[Baseline]) -> None:
    dataset = random_dataset(200, 3000, 30)
    histories = [dataset.sequence(row) for row in range(5)]
    system, restored = kind(), kind()
    system.fit(dataset, 0)
    system.use(kind.grid[-1])
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **system.state())
    file.seek(0)
    with np.load(file) as state:
        restored.restore(dataset, dict(state), kind.grid[-1])
    scores = restored.scores(histories)
    assert np.array_equal(scores, system.scores(histories))
    assert scores.dtype == np.float32
    assert scores.shape == (5, 3000)


@pytest.mark.parametrize("kind", KINDS)
def test_a_catalog_of_20000_items_needs_no_dense_matrix(kind: type[Baseline]) -> None:
    dataset = random_dataset(1000, 20_000, 30)
    tracemalloc.start()
    system = kind()
    system.fit(dataset, 0)
    system.scores([dataset.sequence(row) for row in range(64)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.2 * 20_000**2 * 4  # of a dense matrix of items


def test_a_large_catalog_keeps_an_even_share_of_links() -> None:
    state = fitted(ItemKNN, [[*range(2000)]], 20_000).state()
    assert np.diff(state["similar.indptr"]).max() == 2**24 // 20_000


def test_events_too_old_to_weigh_anything_change_nothing() -> None:
    system = fitted(ItemKNN, [[0, 1, 8, 8], [2, 3, 8, 8]], 9)
    system.use({"decay": 0.5})
    alone = scores_of(system, [0] * 20)
    assert scores_of(system, [2] * 400 + [0] * 20) == pytest.approx(alone, abs=1e-5)


def test_counting_baselines_come_in_the_order_of_tables() -> None:
    names = ["popularity", "recent", "markov", "itemknn", "rules"]
    assert list(CLASSICAL)[:5] == names
