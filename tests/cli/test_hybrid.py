"""Two systems as one: exact under the mixture, its weight chosen on validation; or re-ranked."""

from typing import Any

import numpy as np
import pytest

from genrec_cli.core.progress import SILENT
from genrec_cli.core.workspace import Workspace
from genrec_cli.data.dataset import Dataset, load_dataset
from genrec_cli.data.split import Cases, held_out, sample_rows
from genrec_cli.evaluation import tuning
from genrec_cli.evaluation.fitting import Fitter
from genrec_cli.evaluation.metrics import ndcg, place_in_ranking
from genrec_cli.evaluation.tuning import WEIGHTS, choose_weight
from genrec_cli.recommenders.baseline import Baseline
from genrec_cli.recommenders.counting.markov import Markov
from genrec_cli.recommenders.counting.popularity import Popularity
from genrec_cli.recommenders.counting.rules import Rules
from genrec_cli.recommenders.genrec import GenRec
from genrec_cli.recommenders.hybrid import Hybrid, Parent, Reranked
from genrec_cli.recommenders.priors import log_prior

from .console import Console


@pytest.fixture(autouse=True)
def few_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """Choose weights by 40 users, not 512: it is the same code, faster."""
    monkeypatch.setattr(tuning, "USERS", 40)


@pytest.fixture(scope="module")
def dataset(trained: Console) -> Dataset:
    return load_dataset(Workspace(trained.workspace).find_dataset("sample"))


@pytest.fixture(scope="module")
def run(trained: Console, dataset: Dataset) -> GenRec:
    system = GenRec(Workspace(trained.workspace).find_run("sample", "nano-1"))
    system.fit(dataset, seed=0)
    return system


@pytest.fixture(scope="module")
def fitter(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Fitter:
    return Fitter(dataset, tmp_path_factory.mktemp("fitted"), SILENT)


@pytest.fixture(scope="module")
def rules(fitter: Fitter) -> Baseline:
    system = Rules()
    fitter.fit(system, seed=0)
    return system


@pytest.fixture(scope="module", params=[Popularity, Rules], ids=lambda kind: kind.name)
def hybrid(request: pytest.FixtureRequest, run: GenRec, fitter: Fitter, dataset: Dataset) -> Hybrid:
    system = Hybrid(run, request.param())
    fitter.fit(system.prior, seed=0)
    system.join(dataset)
    return system


@pytest.fixture(scope="module")
def cases(dataset: Dataset) -> Cases:
    return held_out(dataset, "test", np.arange(0, 600, 60))


def test_the_mixture_ranks_as_adding_the_scores_of_all_items_does(
    hybrid: Hybrid, cases: Cases, dataset: Dataset
) -> None:
    items = len(dataset.titles)
    near = 2e-3  # another search makes passes of other shapes, which bfloat16 rounds otherwise
    whole = hybrid.main.rank(cases.histories, items, cases.seen)
    prior = log_prior(hybrid.prior, cases.histories, dataset.train_counts)
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


def test_without_a_weight_nothing_is_ranked(run: GenRec, cases: Cases) -> None:
    with pytest.raises(RuntimeError, match="weight comes first"):
        Hybrid(run, Popularity()).rank(cases.histories, 10, cases.seen)


def test_a_mixture_of_baselines_adds_the_logs_of_their_shares(
    rules: Baseline, fitter: Fitter, cases: Cases, dataset: Dataset
) -> None:
    mixture = Hybrid(rules, Markov())
    fitter.fit(mixture, seed=0)
    logs = [
        log_prior(part, cases.histories, dataset.train_counts) for part in (rules, mixture.prior)
    ]
    for part in logs:
        np.testing.assert_allclose(np.exp(part).sum(axis=1), 1, rtol=1e-4)
    assert mixture.weight is not None
    added = logs[0] + np.float32(mixture.weight) * logs[1]
    ranking = mixture.rank(cases.histories, 10, cases.seen)
    for user, seen in enumerate(cases.seen):
        others = np.setdiff1d(np.arange(len(dataset.titles)), seen)
        best = np.sort(added[user, others])[::-1][:10]
        np.testing.assert_allclose(added[user, ranking.items[user]], best)
        assert not set(ranking.items[user].tolist()) & set(seen.tolist())


def ordered(first: Parent, second: Parent, dataset: Dataset) -> Reranked:
    system = Reranked(first, second)
    system.join(dataset)
    return system


def test_a_run_orders_the_hundred_best_of_a_baseline_exactly(
    run: GenRec, rules: Baseline, cases: Cases, dataset: Dataset
) -> None:
    ranking = ordered(rules, run, dataset).rank(cases.histories, 10, cases.seen)
    candidates = rules.rank(cases.histories, 100, cases.seen).items
    whole = run.rank(cases.histories, len(dataset.titles), cases.seen)
    assert ranking.exact.all()
    for user in range(len(cases)):
        scores = dict(zip(whole.items[user].tolist(), whole.scores[user].tolist(), strict=True))
        best = sorted((scores[item] for item in candidates[user].tolist()), reverse=True)[:10]
        found = ranking.items[user].tolist()
        assert set(found) <= set(candidates[user].tolist())
        np.testing.assert_allclose([scores[item] for item in found], best, atol=2e-3)


@pytest.mark.parametrize("first", ["run", "baseline"])
def test_a_baseline_orders_the_hundred_best_of_another_system(
    first: str, run: GenRec, rules: Baseline, fitter: Fitter, cases: Cases, dataset: Dataset
) -> None:
    finder: Parent = run if first == "run" else Popularity()
    if isinstance(finder, Baseline):
        fitter.fit(finder, seed=0)
    ranking = ordered(finder, rules, dataset).rank(cases.histories, 10, cases.seen)
    candidates = finder.rank(cases.histories, 100, cases.seen).items
    scores = rules.scores(cases.histories)
    for user in range(len(cases)):
        best = np.sort(scores[user, candidates[user]])[::-1][:10]
        assert set(ranking.items[user].tolist()) <= set(candidates[user].tolist())
        np.testing.assert_array_equal(scores[user, ranking.items[user]], best)


@pytest.fixture(scope="module")
def benched(trained: Console) -> dict[str, Any]:
    """A bench of two runs in one of each kind, and a run by itself."""
    systems = "nano-1+popularity,popularity:nano-1,nano-1:popularity,popularity+markov,nano-1"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "USERS", 40)
        return trained.done("bench", "--users", "20", "--systems", systems, "--json").json


def test_two_as_one_bring_their_parents_along_and_name_them(
    benched: dict[str, Any],
) -> None:
    kinds = {row["system"]: (row["kind"], row["parents"]) for row in benched["rows"]}
    assert kinds == {
        "nano-1+popularity": ("hybrid", ["nano-1", "popularity"]),
        "popularity:nano-1": ("hybrid", ["popularity", "nano-1"]),
        "nano-1:popularity": ("hybrid", ["nano-1", "popularity"]),
        "popularity+markov": ("hybrid", ["popularity", "markov"]),
        "nano-1": ("run", []),
        "popularity": ("baseline", []),
        "markov": ("baseline", []),
    }
    baselines = [row for row in benched["rows"] if row["kind"] == "baseline"]
    best = max(baselines, key=lambda row: float(row["NDCG@10"]))
    assert benched["comparisons"]["reference"] == best["system"]
    assert all(row["exact"] == 1 for row in benched["rows"])


def test_a_bench_chooses_the_weight_and_tells_it(benched: dict[str, Any]) -> None:
    for name, main, prior in (
        ("nano-1+popularity", "nano-1", "popularity"),
        ("popularity+markov", "popularity", "markov"),
    ):
        told: dict[str, Any] = benched["systems"][name]
        figures = told["validation"]
        assert len(figures) == len(WEIGHTS)
        assert str(told["weight"]) == max(figures, key=lambda weight: figures[weight])
        assert (told["main"]["name"], told["prior"]["name"]) == (main, prior)
    told = benched["systems"]["popularity:nano-1"]
    assert (told["first"]["name"], told["second"]["name"]) == ("popularity", "nano-1")
    assert told["candidates"] == 100


@pytest.mark.parametrize("name", ["nano-1+nobody", "nobody:popularity", "nobody+popularity", "+"])
def test_parts_that_do_not_exist_are_refused(trained: Console, name: str) -> None:
    said = trained("bench", "--systems", name)
    assert said.code == 2
    assert "known are: " in said.err


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("nano-1+nano-1", "write nano-1:nano-1 to re-rank\n"),
        (
            "popularity+nano-1",
            "write popularity:nano-1 to re-rank, or nano-1+popularity to mix\n",
        ),
    ],
)
def test_a_run_is_no_prior(trained: Console, name: str, fix: str) -> None:
    said = trained("bench", "--systems", name)
    assert said.code == 2
    assert said.err == f"error: '{name}': a prior is a baseline, not a run\n  fix: {fix}"


def test_two_as_one_are_not_written_freely(trained: Console) -> None:
    said = trained("bench", "--systems", "popularity:nano-1", "--search", "free")
    assert said.code == 2
    assert "two as one need the trie" in said.err
