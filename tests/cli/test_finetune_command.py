"""What `finetune` refuses, and what it leaves when it is refused."""

import json
import resource
from pathlib import Path

import pytest

from genrec_cli.core.workspace import locked

from .console import TINY_RUN, Console


def runs_of(console: Console) -> list[str]:
    return sorted(path.name for path in (console.workspace / "runs" / "sample").glob("*"))


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--base-model", "nano", "--quantize", "nf4"), 1, "nothing to adapt or quantise"),
        (("--base-model", "nano", "--quantize", "nf4", "--dry-run"), 1, "nothing to adapt"),
        (("--base-model", "nano", "--name", "popularity"), 2, "is a baseline's name"),
        (("--base-model", "nano", "--name", "a,b"), 2, "cannot be a name"),
        (("--base-model", "nano", "--name", "../x"), 2, "cannot be a name"),
        (("--base-model", "nano", "--set", "context_titles=999"), 1, "has nothing to train on"),
        (("--base-model", "nano", "--set", "report_to=[excel]"), 2, "which is no tracker"),
        (("--resume", "--preset", "nano"), 2, "takes no others"),
        (("--resume", "--dry-run", "--name", "nano-1"), 1, "has nothing to resume"),
    ],
)
def test_a_refused_start_leaves_no_run(
    changeable: Console, options: tuple[str, ...], code: int, said: str
) -> None:
    outcome = changeable("finetune", *options)
    assert outcome.code == code, outcome.err
    assert said in outcome.err
    assert runs_of(changeable) == ["nano-1"]


def test_a_run_that_is_being_trained_cannot_be_resumed_beside_it(changeable: Console) -> None:
    folder = changeable.workspace / "runs" / "sample" / "nano-1"
    (folder / "run.json").unlink()
    with locked(folder):
        outcome = changeable("finetune", "--resume")
    assert outcome.code == 1
    assert "in use by another process" in outcome.err


def test_a_model_that_finds_no_room_is_saved_when_the_run_is_resumed(
    changeable: Console, tmp_path: Path
) -> None:
    config = tmp_path / "tiny.yaml"
    config.write_text(TINY_RUN)
    command = ("finetune", "--base-model", "nano", "--max-steps", "0", "--config", config)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        full = changeable(*command, "--name", "full")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    folder = changeable.workspace / "runs" / "sample" / "full"
    assert full.code == 1
    assert f"error: no room to write in {folder}: File too large\n" in full.err
    assert (folder / "training.svg").exists()
    assert not (folder / "run.json").exists()
    again = full.err.partition("make room, then genrec ")[2].split()
    assert changeable.done(*again, "--json").json["run"] == "full"


def test_a_resumed_plan_is_the_unfinished_run_s(changeable: Console) -> None:
    folder = changeable.workspace / "runs" / "sample" / "nano-1"
    origins = json.loads((folder / "run.json").read_text())["origins"]
    (folder / "run.json").unlink()
    plan = changeable.done("finetune", "--resume", "--dry-run", "--json").json
    assert plan["base"]["name"] == "nano"
    assert plan["plan"]["steps"] == 3
    assert {key: entry["from"] for key, entry in plan["settings"].items()} == origins


def test_a_name_is_taken_only_once(changeable: Console, tmp_path: Path) -> None:
    outcome = changeable("finetune", "--base-model", "nano", "--name", "nano-1")
    assert outcome.code == 1
    assert "there is a run 'nano-1' on dataset 'sample' already" in outcome.err
