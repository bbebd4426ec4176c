"""A bench is moved by nothing but what systems know; and nobody knows the answers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asking import asked, exam_of, results_of, two_tastes
from numpy.typing import NDArray
from small_data import dataset_of

from genrec_cli.core.progress import SILENT
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import Cut, bounds, without_test
from genrec_cli.evaluation.evidence.comparison import compare
from genrec_cli.evaluation.fitting import Fitter
from genrec_cli.evaluation.metrics import METRICS
from genrec_cli.evaluation.protocol import Exam, Measured, measure
from genrec_cli.evaluation.results import Result, row
from genrec_cli.recommenders.base import Items, Ranking, Recommender, Scores, top_k
from genrec_cli.recommenders.baseline import Baseline
from genrec_cli.recommenders.baselines import CLASSICAL

CUTOFFS = (1, 5, 10)
CLOCK = ("fit_seconds", "rank_seconds", "peak_gb")


def figures_of(measured: Measured, exam: Exam) -> dict[str, Any]:
    """A row of the table, without what a clock says."""
    results = results_of(exam, CUTOFFS, ("it", measured))
    own = row(results.results[0], results)
    return {name: value for name, value in own.items() if name not in CLOCK}


# Names, numbers and orders do not matter.


def users_moved(dataset: Dataset, order: NDArray[np.int64]) -> Dataset:
    """The same people in another order and by other ids."""
    sequences = [dataset.sequence(user).tolist() for user in order]
    moved = dataset_of(sequences, len(dataset.titles))
    names = [f"p{place:03}" for place in range(len(order))]
    return replace(moved, titles=dataset.titles, user_ids=names)


def items_moved(dataset: Dataset, new: NDArray[np.int64]) -> Dataset:
    """The same titles by other numbers and ids."""
    old = np.argsort(new)
    rows = range(len(dataset.user_ids))
    moved = dataset_of([new[dataset.sequence(row)].tolist() for row in rows], len(new))
    return replace(moved, titles=[dataset.titles[item] for item in old])


@pytest.fixture(scope="module")
def world() -> Dataset:
    return two_tastes()


def benched(kind: type[Baseline], dataset: Dataset, shelf: Path) -> tuple[Measured, Exam]:
    """As `genrec bench` does it, settings chosen on validation."""
    exam = exam_of(dataset, max(CUTOFFS))
    return measure(kind(), exam, 0, Fitter(dataset, shelf, SILENT).fit, SILENT), exam


ALIKE = sorted(name for name, kind in CLASSICAL.items() if not kind.random)


@pytest.mark.parametrize("name", ALIKE)
def test_the_order_and_names_of_users_change_nothing(
    name: str, world: Dataset, tmp_path: Path
) -> None:
    order = np.random.default_rng(1).permutation(len(world.user_ids))
    before, exam = benched(CLASSICAL[name], world, tmp_path / "before")
    after, moved = benched(CLASSICAL[name], users_moved(world, order), tmp_path / "after")
    np.testing.assert_array_equal(after.placement.above, before.placement.above[order])
    np.testing.assert_array_equal(after.placement.tied, before.placement.tied[order])
    np.testing.assert_array_equal(after.items, before.items[order])
    same_means(figures_of(after, moved), figures_of(before, exam))


@pytest.mark.parametrize("name", ALIKE)
def test_the_numbers_and_ids_of_items_change_nothing(
    name: str, world: Dataset, tmp_path: Path
) -> None:
    new = np.random.default_rng(2).permutation(len(world.titles))
    before, exam = benched(CLASSICAL[name], world, tmp_path / "before")
    after, moved = benched(CLASSICAL[name], items_moved(world, new), tmp_path / "after")
    np.testing.assert_array_equal(after.placement.above, before.placement.above)
    np.testing.assert_array_equal(after.placement.tied, before.placement.tied)
    np.testing.assert_array_equal(after.items, new[before.items])
    same_means(figures_of(after, moved), figures_of(before, exam))


def same_means(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Equal but for rounding; an interval depends on which users a seed draws."""
    assert one.keys() == other.keys()
    for name, value in one.items():
        if not name.endswith("_ci"):
            assert value == pytest.approx(other[name], abs=1e-12), name


def test_neither_order_nor_company_changes_a_row_or_what_a_test_says(world: Dataset) -> None:
    exam = exam_of(world, 10)
    every = [(name, asked(CLASSICAL[name](), exam)) for name in ("popularity", "markov", "itemknn")]
    alone = {name: figures_of(measured, exam) for name, measured in every}
    for order in ([0, 1, 2], [2, 0, 1], [1, 0]):
        results = results_of(exam, CUTOFFS, *(every[place] for place in order))
        for result in results.results:
            found = row(result, results)
            del found["system"]
            assert {k: v for k, v in found.items() if k not in CLOCK} == {
                k: v for k, v in alone[result.system].items() if k != "system"
            }
        own = {name: figures["NDCG@10"] for name, figures in results.per_user.items()}
        tested = {line.system: line for line in compare("NDCG@10", own, "popularity", 0).rows}
        assert tested["markov"].difference == pytest.approx(
            alone["markov"]["NDCG@10"] - alone["popularity"]["NDCG@10"]
        )
        first = tested["markov"]
        pair = {name: own[name] for name in ("popularity", "markov")}
        [by_itself] = compare("NDCG@10", pair, "popularity", 0).rows
        assert first.p == by_itself.p
        assert first.ci == pytest.approx(by_itself.ci)


# Rankers that theory knows.


class Scored:
    """Gives each person scores that are looked up by her history."""

    name = "scored"

    def __init__(self, scores: Mapping[bytes, NDArray[np.float32]]) -> None:
        self._scores = scores

    def fit(self, dataset: Dataset, seed: int) -> None: ...

    def scores(self, histories: Sequence[Items]) -> Scores:
        return np.stack([self._scores[history.tobytes()] for history in histories])

    def rank(self, histories: Sequence[Items], k: int, exclude: Sequence[Items]) -> Ranking:
        scores = self.scores(histories)
        return top_k(scores, exclude, k, np.arange(scores.shape[1], dtype=np.int32))

    def identity(self) -> Mapping[str, Any]:
        return {}

    def describe(self) -> Mapping[str, Any]:
        return {}


def scored(exam: Exam, scores: NDArray[np.float32]) -> Scored:
    """Row u of the scores goes to case u."""
    histories = exam.cases.histories
    return Scored({h.tobytes(): own for h, own in zip(histories, scores, strict=True)})


def crowd(users: int, items: int) -> Dataset:
    """People without tastes, repeats or equal histories."""
    rng = np.random.default_rng(3)
    return dataset_of([rng.choice(items, 6, replace=False).tolist() for _ in range(users)], items)


def test_a_perfect_ranker_scores_one_everywhere() -> None:
    exam = exam_of(crowd(70, 40), 10)
    scores = np.random.default_rng(4).random((70, 40), dtype=np.float32)
    scores[np.arange(70), exam.cases.targets] = 2
    found = figures_of(asked(scored(exam, scores), exam), exam)
    for name in (f"{metric}@{k}" for metric in METRICS for k in CUTOFFS):
        assert (found[name], found[f"{name}_ci"]) == (1, [1, 1])


def by_chance(k: int, candidates: int) -> dict[str, float]:
    """Expected figures of a ranker to which each of the candidates is as good as another."""
    ranks = np.arange(1, k + 1)
    gains = {"HR": np.ones(k), "NDCG": 1 / np.log2(ranks + 1), "MRR": 1 / ranks}
    return {f"{name}@{k}": float(own.sum()) / candidates for name, own in gains.items()}


def test_a_ranker_to_which_all_are_equal_scores_what_chance_expects() -> None:
    exam = exam_of(crowd(70, 40), 10)
    found = figures_of(asked(scored(exam, np.zeros((70, 40), np.float32)), exam), exam)
    for k in CUTOFFS:
        for name, expected in by_chance(k, 40 - 5).items():  # five have been seen
            assert found[name] == pytest.approx(expected)
            assert found[f"{name}_ci"] == pytest.approx([expected, expected])


def test_a_random_ranker_scores_about_what_chance_expects() -> None:
    users = 5000
    exam = exam_of(crowd(users, 40), 10)
    scores = np.random.default_rng(5).random((users, 40), dtype=np.float32)
    measured = asked(scored(exam, scores), exam)
    figures = Result("random", "baseline", (), (0,), (measured,), cached=False).figures(CUTOFFS)
    for k in CUTOFFS:
        for name, expected in by_chance(k, 40 - 5).items():
            own = figures[name]
            assert abs(own.mean() - expected) < 4 * own.std() / np.sqrt(users), name


# Nobody can read the answers.


def reachable(*roots: Any) -> Iterator[NDArray[Any]]:
    """Every array that leads from some objects, through attributes, containers and `base`."""
    waiting, seen = list(roots), set()
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, np.ndarray):
            yield thing
            waiting.append(thing.base)
        elif isinstance(thing, memoryview):
            yield np.asarray(thing)
        elif isinstance(thing, Mapping):
            waiting += [*thing.keys(), *thing.values()]
        elif isinstance(thing, list | tuple | set):
            waiting += list(thing)
        elif hasattr(thing, "__dict__"):
            waiting += list(vars(thing).values())


class Thief:
    """Remembers all that it gets hold of, and looks up what comes after each history there."""

    name = "thief"

    def __init__(self) -> None:
        self._stolen: list[NDArray[Any]] = []

    def fit(self, dataset: Dataset, seed: int) -> None:
        self._stolen = list(reachable(dataset))

    def rank(self, histories: Sequence[Items], k: int, exclude: Sequence[Items]) -> Ranking:
        stolen = [*self._stolen, *reachable(list(histories), list(exclude))]
        numbers = [part.ravel() for part in stolen if part.dtype.kind == "i"]
        items = np.full((len(histories), k), -1, dtype=np.int32)
        for user, history in enumerate(histories):
            found = dict.fromkeys(item for part in numbers for item in what_follows(part, history))
            first = list(found)[:k]
            items[user, : len(first)] = first
        return Ranking(items, np.zeros(items.shape, np.float32), np.ones(len(items), dtype=bool))

    def identity(self) -> Mapping[str, Any]:
        return {"name": self.name}

    def describe(self) -> Mapping[str, Any]:
        return {}


def what_follows(numbers: NDArray[Any], history: Items) -> list[int]:
    """What comes right after each place where a history stands in a row."""
    length = len(history)
    if len(numbers) <= length:
        return []
    rows = np.lib.stride_tricks.sliding_window_view(numbers, length)[:-1]
    next_ones: list[int] = numbers[length + np.flatnonzero((rows == history).all(axis=1))].tolist()
    return next_ones


def without_luck(users: int = 80) -> Dataset:
    """A target is nobody's first item, nor in another place: what precedes it gives no hint."""
    rng = np.random.default_rng(6)
    middles = [rng.choice(np.arange(10, 40), 5, replace=False).tolist() for _ in range(users)]
    return dataset_of([[u % 10, *middles[u], 40 + u] for u in range(users)], 40 + users)


def by_time(dataset: Dataset) -> Dataset:
    """The same log with a global cut, behind which most people have events after their target."""
    lengths = np.diff(dataset.offsets)
    times = np.concatenate([np.arange(length) for length in lengths])
    shifted = times + np.repeat(np.arange(len(lengths)) % 3, lengths)
    cut = Cut(4, 5)
    return replace(dataset, bounds=bounds(dataset.offsets, shifted, cut))


@pytest.mark.parametrize("split", ["leave-one-out", "global-time"])
def test_a_thief_finds_no_test_target_in_what_the_protocol_gives_it(
    split: str, tmp_path: Path
) -> None:
    dataset = without_luck() if split == "leave-one-out" else by_time(without_luck())
    exam = exam_of(dataset, 10)
    assert len(exam.cases) > 20
    honest = measure(Thief(), exam, 0, Fitter(dataset, tmp_path, SILENT).fit, SILENT)
    assert figures_of(honest, exam)["HR@10"] == 0

    def careless(system: Recommender, seed: int) -> float:
        system.fit(dataset, seed)
        return 0.0

    assert figures_of(measure(Thief(), exam, 0, careless, SILENT), exam)["NDCG@10"] == 1


def test_a_thief_does_find_validation_targets_which_it_may_learn_from(tmp_path: Path) -> None:
    exam = exam_of(without_luck(), 10, "validation")
    found = measure(Thief(), exam, 0, Fitter(exam.dataset, tmp_path, SILENT).fit, SILENT)
    assert figures_of(found, exam)["NDCG@10"] == 1


@pytest.mark.parametrize("name", CLASSICAL)
def test_other_answers_change_no_score(name: str) -> None:
    dataset = two_tastes()
    others = dataset.items.copy()
    last = dataset.offsets[1:] - 1
    others[last] = (others[last] + 11) % len(dataset.titles)
    histories = exam_of(dataset, 10).cases.histories
    scores = []
    for items in (dataset.items, others):
        system = CLASSICAL[name]()
        system.fit(without_test(replace(dataset, items=items)), 0)
        scores.append(system.scores(histories))
    np.testing.assert_array_equal(scores[0], scores[1])
