"""Ids that give answers away are told of wherever a run is: when trained, listed and measured."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from .console import TINY_RUN, Console, Outcome

P5 = ("--method", "p5", "--base-model", "nano-t5")
SYSTEMS = "seq,popularity,seq+popularity,popularity:seq"
LEAKY = {"seq", "seq+popularity", "popularity:seq"}


@pytest.fixture(scope="module")
def made(prepared: Console, tmp_path_factory: pytest.TempPathFactory) -> tuple[Console, Outcome]:
    """A workspace with an untrained P5 run on sequential ids, and what `finetune` said."""
    folder = tmp_path_factory.mktemp("leaky")
    shutil.copytree(prepared.workspace, folder / "workspace")
    config = folder / "tiny.yaml"
    config.write_text(f"{TINY_RUN}items: sequential\n")
    console = Console(folder / "workspace")
    options = ("--name", "seq", "--max-steps", "0", "--config", config)
    return console, console.done("finetune", *P5, *options)


@pytest.fixture(scope="module")
def benched(made: tuple[Console, Outcome]) -> tuple[Path, Outcome]:
    """The folder of a bench with that run, and what `bench` said."""
    console, _ = made
    outcome = console.done("bench", "--users", "8", "--systems", SYSTEMS)
    [folder] = (console.workspace / "bench" / "sample").glob("2*")
    return folder, outcome


def test_the_plan_and_a_note_warn_before_training(made: tuple[Console, Outcome]) -> None:
    _, outcome = made
    plan, _, rest = outcome.err.partition("loading nano-t5")
    rows = [[cell.strip() for cell in line.split("│")] for line in plan.splitlines()]
    assert ["", "method", "p5", ""] in rows
    assert ["", "items written as", "sequential ids, which give answers away", ""] in rows
    assert "warning: sequential ids give answers away. Ids are numbered in order of" in plan
    assert "warning" not in rest
    assert "sequential ids, which give answers away" in outcome.out


def test_the_manifest_says_what_the_ids_are(made: tuple[Console, Outcome]) -> None:
    console, _ = made
    manifest = json.loads((console.workspace / "runs" / "sample" / "seq" / "run.json").read_text())
    found = manifest["item_ids"]
    assert (found["kind"], found["leaks"]) == ("sequential", True)
    assert 0 < found["next_id_hits"] < 1
    assert f"{found['next_id_hits']:.2%} of validation items" in found["meaning"]


@pytest.mark.parametrize("options", [P5, ("--base-model", "nano")])
def test_other_items_are_planned_without_a_warning(
    prepared: Console, options: tuple[str, ...]
) -> None:
    outcome = prepared.done("finetune", *options, "--dry-run", "--json")
    ids = outcome.json["item_ids"]
    told = ids and (ids["kind"], ids["leaks"])
    assert told == (("random", False) if options == P5 else None)
    assert "warning" not in outcome.err


def test_lists_of_runs_show_the_method_and_the_leak(made: tuple[Console, Outcome]) -> None:
    console, _ = made
    [entry] = console.done("runs", "--json").json["runs"]
    assert (entry["method"], entry["items"], entry["leaky_ids"]) == ("p5", "sequential", True)
    assert "p5, sequential ids (leaky)" in console.done("runs").out
    alone = console.done("runs", "seq").out
    assert "p5, sequential ids (leaky)" in alone
    assert "Ids are numbered in order of appearance" in alone


def test_metrics_flag_the_run_and_what_is_made_of_it(benched: tuple[Path, Outcome]) -> None:
    rows = json.loads((benched[0] / "metrics.json").read_text())["rows"]
    assert {row["system"] for row in rows if row.get("leaky_ids")} == LEAKY
    assert {row["system"] for row in rows if "leaky_ids" not in row} == {"popularity"}


def marked(lines: list[str], separator: str) -> dict[str, bool]:
    """System -> whether a mark stands behind its name."""
    names = [line.strip(f" {separator}").split(separator)[0].strip(" ↳") for line in lines]
    return {name.rstrip("‡"): name.endswith("‡") for name in names}


@pytest.mark.parametrize("where", ["terminal", "table.md"])
def test_tables_mark_them_and_say_why(benched: tuple[Path, Outcome], where: str) -> None:
    folder, outcome = benched
    terminal = where == "terminal"
    text = outcome.out if terminal else (folder / where).read_text(encoding="utf-8")
    sign = "│" if terminal else "|"
    found = marked([line for line in text.splitlines() if line.startswith(sign)], sign)
    wanted: dict[str, Any] = dict.fromkeys(LEAKY, True) | {"popularity": False}
    assert {name: found[name] for name in wanted} == wanted
    assert "‡ reads item ids that give answers away" in text


def test_two_benches_compared_mark_them_too(
    made: tuple[Console, Outcome], benched: tuple[Path, Outcome]
) -> None:
    console, _ = made
    console.done("bench", "--users", "9", "--systems", "seq,popularity")
    compare = ("bench", "--compare", "previous", "latest")
    rows = console.done(*compare, "--json").json["rows"]
    assert {row["system"]: row.get("leaky_ids") for row in rows} == {
        "seq": True,
        "popularity": None,
    }
    text = console.done(*compare).out
    found = marked([line for line in text.splitlines() if line.startswith("│")], "│")
    assert (found["seq"], found["popularity"]) == (True, False)
    assert "‡ reads item ids that give answers away" in text


def test_the_page_says_it_at_its_top_and_of_each_system(benched: tuple[Path, Outcome]) -> None:
    page = (benched[0] / "report.html").read_text(encoding="utf-8")
    assert "give answers away: such figures are not to be compared" in page.partition("<main>")[0]
    assert "nano-t5, fine-tuned as p5 on sequential ids." in page
    assert page.count("Its item ids give answers away.") == len(LEAKY)
