import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from made_bench import MadeBench, Ranks

from .console import Console

TOYS_HASH = "sha256:00"
RANKS: Ranks = {"u1": 1, "u2": 4}


def day(number: int) -> str:
    return f"2026-11-{number:02}T10:00:00.000000+00:00"


def write(path: Path, document: Mapping[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path.parent


def begun(dataset: str, created: str) -> dict[str, Any]:
    return {
        "format": 2,
        "created": created,
        "dataset": dataset,
        "dataset_hash": TOYS_HASH,
        "base": {"name": "nano", "kind": "nano", "location": ""},
        "settings": {"base_model": "nano", "objective": "paper", "batch_size": 10},
        "origins": {"base_model": "default", "objective": "flag", "batch_size": "preset nano"},
    }


def finished(dataset: str, created: str) -> dict[str, Any]:
    best = {"validation_loss": 6.5, "HR@10": 0.2, "NDCG@10": 0.125}
    return begun(dataset, created) | {
        "plan": {"windows": 1000, "targets": 5000, "parameters": 77},
        "trained": {"last_step": 150, "best_step": 100, "best": best, "before": best},
        "versions": {"genrec": "0.1.0"},
        "wall_seconds": 5400.0,
        "peak_gb": 1.5,
    }


def run_folder(console: Console, name: str, dataset: str = "toys") -> Path:
    return console.workspace / "runs" / dataset / name


def bench(console: Console, at: int, *systems: str, **more: Any) -> Path:
    """A bench of some day."""
    made = MadeBench(dict.fromkeys(systems, RANKS), created=day(at), **more)
    return made.write(console.workspace / "bench" / made.dataset / f"202611{at:02}-100000-000000")


def listed(console: Console, *more: str) -> dict[str, dict[str, Any]]:
    entries = console.done("runs", "--json", *more).json["runs"]
    return {entry["run"]: entry for entry in entries}


@pytest.fixture
def made(console: Console) -> Console:
    """A finished run on day 3, one begun on day 2, one on other data on day 1."""
    write(console.workspace / "data" / "toys" / "dataset.json", {"hash": TOYS_HASH})
    write(run_folder(console, "nano-2") / "run.json", finished("toys", day(3)))
    write(run_folder(console, "nano-1") / "settings.json", begun("toys", day(2)))
    write(run_folder(console, "old", "films") / "run.json", finished("films", day(1)))
    return console


def test_runs_of_all_datasets_are_listed_newest_last(made: Console) -> None:
    assert list(listed(made)) == ["old", "nano-1", "nano-2"]
    assert list(listed(made, "--dataset", "toys")) == ["nano-1", "nano-2"]


def test_a_finished_run_says_what_it_saw_and_reached(made: Console) -> None:
    entry = listed(made)["nano-2"]
    assert entry == {
        "run": "nano-2",
        "dataset": "toys",
        "dataset_state": "same",
        "state": "finished",
        "fault": None,
        "created": day(3),
        "base_model": "nano",
        "method": "genrec",
        "items": "titles",
        "leaky_ids": False,
        "objective": "paper",
        "steps": 150,
        "epochs": 1.5,
        "targets": 7500,
        "wall_seconds": 5400.0,
        "validation": {"validation_loss": 6.5, "HR@10": 0.2, "NDCG@10": 0.125},
        "test": None,
    }
    out = made.done("runs", "--dataset", "toys").out
    for part in ("1.50 epochs, 150 steps", "7,500 targets", "1.5 h", "NDCG@10 .1250", "loss 6.500"):
        assert part in out


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, ("genrec", "titles", False)),
        ({"method": "p5", "items": "auto"}, ("p5", "random", False)),
        ({"method": "masked", "items": "sequential"}, ("masked", "sequential", True)),
    ],
)
def test_method_and_items_are_told_before_a_run_is_finished(
    made: Console, settings: dict[str, str], told: tuple[str, str, bool]
) -> None:
    unfinished = begun("toys", day(2))
    unfinished["settings"] |= settings
    write(run_folder(made, "nano-1") / "settings.json", unfinished)
    entry = listed(made)["nano-1"]
    assert (entry["method"], entry["items"], entry["leaky_ids"]) == told
    assert ("(leaky)" in made.done("runs", "--dataset", "toys").out) == told[2]


def test_the_list_and_the_run_show_what_its_ids_do(made: Console) -> None:
    ids = {"kind": "random", "next_id_hits": 0.0, "leaks": False, "meaning": "They say nothing."}
    run = finished("toys", day(3)) | {"item_ids": ids}
    run["settings"] |= {"method": "p5", "items": "random"}
    write(run_folder(made, "nano-2") / "run.json", run)
    out = made.done("runs").out
    assert "p5, random ids" in out
    assert "genrec, paper, titles" in out  # of the other runs
    assert "leaky" not in out
    assert "They say nothing." in made.done("runs", "nano-2").out
    assert made.done("runs", "nano-2", "--json").json["item_ids"] == ids
    write(run_folder(made, "nano-2") / "run.json", run | {"item_ids": {**ids, "leaks": True}})
    assert "p5, random ids (leaky)" in made.done("runs").out


def test_an_unfinished_run_is_marked_and_says_how_far_it_came(made: Console) -> None:
    lines = [
        {"step": 0, "validation_loss": 9.0, "NDCG@10": 0.5},  # untrained: no checkpoint
        {"step": 10, "loss": 8.0, "seconds": 60.0},
        {"step": 10, "validation_loss": 7.0, "NDCG@10": 0.25},
        {"step": 20, "validation_loss": 6.0, "NDCG@10": 0.125},
        {"step": 23, "loss": 6.0, "seconds": 180.0},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (run_folder(made, "nano-1") / "metrics.jsonl").write_text(text + '{"step": 24, "lo')
    entry = listed(made)["nano-1"]
    assert (entry["state"], entry["steps"], entry["wall_seconds"]) == ("unfinished", 23, 180)
    assert entry["validation"] == {"validation_loss": 7.0, "NDCG@10": 0.25}
    assert "unfinished" in made.done("runs").out


def test_a_run_knows_whether_its_dataset_is_still_the_same(made: Console) -> None:
    assert listed(made)["old"]["dataset_state"] == "gone"
    write(made.workspace / "data" / "toys" / "dataset.json", {"hash": "sha256:ff"})
    assert listed(made)["nano-2"]["dataset_state"] == "changed"
    out = made.done("runs").out
    assert "toys (changed since)" in out
    assert "films (no longer there)" in out


def test_test_figures_are_those_of_the_newest_bench_that_has_them(made: Console) -> None:
    bench(made, 4, "popularity", "nano-2", protocol={"primary": "HR@5"})
    newest = bench(made, 5, "nano-2", "popularity")
    bench(made, 6, "popularity")
    bench(made, 7, "nano-2", protocol={"split": "leave-one-out, validation"})
    bench(made, 8, "nano-2", dataset="films")
    [row, _] = json.loads((newest / "metrics.json").read_text())["rows"]
    shown = ("HR@10", "HR@10_ci", "NDCG@10", "NDCG@10_ci", "users")
    expected = {"bench": newest.name, **{key: row[key] for key in shown}}
    assert listed(made)["nano-2"]["test"] == expected
    out = made.done("runs").out
    for part in ("HR@10 1.0000", "NDCG@10 .7153", ".7053–.7253", newest.name, "2 users"):
        assert part in out


def test_a_bench_from_before_the_run_was_of_another_one_of_that_name(made: Console) -> None:
    bench(made, 2, "nano-2")
    assert listed(made)["nano-2"]["test"] is None


def garbage(folder: Path) -> None:
    (folder / "run.json").write_text('{"format": 2, ')


def no_settings(folder: Path) -> None:
    write(folder / "run.json", {"format": 2, "base": {}})


def nothing_at_all(folder: Path) -> None:
    (folder / "run.json").unlink()


@pytest.mark.parametrize("damage", [garbage, no_settings, nothing_at_all])
def test_a_damaged_run_is_said_to_be_and_the_others_are_listed(made: Console, damage: Any) -> None:
    damage(run_folder(made, "nano-2"))
    entries = listed(made)
    assert entries["nano-2"]["state"] == "damaged"
    assert str(run_folder(made, "nano-2")) in entries["nano-2"]["fault"]
    assert entries["old"]["state"] == "finished"
    out = made.done("runs").out
    assert "damaged" in out
    assert "nano-2: " in out
    refused = made("runs", "nano-2")
    assert (refused.code, refused.out) == (1, "")
    assert "run 'nano-2'" in refused.err


def test_figures_of_the_wrong_kind_are_no_figures(made: Console) -> None:
    odd = finished("toys", day(3)) | {"trained": "long ago", "plan": None, "wall_seconds": "an age"}
    write(run_folder(made, "nano-2") / "run.json", odd)
    entry = listed(made)["nano-2"]
    names = ("steps", "epochs", "targets", "wall_seconds", "validation")
    assert [entry[name] for name in names] == [None] * 5
    made.done("runs")
    made.done("runs", "nano-2")


def test_benches_that_cannot_be_read_are_said_to_be_left_out(made: Console) -> None:
    folder = bench(made, 5, "nano-2")
    bench(made, 4, "nano-2")
    (folder / "metrics.json").write_text("no json")
    document = made.done("runs", "--json").json
    [fault] = document["unreadable_benches"]
    assert str(folder) in fault
    assert listed(made)["nano-2"]["test"]["bench"] == "20261104-100000-000000"
    assert f"left out: {folder}" in made.done("runs").out.replace("\n", "")


def test_one_run_is_shown_in_full(made: Console) -> None:
    bench(made, 4, "nano-2", "rules", "nano-2+rules", parents={"nano-2+rules": ["nano-2", "rules"]})
    bench(made, 5, "nano-2", protocol={"split": "leave-one-out, validation"})
    document = made.done("runs", "nano-2", "--json").json
    assert document["run"] == "nano-2"
    assert document["settings"]["objective"] == {"value": "paper", "from": "flag"}
    assert document["cost"] == {"wall_seconds": 5400.0, "peak_gb": 1.5, "parameters": 77}
    assert document["versions"] == {"genrec": "0.1.0"}
    size = (run_folder(made, "nano-2") / "run.json").stat().st_size
    assert document["files"] == {"run.json": size}
    test, validation = "leave-one-out, test", "leave-one-out, validation"
    assert [(row["system"], row["split"]) for row in document["benches"]] == [
        ("nano-2", test),
        ("nano-2+rules", test),
        ("nano-2", validation),
    ]
    assert {"bench", "users", "HR@5", "NDCG@10_ci"} <= document["benches"][0].keys()
    lines = made.done("runs", "nano-2").out.splitlines()
    assert any("objective" in line and "paper" in line and "flag" in line for line in lines)
    assert any("nano-2+rules" in line for line in lines)
    assert any("run.json" in line and str(size) in line for line in lines)


def test_of_several_runs_of_one_name_the_newest_is_shown(made: Console) -> None:
    write(run_folder(made, "nano-2", "films") / "run.json", finished("films", day(9)))
    assert made.done("runs", "nano-2", "--json").json["dataset"] == "films"
    named = made.done("runs", "nano-2", "--dataset", "toys", "--json").json
    assert named["dataset"] == "toys"


def test_an_unknown_run_is_refused_with_the_nearest(made: Console) -> None:
    outcome = made("runs", "nano-3")
    assert outcome.code == 1
    assert "no run 'nano-3'" in outcome.err
    assert "nano-2" in outcome.err
    assert "old" not in outcome.err


def test_an_unknown_dataset_is_refused(made: Console) -> None:
    outcome = made("runs", "--dataset", "toy")
    assert outcome.code == 1
    assert "no dataset 'toy'" in outcome.err


def test_without_runs_the_list_is_empty(console: Console) -> None:
    assert console.done("runs", "--json").json["runs"] == []
    assert "genrec finetune" in console.done("runs").out


def test_what_finetune_writes_is_understood(changeable: Console) -> None:
    entry = listed(changeable)["nano-1"]
    assert (entry["state"], entry["dataset_state"], entry["steps"]) == ("finished", "same", 3)
    assert (entry["base_model"], entry["objective"]) == ("nano", "next-title")
    assert entry["epochs"] == pytest.approx(3 * 8 / 600)  # batches of 8 of the sample's 600 windows
    assert {"NDCG@10", "validation_loss"} <= entry["validation"].keys()
    document = changeable.done("runs", "nano-1", "--json").json
    assert document["settings"]["max_steps"] == {"value": 3, "from": "flag"}
    assert "model/config.json" in document["files"]
    (run_folder(changeable, "nano-1", "sample") / "run.json").unlink()
    entry = listed(changeable)["nano-1"]
    assert (entry["state"], entry["steps"], entry["base_model"]) == ("unfinished", 3, "nano")
    assert entry["validation"]


def test_a_list_does_not_wait_for_torch(made: Console) -> None:
    program = (
        "import sys; from genrec_cli.cli import main; "
        "code = main(['runs']) or main(['runs', 'nano-2']); "
        "sys.exit(code or 'torch' in sys.modules or 'transformers' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | made.environment, capture_output=True
    )
    assert run.returncode == 0
    assert b"nano-2" in run.stdout
