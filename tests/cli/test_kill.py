"""kill -9 in the middle: nothing half-made is taken for whole, and the next run goes on."""

import json
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from .console import Console, movielens_folder, rows_of

PATIENCE = 120  # seconds


def kill_when(process: "subprocess.Popen[str]", ripe: Callable[[], bool]) -> None:
    """Kill a process as soon as a condition holds; it must not have ended before."""
    with process:
        end = time.monotonic() + PATIENCE
        while not ripe():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < end
            time.sleep(0.002)
        process.kill()
        process.communicate()
    assert process.returncode == -9


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large") / "log"
    return movielens_folder(folder, users=20_000, items=500, events=2_000_000)


def test_a_killed_prepare_leaves_no_dataset_and_the_next_one_completes(
    console: Console, log: Path, tmp_path: Path
) -> None:
    data = console.workspace / "data"
    command = ("prepare", "movielens", "--source", log, "--name", "large")
    kill_when(console.start(*command), lambda: any(data.glob(".partial-*")))
    assert [path.name[:9] for path in data.iterdir()] == [".partial-"]
    refused = console("finetune", "--base-model", "nano", "--dry-run")
    assert "no dataset has been prepared yet" in refused.err

    again = console.done(*command, "--json").json
    assert [path.name for path in data.iterdir()] == ["large"]
    undisturbed = Console(tmp_path / "other")
    assert again["hash"] == undisturbed.done(*command, "--json").json["hash"]


def test_a_killed_replacement_leaves_the_old_dataset_whole(console: Console, log: Path) -> None:
    data = console.workspace / "data"
    old = console.done("prepare", "sample", "--name", "large", "--json").json
    command = ("prepare", "movielens", "--source", log, "--name", "large", "--force")
    kill_when(console.start(*command), lambda: any(data.glob(".partial-*")))
    kept = json.loads((data / "large" / "dataset.json").read_text())
    assert kept["hash"] == old["hash"]
    assert len(rows_of(data / "large" / "sequences.parquet")) == kept["users"]


def test_a_killed_finetune_is_not_taken_for_finished_and_can_be_resumed(
    console: Console, prepared: Console, tmp_path: Path
) -> None:
    shutil.copytree(prepared.workspace, console.workspace)
    steps = 4
    config = tmp_path / "often.yaml"
    config.write_text(
        f"validation_users: 8\nevaluations: {steps}\nbatch_size: 4\nmicro_batch_size: 4\n"
    )
    command = ("finetune", "--base-model", "nano", "--max-steps", str(steps), "--config", config)
    run = console.workspace / "runs" / "sample" / "nano-1"
    # Its folder is made first and filled after: the first checkpoint is whole, this one is not.
    second = run / "checkpoints" / "checkpoint-2"
    kill_when(console.start(*command), second.exists)

    assert not (run / "run.json").exists()
    resume = "genrec finetune --resume --dataset sample --name nano-1"
    for predict in (["predict", "--all"], ["predict", "--all", "--run", "nano-1"]):
        refused = console(*predict)
        assert (refused.code, refused.out) == (1, "")
        assert refused.err == (
            f"error: run 'nano-1' has not finished ({run})\n"
            f"  fix: {resume}   (unless it is still training)\n"
        )
    benched = console.done("bench", "--json").json
    assert [row["system"] for row in benched["rows"]] == ["popularity"]

    said = console.done(*resume.split()[1:], "--json").json
    assert (said["run"], said["trained"]["steps"]) == ("nano-1", steps)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for figure, first in (("loss", 1), ("validation_loss", 0)):
        seen = Counter(line["step"] for line in lines if figure in line)
        assert seen == Counter(range(first, steps + 1))
    assert len(lines) == 2 * steps + 1
    person = console.done("predict", "--user", "v001", "--json").json["users"][0]
    assert len(person["recommendations"]) == 10


SPILLING = """
import sys
from genrec_cli.commands import prepare
from genrec_cli.cli import main
prepare.LEAST_MEMORY = 0  # so that a log of a test's size does not fit
sys.exit(main(sys.argv[1:]))
"""


def test_a_spilling_prepare_killed_twenty_times_still_gives_the_same_dataset(
    console: Console, log: Path, tmp_path: Path
) -> None:
    command = ["prepare", "movielens", "--source", str(log), "--name", "large", "--json", "--quiet"]
    whole = Console(tmp_path / "other").done(*command).json
    data = console.workspace / "data"
    spilling = [sys.executable, "-c", SPILLING, *command, "--memory-limit", "1MB"]
    spilling += ["--workspace", str(console.workspace)]
    spilled = False
    moments = random.Random(1)
    for _ in range(20):
        with subprocess.Popen(spilling, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            # From before the first byte is read to about the end.
            time.sleep(moments.uniform(0.4, 1 + whole["wall_seconds"]))
            process.kill()
        partial = list(data.glob(".partial-*"))
        spilled = spilled or any(data.glob(".partial-*/scratch/*.arrow"))
        assert len(partial) <= 1  # what one leaves the next one clears away
        if (data / "large").exists():  # this one was faster than its killer
            shutil.rmtree(data / "large")
    assert spilled
    again = subprocess.run(spilling, capture_output=True, check=True)
    assert json.loads(again.stdout)["hash"] == whole["hash"]
    assert [path.name for path in data.iterdir()] == ["large"]
    kept = sorted(path.name for path in (data / "large").iterdir())
    assert kept == ["card.md", "catalog.parquet", "dataset.json", "sequences.parquet"]
