import json
from typing import Any

import pytest

from genrec_cli.core.workspace import Workspace

from .console import TINY_RUN, Console, rows_of

FOUR_COMMANDS = [
    ("prepare", "sample", "--force"),
    ("finetune", "--base-model", "nano", "--dry-run"),
    ("predict", "--user", "v001"),
    ("bench", "--systems", "popularity"),
]


def test_prepare_writes_tables_that_its_counts_describe(prepared: Console) -> None:
    folder = Workspace(prepared.workspace).dataset("sample")
    manifest = json.loads((folder / "dataset.json").read_text())
    catalog = rows_of(folder / "catalog.parquet")
    sequences = rows_of(folder / "sequences.parquet")
    events = [item for row in sequences for item in row["items"]]
    assert manifest["users"] == len(sequences) == len({row["user_id"] for row in sequences})
    assert manifest["items"] == len(catalog) == len(set(events))
    assert manifest["interactions"] == len(events)
    assert manifest["funnel"][-1] == {
        "step": "users with ≥ 5 events, items with ≥ 5",
        "rows": len(events),
        "users": len(sequences),
        "items": len(catalog),
    }
    assert [row["item"] for row in catalog] == list(range(len(catalog)))
    assert len({row["title"] for row in catalog}) == len(catalog)
    assert sum(row["train_count"] for row in catalog) == len(events) - 2 * len(sequences)
    assert all(row["timestamps"] == sorted(row["timestamps"]) for row in sequences)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["sample"]


def test_prepare_says_what_it_made(console: Console) -> None:
    said = console.done("prepare", "sample", "--name", "mine", "--min-item", "9", "--json").json
    folder = Workspace(console.workspace).dataset("mine")
    assert (said["dataset"], said["folder"]) == ("mine", str(folder))
    assert said["settings"] == {
        "min_rating": None,
        "since": None,
        "until": None,
        "repeats": "keep",
        "require_title": False,
        "min_user": 5,
        "min_item": 9,
        "max_history": None,
        "split": "leave-one-out",
        "ties": "hash",
        "seed": 0,
    }
    kept = json.loads((folder / "dataset.json").read_text())
    assert {key: said[key] for key in kept} == kept
    assert kept["hash"].startswith("sha256:")
    assert kept["inputs"].keys() == {"films.csv"}
    assert kept["wall_seconds"] > 0


def test_preparing_twice_needs_force_and_gives_the_same_hash(console: Console) -> None:
    first = console.done("prepare", "sample", "--json").json
    refused = console("prepare", "sample")
    assert refused.code == 1
    assert "is finished already, and nothing finished is overwritten" in refused.err
    again = console.done("prepare", "sample", "--force", "--json").json
    assert again["hash"] == first["hash"]
    assert again["created"] > first["created"]


def test_finetune_leaves_a_run_that_says_how_it_was_made(
    finetuned: tuple[Console, dict[str, Any]],
) -> None:
    console, said = finetuned
    folder = Workspace(console.workspace).runs("sample") / "nano-1"
    assert (said["run"], said["folder"]) == ("nano-1", str(folder))
    kept = json.loads((folder / "run.json").read_text())
    assert {key: said[key] for key in kept} == kept
    dataset = json.loads((console.workspace / "data" / "sample" / "dataset.json").read_text())
    assert kept["dataset_hash"] == dataset["hash"]
    assert kept["settings"]["max_steps"] == kept["trained"]["steps"] == 3
    assert kept["origins"]["max_steps"] == "flag"
    assert kept["origins"]["batch_size"].endswith("tiny.yaml")
    assert kept["origins"]["max_length"] == "preset nano"
    assert kept["plan"]["windows"] == dataset["users"]
    assert kept["origins"]["gradient_checkpointing"] == "this machine"
    before, best = kept["trained"]["before"], kept["trained"]["best"]
    assert before.keys() == best.keys() == {"validation_loss", "HR@10", "NDCG@10"}
    assert 0 < best["validation_loss"] <= before["validation_loss"]
    assert kept["trained"]["last_step"] == kept["trained"]["best_step"] == 3
    assert kept["trained"]["targets_per_second"] > 0
    curve = (folder / "training.svg").read_text(encoding="utf-8")
    assert curve.startswith("<svg")
    assert "nano-1 on sample" in curve
    names = {path.name for path in folder.iterdir()}
    assert {"run.json", "settings.json", "prompt.json", "metrics.jsonl", "model"} <= names


def test_a_plan_shows_settings_with_origins_and_writes_nothing(prepared: Console) -> None:
    said = prepared.done("finetune", "--base-model", "nano", "--epochs", "2", "--dry-run", "--json")
    plan = said.json
    assert plan["settings"]["epochs"] == {"value": 2.0, "from": "flag"}
    assert plan["settings"]["train"] == {"value": "full", "from": "preset nano"}
    assert plan["settings"]["seed"] == {"value": 0, "from": "default"}
    assert plan["plan"]["windows"] == 600
    assert plan["plan"]["steps"] == 2 * 19  # 600 windows, 32 at a time
    assert not (prepared.workspace / "runs").exists()


@pytest.mark.parametrize("command", FOUR_COMMANDS, ids=lambda command: command[0])
def test_with_json_stdout_is_one_document_and_nothing_else(
    changeable: Console, command: tuple[str, ...]
) -> None:
    outcome = changeable.done(*command, "--json")
    assert outcome.json
    assert outcome.out.count("\n") == 1
    assert outcome.out.endswith("}\n")


@pytest.mark.parametrize("command", FOUR_COMMANDS, ids=lambda command: command[0])
def test_quiet_leaves_only_the_report(changeable: Console, command: tuple[str, ...]) -> None:
    outcome = changeable.done(*command, "--quiet")
    assert outcome.err == ""
    assert outcome.out.strip()


def test_an_equal_seed_trains_an_equal_model_and_another_seed_another(
    finetuned: tuple[Console, dict[str, Any]], changeable: Console
) -> None:
    config = changeable.workspace.parent / "tiny.yaml"
    config.write_text(TINY_RUN)
    shared = ("finetune", "--base-model", "nano", "--config", config, "--json")
    again = changeable.done(*shared, "--max-steps", "3").json
    assert again["run"] == "nano-2"
    first = finetuned[1]["trained"]
    assert {key for key, value in first.items() if again["trained"][key] != value} <= {
        "tokens_per_second",
        "targets_per_second",
        "seconds_per_step",
    }
    other = changeable.done(*shared, "--max-steps", "0", "--seed", "1").json
    assert other["trained"]["steps"] == 0
    assert other["trained"]["before"] != again["trained"]["before"]
