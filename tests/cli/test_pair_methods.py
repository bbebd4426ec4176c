"""P5 and masked GenRec by the same commands as GenRec: train, resume, predict, bench."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from .console import Console

TINY = (
    "max_length: 64\nbatch_size: 16\nlearning_rate: 0.001\nvalidation_users: 8\nevaluations: 1\n"
    "targets_per_user: 2\n"
)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="module")
def paired(
    prepared: Console, config: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Console, dict[str, Any]]:
    """A workspace with a run of each method, and what `finetune --json` said of them."""
    folder = tmp_path_factory.mktemp("paired") / "workspace"
    shutil.copytree(prepared.workspace, folder)
    console, said = Console(folder), {}
    for method, base in (("p5", "nano-t5"), ("masked", "nano-bart")):
        options = ("--base-model", base, "--max-steps", "3", "--config", config, "--json")
        said[method] = console.done("finetune", "--method", method, *options).json
    return console, said


@pytest.mark.parametrize("method", ["p5", "masked"])
def test_a_run_says_what_it_is_and_keeps_what_it_calls_the_items(
    paired: tuple[Console, dict[str, Any]], method: str
) -> None:
    console, said = paired
    base = {"p5": "nano-t5", "masked": "nano-bart"}[method]
    assert said[method]["run"] == f"{method}-{base}-1"
    assert said[method]["settings"]["method"] == method
    folder = Path(said[method]["folder"])
    words = json.loads((folder / "item_words.json").read_text())["words"]
    dataset = json.loads((console.workspace / "data/sample/dataset.json").read_text())
    assert len(words) == len(set(words)) == dataset["items"]
    assert not (folder / "checkpoints").exists()


@pytest.mark.parametrize("run", ["p5-nano-t5-1", "masked-nano-bart-1"])
def test_titles_are_recommended_to_known_users_and_to_strangers(
    paired: tuple[Console, dict[str, Any]], run: str
) -> None:
    console, _ = paired
    told = console.done("predict", "--run", run, "--user", "v001", "-k", "5", "--json").json
    (user,) = told["users"]
    titles = [entry["title"] for entry in user["recommendations"]]
    assert user["exact"]
    assert len(set(titles)) == 5
    assert not set(titles) & set(user["history"])
    scores = [entry["score"] for entry in user["recommendations"]]
    assert scores == sorted(scores, reverse=True)
    film = user["history"][0]
    stranger = console.done("predict", "--run", run, "--history", film, "--json").json["users"][0]
    assert stranger["history"] == [film]
    assert len(stranger["recommendations"]) == 10


def test_a_bench_has_both_beside_baselines_mixtures_and_reranked_lists(
    paired: tuple[Console, dict[str, Any]],
) -> None:
    console, _ = paired
    systems = "popularity,p5-nano-t5-1,masked-nano-bart-1,p5-nano-t5-1+markov,markov:p5-nano-t5-1"
    report = console.done("bench", "--systems", systems, "--users", "40", "--json").json
    assert sorted(row["system"] for row in report["rows"]) == sorted(
        [*systems.split(","), "markov"]
    )
    assert all(row["users"] == 40 for row in report["rows"])
    exact = {row["system"]: row.get("exact") for row in report["rows"]}
    assert exact["p5-nano-t5-1"] == exact["masked-nano-bart-1"] == 1.0


def test_an_unfinished_run_is_resumed(
    paired: tuple[Console, dict[str, Any]], config: Path, tmp_path: Path
) -> None:
    shutil.copytree(paired[0].workspace, tmp_path / "workspace")
    console = Console(tmp_path / "workspace")
    run = console.workspace / "runs" / "sample" / "p5-nano-t5-1"
    words = (run / "item_words.json").read_text()
    (run / "run.json").unlink()
    resumed = console.done("finetune", "--resume", "--json").json
    assert resumed["run"] == run.name
    assert (run / "item_words.json").read_text() == words


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--method", "p5", "--base-model", "nano"), 1, "nano-t5"),
        (("--base-model", "nano-t5"), 1, "--method"),
        (("--method", "p5", "--objective", "paper"), 2, "has its own"),
        (("--method", "masked", "--mask-weight", "1"), 2, "has its own"),
        (("--method", "p5", "--set", "task_weights={sequential: 0, direct: 0}"), 2, "no task"),
        (("--method", "p5", "--set", "task_weights={rating: 1}"), 2, "task_weights"),
        (("--method", "p5", "--set", "items=semantic"), 2, "'items'"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_no_run(
    prepared: Console, options: tuple[str, ...], code: int, said: str
) -> None:
    base = () if "--base-model" in options else ("--base-model", "nano-t5")
    outcome = prepared("finetune", *options, *base)
    assert (outcome.code, said in outcome.err) == (code, True), outcome.err
    assert not list((prepared.workspace / "runs").glob("sample/*"))


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("predict", "--user", "v001", "--search", "free"), "cannot be searched freely"),
        (("predict", "--user", "v001", "--catalog", "{catalog}"), "writes ids"),
    ],
)
def test_ids_can_neither_be_searched_freely_nor_be_given_to_new_titles(
    paired: tuple[Console, dict[str, Any]], command: tuple[str, ...], said: str
) -> None:
    console, _ = paired
    catalog = console.workspace / "data" / "sample" / "catalog.parquet"
    filled = [part.format(catalog=catalog) for part in command]
    outcome = console(*filled, "--run", "p5-nano-t5-1")
    assert (outcome.code, said in outcome.err) == (2, True), outcome.err
