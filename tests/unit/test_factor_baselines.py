"""Baselines that solve for weights: against slow solutions, by hand, and on the reference data."""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from preparing import prepare
from small_data import dataset_of, items_of

from genrec_cli.core.errors import WorkspaceError
from genrec_cli.core.progress import SILENT
from genrec_cli.core.settings import PrepareSettings
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.sources import Input, open_log
from genrec_cli.data.split import held_out, without_test
from genrec_cli.evaluation.metrics import hit_rate, ndcg, place_in_scores
from genrec_cli.recommenders.base import Items
from genrec_cli.recommenders.baseline import Baseline, Settings
from genrec_cli.recommenders.factors.als import Als
from genrec_cli.recommenders.factors.content import Content
from genrec_cli.recommenders.factors.ease import MOST_ITEMS, Ease
from genrec_cli.recommenders.factors.pmf import Pmf
from genrec_cli.recommenders.matrices import training_matrix

KINDS: list[type[Baseline]] = [Ease, Als, Pmf, Content]
SHARED = Path(__file__).parents[2].parent / "shared" / "data"
NOBODYS = 0, 0  # two events that are held out
WORDS = ["iron", "stone", "river", "ghost", "house", "night", "king", "road"]

Matrix = NDArray[np.float64]


@pytest.fixture
def world() -> Dataset:
    """40 people of two tastes in 30 items, with titles of one or two words and a number."""
    rng = np.random.default_rng(7)
    tastes = np.repeat([[4.0, 1.0], [1.0, 4.0]], 15, axis=1)
    sequences = [
        rng.choice(30, size=8 + row % 5, replace=False, p=taste / taste.sum()).tolist()
        for row in range(40)
        for taste in [tastes[row % 2]]
    ]
    titles = [f"{WORDS[item % 8]} {WORDS[item % 7]} {item}" for item in range(30)]
    return replace(without_test(dataset_of(sequences, 30)), titles=titles)


def fitted(kind: type[Baseline], dataset: Dataset, settings: Settings | None = None) -> Baseline:
    system = kind()
    system.fit(dataset, 0)
    if settings is not None:
        system.use(settings)
    return system


def cells(dataset: Dataset) -> Matrix:
    found: Matrix = training_matrix(dataset).toarray().astype(np.float64)
    return found


def row_of(history: Sequence[int], items: int) -> Matrix:
    return np.isin(np.arange(items), history).astype(np.float64)


HISTORIES = [items_of(3, 1, 4), items_of(5), items_of(9, 2, 6, 29, 8)]


# EASE


@pytest.mark.parametrize("strength", [100.0, 300.0])
def test_ease_solves_a_ridge_regression_for_each_item_without_itself(
    world: Dataset, strength: float
) -> None:
    x = cells(world)
    weights = np.zeros((30, 30))
    for item in range(30):
        others = np.delete(np.arange(30), item)
        # Rows of sqrt(lambda) pull the weights of a least-squares fit to zero.
        rows = np.vstack([x[:, others], np.sqrt(strength) * np.eye(29)])
        goal = np.concatenate([x[:, item], np.zeros(29)])
        weights[others, item] = np.linalg.lstsq(rows, goal, rcond=None)[0]
    system = fitted(Ease, world, {"lambda": strength, "decay": 1.0})
    expected = np.stack([row_of(history.tolist(), 30) @ weights for history in HISTORIES])
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(system.scores(HISTORIES), expected, atol=1e-6)


def test_ease_with_more_items_than_a_tile_is_still_an_inverse() -> None:
    rng = np.random.default_rng(3)
    sequences = [[*rng.choice(1100, 20, replace=False).tolist(), *NOBODYS] for _ in range(300)]
    dataset = dataset_of(sequences, 1100)
    x = cells(dataset)
    inverse = np.linalg.inv(x.T @ x + 300 * np.eye(1100))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    everything = [items_of(item) for item in range(1100)]
    system = fitted(Ease, dataset, {"lambda": 300.0, "decay": 1.0})
    np.testing.assert_allclose(system.scores(everything), weights, atol=1e-7)


def test_a_decay_weighs_the_older_events_of_a_history_less(world: Dataset) -> None:
    system = fitted(Ease, world)
    older, newer, both = system.scores([items_of(3), items_of(7), items_of(3, 7)])
    np.testing.assert_allclose(both, older + newer, atol=1e-6)
    system.use({"lambda": 300.0, "decay": 0.5})
    np.testing.assert_allclose(system.scores([items_of(3, 7)])[0], older / 2 + newer, atol=1e-6)
    np.testing.assert_array_equal(system.scores([items_of(7, 7)])[0], newer)


@pytest.mark.parametrize("items", [MOST_ITEMS + 1, 10 * MOST_ITEMS])
def test_ease_refuses_a_catalog_that_it_cannot_invert(items: int) -> None:
    trouble = Ease.trouble(items)
    assert trouble is not None
    assert f"{items:,}" in trouble
    with pytest.raises(WorkspaceError, match=f"ease .*{items:,} items") as caught:
        Ease().fit(dataset_of([[0, 1, 2]], items), 0)
    assert caught.value.fix is not None
    assert "--exclude ease" in caught.value.fix


def test_ease_refuses_what_would_take_over_half_of_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Ease.trouble(100) is None
    small = psutil.virtual_memory()._replace(available=2 * 12 * 100**2 - 1)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: small)
    assert Ease.trouble(99) is None
    assert "memory" in str(Ease.trouble(100))


# Factors


def gradient(person: Matrix, factors: Matrix, history: Items, settings: Settings) -> Matrix:
    """Of half the sum of c (r - xᵀy)² + lambda |x|² over one person's cells, in x."""
    wanted = row_of(history.tolist(), len(factors))
    confidence = np.where(wanted == 1, settings.get("alpha", 1), 1)
    errors = wanted - factors @ person
    return settings["lambda"] * person - factors.T @ (confidence * errors)


@pytest.mark.parametrize(
    ("kind", "small"),
    [(Als, {"factors": 3, "lambda": 0.5, "alpha": 6}), (Pmf, {"factors": 3, "lambda": 0.5})],
)
def test_the_factors_of_a_history_are_the_best_given_those_of_the_items(
    kind: type[Als] | type[Pmf], small: Settings, world: Dataset
) -> None:
    system = kind()
    system.fit(world, 0)
    histories = [*HISTORIES, items_of(4, 4, 4)]
    for settings in [*system.grid, small]:
        system.use(settings)
        factors = system.item_factors.astype(np.float64)
        for history, person in zip(histories, system.people(histories), strict=True):
            slope = gradient(person.astype(np.float64), factors, history, settings)
            np.testing.assert_allclose(slope, 0, atol=1e-4)
        expected = system.people(histories) @ system.item_factors.T
        np.testing.assert_allclose(system.scores(histories), expected, atol=1e-6)


def test_pmf_is_where_alternating_least_squares_ends(world: Dataset) -> None:
    r, strength, rng = cells(world), 0.7, np.random.default_rng(1)
    items: NDArray[Any] = rng.standard_normal((30, 5))
    for _ in range(3000):
        people = np.linalg.solve(items.T @ items + strength * np.eye(5), items.T @ r.T).T
        items = np.linalg.solve(people.T @ people + strength * np.eye(5), people.T @ r).T
    system = fitted(Pmf, world, {"factors": 5, "lambda": strength})
    histories = [items_of(*np.flatnonzero(row)) for row in r]
    np.testing.assert_allclose(system.scores(histories), people @ items.T, atol=1e-4)


def test_pmf_finds_as_much_in_a_large_matrix_as_a_whole_decomposition() -> None:
    rng = np.random.default_rng(5)
    sequences = [[*rng.choice(300, 25, replace=False).tolist(), *NOBODYS] for _ in range(280)]
    dataset = dataset_of(sequences, 300)
    r = cells(dataset)
    left, values, right = np.linalg.svd(r, full_matrices=False)
    expected = (left[:, :64] * np.maximum(values[:64] - 5, 0)) @ right[:64]
    system = fitted(Pmf, dataset, {"factors": 64, "lambda": 5})
    histories = [items_of(*np.flatnonzero(row)) for row in r]
    np.testing.assert_allclose(system.scores(histories), expected, atol=1e-5)


def test_als_comes_to_rest_where_the_items_are_the_best_given_the_people(world: Dataset) -> None:
    class Patient(Als):
        sweeps = 300

    settings = {"factors": 3, "lambda": 1.0, "alpha": 3.0}
    system = Patient()
    system.fit(world, 0)
    system.use(settings)
    r = cells(world)
    histories = [items_of(*np.flatnonzero(row)) for row in r]
    people = system.people(histories).astype(np.float64)
    for item, factors in enumerate(system.item_factors.astype(np.float64)):
        fans = items_of(*np.flatnonzero(r[:, item]))
        np.testing.assert_allclose(gradient(factors, people, fans, settings), 0, atol=1e-2)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (Als, {"factors": 2, "lambda": 0.1, "alpha": 4}),
        (Pmf, {"factors": 2, "lambda": 0.1}),
    ],
)
def test_two_planted_tastes_are_recovered(kind: type[Baseline], settings: Settings) -> None:
    rng = np.random.default_rng(2)
    sequences = [
        [*(rng.permutation(10)[:6] + 10 * (row % 2)).tolist(), *NOBODYS] for row in range(60)
    ]
    system = fitted(kind, dataset_of(sequences, 20), settings)
    first, second = system.scores([items_of(0, 1), items_of(12)])
    assert first[2:10].min() > 5 * np.abs(first[10:]).max()
    assert second[10:].min() > 5 * np.abs(second[:10]).max()


def test_pmf_that_shrinks_everything_away_ranks_by_popularity() -> None:
    dataset = dataset_of([[0, 1, *NOBODYS], [1, 2, *NOBODYS], [1, *NOBODYS]], 3)
    system = fitted(Pmf, dataset, {"factors": 2, "lambda": 100.0})
    assert not system.scores([items_of(0)]).any()
    assert system.rank([items_of(0)], 1, [items_of(0)]).items.tolist() == [[1]]


# Content


def test_content_compares_words_by_how_rare_they_are() -> None:
    titles = ["Iron Man", "Iron Giant", "The Man", "The Tree", "The Road"]
    dataset = replace(dataset_of([[0, 1, 2, 3, 4]], 5), titles=titles)
    scores = fitted(Content, dataset).scores([items_of(0), items_of(3)])
    assert scores[0, 0] == pytest.approx(1)
    assert scores[0, 1] == pytest.approx(scores[0, 2], abs=0.15)
    assert scores[0, 3:].tolist() == [0, 0]
    # "The" stands in three titles of five, and in nothing that "Iron Giant" has.
    assert scores[1, 1] == 0
    assert 0 < scores[1, 4] < scores[0, 1]


def test_content_by_hand() -> None:
    dataset = replace(dataset_of([[0, 1, 2]], 3), titles=["red fox", "Red", "owl"])
    # idf = ln((1 + titles) / (1 + titles with the term)) + 1, as scikit-learn smooths it.
    red, rare = np.log(4 / 3) + 1, np.log(4 / 2) + 1
    fox = np.array([red, rare, rare, 0]) / np.sqrt(red**2 + 2 * rare**2)  # red, fox, red fox, owl
    vectors = np.array([fox, [1, 0, 0, 0], [0, 0, 0, 1]])
    profile = 0.25 * vectors[0] + 0.5 * vectors[2] + vectors[1]
    system = fitted(Content, dataset, {"decay": 0.5})
    found = system.scores([items_of(0, 2, 1)])[0]
    np.testing.assert_allclose(found, vectors @ profile / np.linalg.norm(profile), atol=1e-6)


def test_a_title_without_words_is_like_nothing() -> None:
    dataset = replace(dataset_of([[0, 1, 2]], 3), titles=["!!!", "Owl", "???"])
    assert fitted(Content, dataset).scores([items_of(0)]).tolist() == [[0, 0, 0]]


# All of them


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_finite_float32_of_every_item(kind: type[Baseline], world: Dataset) -> None:
    system = kind()
    system.fit(world, 0)
    for settings in system.grid:
        system.use(settings)
        scores = system.scores(HISTORIES)
        assert scores.dtype == np.float32
        assert scores.shape == (3, 30)
        assert np.isfinite(scores).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_restored_baseline_is_as_the_fitted_one(kind: type[Baseline], world: Dataset) -> None:
    for settings in kind.grid:
        system = fitted(kind, world, settings)
        kept = io.BytesIO()
        np.savez(kept, allow_pickle=False, **system.state())
        again = kind()
        kept.seek(0)
        again.restore(world, dict(np.load(kept)), settings)
        assert again.describe() == system.describe()
        np.testing.assert_array_equal(again.scores(HISTORIES), system.scores(HISTORIES))
        again.use(kind.grid[0])
        expected = fitted(kind, world).scores(HISTORIES)
        np.testing.assert_allclose(again.scores(HISTORIES), expected, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_trying_other_settings_and_coming_back_changes_nothing(
    kind: type[Baseline], world: Dataset
) -> None:
    system = fitted(kind, world)
    before = system.scores(HISTORIES).copy()
    for settings in [*kind.grid, kind.grid[0]]:
        system.use(settings)
    np.testing.assert_array_equal(system.scores(HISTORIES), before)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_seeds_give_equal_scores_and_only_als_depends_on_them(
    kind: type[Baseline], world: Dataset
) -> None:
    scores = []
    for seed in (1, 1, 2):
        system = kind()
        system.fit(world, seed)
        scores.append(system.scores(HISTORIES))
    np.testing.assert_array_equal(scores[0], scores[1])
    assert np.array_equal(scores[0], scores[2]) != kind.random
    assert kind.random == (kind is Als)


@pytest.mark.parametrize("kind", [Ease, Pmf, Content])
def test_renumbering_the_items_renumbers_the_scores(kind: type[Baseline], world: Dataset) -> None:
    numbers = np.random.default_rng(4).permutation(30).astype(np.int32)  # new number of each item
    old = np.argsort(numbers)
    renumbered = replace(
        world,
        items=numbers[world.items],
        titles=[world.titles[item] for item in old],
        train_counts=world.train_counts[old],
    )
    scores = fitted(kind, world).scores(HISTORIES)
    moved = fitted(kind, renumbered).scores([numbers[history] for history in HISTORIES])
    np.testing.assert_allclose(moved[:, numbers], scores, atol=1e-5)


@pytest.mark.parametrize("kind", [Ease, Als, Pmf])
def test_held_out_items_are_not_learnt_from(kind: type[Baseline], world: Dataset) -> None:
    other = world.items.copy()
    other[world.bounds.validation] = 29 - other[world.bounds.validation]
    scores = fitted(kind, world).scores(HISTORIES)
    again = fitted(kind, replace(world, items=other)).scores(HISTORIES)
    np.testing.assert_array_equal(again, scores)


@pytest.mark.realdata
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} is not there")
def test_ease_on_movielens_1m_reaches_the_reference() -> None:
    path = SHARED / "ml-1m.zip"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    # All 3,706 rated items: without the 290 that fewer than five people rated, HR@5 is .0629.
    kept = PrepareSettings(ties="file", min_user=1, min_item=1)
    dataset = prepare(open_log(Input("movielens", path), SHARED, SILENT), kept).dataset
    system = fitted(Ease, without_test(dataset), {"lambda": 300.0, "decay": 1.0})
    totals = np.zeros(4)
    cases = held_out(dataset, "test")
    for part in cases.batches(64):
        place = place_in_scores(system.scores(part.histories), part.seen, part.targets)
        totals += [metric(place, k).sum() for k in (5, 10) for metric in (hit_rate, ndcg)]
    assert (totals / len(cases)).round(4).tolist() == [0.0624, 0.0388, 0.1088, 0.0536]
