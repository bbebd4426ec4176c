"""What `finetune` refuses, and what it leaves when it is refused."""

import json
from pathlib import Path

import pytest

from genrec_cli.core.workspace import locked

from .console import Console


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
