"""A run with an item prior: exact under the mixture, its weight chosen on validation items."""

from typing import Any

import numpy as np
import pytest

from genrec_cli.core.progress import SILENT
from genrec_cli.core.workspace import Workspace
from genrec_cli.data.dataset import Dataset, load_dataset
from genrec_cli.data.split import Cases, held_out, sample_rows
from genrec_cli.evaluation import tuning
from genrec_cli.evaluation.metrics import ndcg, place_in_ranking
from genrec_cli.evaluation.tuning import WEIGHTS, choose_weight
from genrec_cli.recommenders.genrec import GenRec
from genrec_cli.recommenders.hybrid import Hybrid
from genrec_cli.recommenders.counting.popularity import Popularity

from .console import Console


@pytest.fixture(autouse=True)
def few_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """Choose weights by 40 users, not 512: it is the same code, faster."""
    monkeypatch.setattr(tuning, "USERS", 40)


@pytest.fixture(scope="module")
def dataset(trained: Console) -> Dataset:
    return load_dataset(Workspace(trained.workspace).find_dataset("sample"))


@pytest.fixture(scope="module")
def hybrid(trained: Console, dataset: Dataset) -> Hybrid:
    system = Hybrid(GenRec(Workspace(trained.workspace).find_run("sample", "nano-1")), Popularity())
    system.fit(dataset, seed=0)
    return system


@pytest.fixture(scope="module")
def cases(dataset: Dataset) -> Cases:
    return held_out(dataset, "test", np.arange(0, 600, 60))


def test_the_mixture_ranks_as_adding_the_scores_of_all_items_does(
    hybrid: Hybrid, cases: Cases, dataset: Dataset
) -> None:
    items = len(dataset.titles)
    near = 2e-3  # another search makes passes of other shapes, which bfloat16 rounds otherwise
    whole = hybrid.run.rank(cases.histories, items, cases.seen)
    prior = hybrid.prior.scores(cases.histories)
    for weight, ranking in zip(
        WEIGHTS, hybrid.rank_by_weight(cases.histories, 10, cases.seen, WEIGHTS), strict=True
    ):
        assert ranking.exact.all()
        for user in range(len(cases)):
            listed = whole.items[user][whole.items[user] >= 0]
            added = whole.scores[user][: len(listed)] + np.float32(weight) * prior[user, listed]
            best = np.sort(added)[::-1][:10]
            np.testing.assert_allclose(ranking.scores[user], best, atol=near)
            own = dict(zip(listed.tolist(), added.tolist(), strict=True))
            found = [own[item] for item in ranking.items[user].tolist()]
            np.testing.assert_allclose(found, best, atol=near)


def test_the_weight_is_the_best_on_validation_items(hybrid: Hybrid, dataset: Dataset) -> None:
    choose_weight(hybrid, dataset, 0, SILENT)
    assert list(hybrid.validation) == list(WEIGHTS)
    assert hybrid.weight == max(WEIGHTS, key=lambda weight: hybrid.validation[weight])
    cases = held_out(dataset, "validation", sample_rows(dataset, "validation", 40, 0))
    ranking = hybrid.rank(cases.histories, 10, cases.seen)
    mean = ndcg(place_in_ranking(ranking, cases.targets), 10).mean()
    assert mean == pytest.approx(hybrid.validation[hybrid.weight])


def test_without_a_weight_nothing_is_ranked(trained: Console, cases: Cases) -> None:
    run = GenRec(Workspace(trained.workspace).find_run("sample", "nano-1"))
    with pytest.raises(RuntimeError, match="weight comes first"):
        Hybrid(run, Popularity()).rank(cases.histories, 10, cases.seen)


def test_a_bench_chooses_the_weight_and_tells_it(trained: Console) -> None:
    said = trained.done(
        "bench", "--users", "20", "--systems", "nano-1+popularity,nano-1", "--json"
    ).json
    assert [row["system"] for row in said["rows"]] == ["nano-1+popularity", "nano-1"]
    told: dict[str, Any] = said["systems"]["nano-1+popularity"]
    figures = told["validation_NDCG@10"]
    assert str(told["weight"]) == max(figures, key=lambda weight: figures[weight])
    assert (told["prior"]["name"], told["run"]["name"]) == ("popularity", "nano-1")


@pytest.mark.parametrize("name", ["nano-1+nobody", "nobody+popularity", "popularity+nano-1", "+"])
def test_parts_that_do_not_exist_are_refused(trained: Console, name: str) -> None:
    said = trained("bench", "--systems", name)
    assert said.code == 2
    assert "known are: " in said.err
