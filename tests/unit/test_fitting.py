"""A baseline is fitted once and found again by what it came from; measurements are, too."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from asking import exam_of
from small_data import dataset_of

from genrec_cli.core.errors import WorkspaceError
from genrec_cli.core.progress import SILENT
from genrec_cli.core.workspace import locked
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import held_out
from genrec_cli.evaluation.fitting import Fitter
from genrec_cli.evaluation.keeping import Keeper
from genrec_cli.evaluation.metrics import ndcg, place_in_scores
from genrec_cli.evaluation.protocol import Measured, measure
from genrec_cli.evaluation.running import Runner
from genrec_cli.evaluation.tuning import WEIGHTS
from genrec_cli.recommenders.base import Items, Recommender, Scores
from genrec_cli.recommenders.baseline import Settings
from genrec_cli.recommenders.baselines import CLASSICAL
from genrec_cli.recommenders.counting.markov import Markov
from genrec_cli.recommenders.counting.popularity import Popularity
from genrec_cli.recommenders.hybrid import Hybrid, Reranked


class Counting(Popularity):
    """Popularity that counts how often it learns; a setting of its grid turns it around."""

    __module__ = Popularity.__module__  # by whose code it is known
    name = "counting"
    learnt: ClassVar[list[int]]
    asked: ClassVar[list[int]]
    grid: ClassVar[Sequence[Settings]] = ({"sign": -1.0}, {"sign": 0.0}, {"sign": 1.0})

    def scores(self, histories: Sequence[Items]) -> Scores:
        self.asked.append(len(histories))
        signed: Scores = super().scores(histories) * np.float32(self.settings["sign"])
        return signed

    def _learn(self, dataset: Dataset, seed: int) -> None:
        self.learnt.append(seed)
        self.record["told"] = "by fitting"
        super()._learn(dataset, seed)


class Chancy(Counting):
    """The same, and its seed matters."""

    __module__ = Popularity.__module__
    name = "chancy"
    random = True


class Wider(Counting):
    """The same with another grid."""

    __module__ = Popularity.__module__
    grid = (*Counting.grid, {"sign": 2.0})


class Rewritten(Counting):
    """The same by other code."""

    __module__ = Popularity.__module__

    def identity(self) -> Mapping[str, Any]:
        return {**super().identity(), "code": "rewritten"}


@pytest.fixture(autouse=True)
def nothing_learnt() -> None:
    Counting.learnt, Counting.asked = [], []


@pytest.fixture(scope="module")
def world() -> Dataset:
    """Items 0 and 1 are the most popular; everybody takes one first and the other next to last."""
    rng = np.random.default_rng(0)
    rare = [rng.choice(np.arange(2, 30), 5, replace=False).tolist() for _ in range(40)]
    return dataset_of([[u % 2, *rare[u][1:], 1 - u % 2, rare[u][0]] for u in range(40)], 30)


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    return tmp_path / "fitted"


@pytest.fixture
def fitter(world: Dataset, shelf: Path) -> Fitter:
    return Fitter(world, shelf, SILENT)


def fitted(fitter: Fitter, kind: type[Counting] = Counting, seed: int = 0) -> Counting:
    system = kind()
    fitter.fit(system, seed)
    return system


def folder_of(shelf: Path) -> Path:
    [folder] = shelf.iterdir()
    return folder


@pytest.mark.parametrize("name", CLASSICAL)
def test_a_baseline_is_found_again_as_it_was_fitted(
    name: str, fitter: Fitter, world: Dataset, shelf: Path
) -> None:
    first, second = CLASSICAL[name](), CLASSICAL[name]()
    took = fitter.fit(first, 0)
    assert fitter.fit(second, 0) == pytest.approx(took)
    assert len(list(shelf.iterdir())) == 1
    histories = held_out(world, "test").histories
    np.testing.assert_array_equal(second.scores(histories), first.scores(histories))
    assert json.dumps(second.describe()) == json.dumps(first.describe())


def test_only_the_first_of_two_is_fitted_and_tuned(fitter: Fitter) -> None:
    first = fitted(fitter)
    asked = len(Counting.asked)
    second = fitted(fitter)
    assert (len(Counting.learnt), len(Counting.asked)) == (1, asked)
    assert second.settings == first.settings
    assert second.record == first.record
    assert second.describe()["told"] == "by fitting"


def test_settings_are_those_that_rank_validation_items_best(fitter: Fitter, world: Dataset) -> None:
    system = fitted(fitter)
    tried = system.record["validation"]
    assert [line["settings"] for line in tried] == [dict(own) for own in Counting.grid]
    cases = held_out(world, "validation")
    for line in tried:
        system.use(line["settings"])
        scores = system.scores(cases.histories)
        mean = ndcg(place_in_scores(scores, cases.seen, cases.targets), 10).mean()
        assert line["NDCG@10"] == pytest.approx(mean)
    best = max(tried, key=lambda line: line["NDCG@10"])
    assert best["settings"] == {"sign": 1.0}  # popular items are what people take next
    assert fitted(fitter).settings == {"sign": 1.0}


def test_of_equally_good_settings_the_first_are_chosen(fitter: Fitter) -> None:
    system = fitted(fitter, Wider)  # twice as popular is as popular
    assert system.settings == {"sign": 1.0}


def test_a_system_is_fitted_and_tuned_without_test_targets(
    fitter: Fitter, world: Dataset, tmp_path: Path
) -> None:
    items = world.items.copy()
    items[world.offsets[1:] - 1] = 0
    other = Fitter(replace(world, items=items), tmp_path / "other", SILENT)
    assert fitted(fitter).record == fitted(other).record


def test_another_dataset_grid_or_code_is_fitted_anew(
    fitter: Fitter, world: Dataset, shelf: Path
) -> None:
    fitted(fitter)
    fitted(Fitter(replace(world, manifest={**world.manifest, "hash": "sha256:1"}), shelf, SILENT))
    fitted(fitter, Wider)
    fitted(fitter, Rewritten)
    assert len(Counting.learnt) == 4
    fitted(fitter)
    fitted(fitter, Rewritten)
    assert len(Counting.learnt) == 4


def test_a_seed_counts_only_where_it_changes_something(fitter: Fitter) -> None:
    for seed in (0, 1, 0):
        fitted(fitter, seed=seed)
    assert Counting.learnt == [0]
    for seed in (0, 1, 0, 1):
        fitted(fitter, Chancy, seed)
    assert Counting.learnt == [0, 0, 1]


@pytest.mark.parametrize("kind", [Hybrid, Reranked])
def test_parents_of_a_hybrid_are_found_where_each_alone_was_kept(
    kind: type[Hybrid] | type[Reranked], fitter: Fitter
) -> None:
    fitted(fitter)
    hybrid = kind(Counting(), Markov())
    fitter.fit(hybrid, 0)
    fitted(fitter)
    assert len(Counting.learnt) == 1
    assert hybrid.parents[0].describe()["settings"] == {"sign": 1.0}


def test_the_weight_of_a_mixture_is_the_best_on_validation_items(
    fitter: Fitter, world: Dataset
) -> None:
    mixture = Hybrid(Markov(), Counting())
    fitter.fit(mixture, 0)
    assert list(mixture.validation) == list(WEIGHTS)
    assert mixture.weight == max(WEIGHTS, key=lambda weight: mixture.validation[weight])
    assert mixture.validation[mixture.weight] > min(mixture.validation.values())


# What a kill or a damaged disk leaves.


def test_a_state_without_its_description_is_fitted_again(fitter: Fitter, shelf: Path) -> None:
    fitted(fitter)
    folder = folder_of(shelf)
    (folder / "fitted.json").unlink()  # killed just before it was written
    (folder / "partial-state.npz").write_bytes(b"half")
    fitted(fitter)
    assert len(Counting.learnt) == 2
    assert {path.name for path in folder.iterdir()} == {"fitted.json", "state.npz", ".lock"}


def test_fitting_that_fails_leaves_nothing_that_is_taken_for_fitted(
    fitter: Fitter, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Counting):
        __module__ = Popularity.__module__

        def state(self) -> Mapping[str, Any]:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fitted(fitter, Broken)
    fitted(fitter)
    assert len(Counting.learnt) == 2


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-30])


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def of_nothing(file: Path) -> None:
    file.write_bytes(b"{}")


@pytest.mark.parametrize("damage", [cut_short, emptied, of_nothing, Path.unlink])
@pytest.mark.parametrize("name", ["state.npz", "fitted.json"])
def test_what_is_damaged_is_told_with_its_mending(
    name: str, damage: Callable[[Path], None], fitter: Fitter, shelf: Path
) -> None:
    fitted(fitter)
    folder = folder_of(shelf)
    damage(folder / name)
    if not (folder / "fitted.json").exists():
        fitted(fitter)
        assert len(Counting.learnt) == 2
        return
    with pytest.raises(WorkspaceError, match="fitted counting, is damaged") as caught:
        fitted(fitter)
    assert caught.value.fix == f"rm -r '{folder}', and it is fitted again"


def test_two_cannot_fit_the_same_at_once(fitter: Fitter, shelf: Path) -> None:
    fitted(fitter)
    with locked(folder_of(shelf)), pytest.raises(WorkspaceError, match="in use by another process"):
        fitted(fitter)
    fitted(fitter)


# Measurements.


@pytest.fixture
def keeper(world: Dataset, tmp_path: Path) -> Keeper:
    return Keeper(tmp_path / "measured", exam_of(world, 10))


@pytest.fixture
def measured(keeper: Keeper, fitter: Fitter) -> Measured:
    return measure(Counting(), keeper.exam, 0, fitter.fit, SILENT)


def test_a_measurement_is_read_as_it_was_kept(keeper: Keeper, measured: Measured) -> None:
    assert keeper.recall(Counting(), 0) is None
    keeper.keep(Counting(), 0, measured)
    found = keeper.recall(Counting(), 0)
    assert found is not None
    for name in ("above", "tied"):
        one, other = getattr(found.placement, name), getattr(measured.placement, name)
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    np.testing.assert_array_equal(found.items, measured.items)
    np.testing.assert_array_equal(found.exact, measured.exact)
    assert found.description == measured.description
    assert (found.fit_seconds, found.peak_gb) == (measured.fit_seconds, measured.peak_gb)


def test_a_measurement_belongs_to_its_system_seed_and_exam(
    keeper: Keeper, measured: Measured, world: Dataset
) -> None:
    keeper.keep(Counting(), 0, measured)
    assert keeper.recall(Counting(), 1) is None
    assert keeper.recall(Wider(), 0) is None
    assert keeper.recall(Rewritten(), 0) is None
    exam = keeper.exam
    others = [
        exam_of(world, 5),
        exam_of(world, 10, "validation"),
        replace(exam, cases=exam.cases.part(slice(0, 20))),
        exam_of(replace(world, manifest={**world.manifest, "hash": "sha256:1"}), 10),
    ]
    assert [Keeper(keeper.folder, other).recall(Counting(), 0) for other in others] == [None] * 4
    assert keeper.recall(Counting(), 0) is not None


def test_a_mixture_is_not_taken_for_its_parts_nor_for_one_the_other_way(keeper: Keeper) -> None:
    systems: list[Recommender] = [
        Hybrid(Markov(), Popularity()),
        Hybrid(Popularity(), Markov()),
        Hybrid(Markov(), Popularity(), 1.0),
        Reranked(Markov(), Popularity()),
        Markov(),
    ]
    assert len({json.dumps(system.identity()) for system in systems}) == 5


@pytest.mark.parametrize("damage", [cut_short, emptied, of_nothing, Path.unlink])
@pytest.mark.parametrize("name", ["arrays.npz", "measured.json"])
def test_a_damaged_measurement_is_made_again(
    name: str, damage: Callable[[Path], None], keeper: Keeper, fitter: Fitter
) -> None:
    runner = Runner(fitter, keeper, (0,), SILENT)
    first = runner.run(Counting)
    assert runner.run(Counting).cached
    [folder] = keeper.folder.iterdir()
    damage(folder / name)
    again = runner.run(Counting)
    assert not again.cached
    np.testing.assert_array_equal(again.measured[0].items, first.measured[0].items)
    assert runner.run(Counting).cached


def test_every_seed_is_measured_of_random_systems_and_one_of_others(
    keeper: Keeper, fitter: Fitter
) -> None:
    runner = Runner(fitter, keeper, (3, 4), SILENT)
    assert runner.run(Chancy).seeds == (3, 4)
    assert Counting.learnt == [3, 4]
    assert runner.run(Counting).seeds == (3,)
    mixed = runner.run(lambda: Hybrid(Markov(), Chancy()))
    assert (mixed.seeds, mixed.parents) == ((3, 4), ("markov", "chancy"))
    assert Counting.learnt == [3, 4, 3]
