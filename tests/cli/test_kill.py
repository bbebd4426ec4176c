"""kill -9 in the middle: nothing half-made is taken for whole, and the next run goes on."""

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from genrec_cli.recommenders.baselines import CLASSICAL

from .console import Console, kill_when, movielens_folder, rows_of


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


STEPS = 6
# All that is random in a run: order, dropout, and which titles are hidden.
RANDOM = (
    f"validation_users: 8\nevaluations: {STEPS}\nbatch_size: 4\nmicro_batch_tokens: 2048\n"
    "dropout: 0.1\nmask_weight: 0.5\n"
)
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums in this process come out to the bit as in one with `ONE_THREAD`."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def steps_of(run: Path, figure: str) -> list[int]:
    """Steps of the lines of `metrics.jsonl` that hold a figure."""
    path = run / "metrics.jsonl"
    text = path.read_text() if path.exists() else ""
    lines = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
    return [line["step"] for line in lines if figure in line]


def weights_of(run: Path) -> bytes:
    (file,) = (run / "model").glob("*model.safetensors")
    return file.read_bytes()


@pytest.mark.usefixtures("one_thread")
def test_a_finetune_killed_again_and_again_ends_with_the_weights_of_one_that_was_not(
    console: Console, prepared: Console, tmp_path: Path
) -> None:
    shutil.copytree(prepared.workspace, console.workspace)
    config = tmp_path / "random.yaml"
    config.write_text(RANDOM)
    command = ("finetune", "--base-model", "nano", "--max-steps", str(STEPS), "--config", config)
    run = console.workspace / "runs" / "sample" / "mine"
    written = run / "checkpoints"
    # Its folder is made first and filled after: the first checkpoint is whole, this one is not.
    kill_when(
        console.start(*command, "--name", "mine", environment=ONE_THREAD),
        (written / "checkpoint-2").exists,
    )
    assert not (written / "checkpoint-2" / "trainer_state.json").exists()

    assert not (run / "run.json").exists()
    resume = "genrec finetune --resume --dataset sample --name mine"
    for predict in (["predict", "--all"], ["predict", "--all", "--run", "mine"]):
        refused = console(*predict)
        assert (refused.code, refused.out) == (1, "")
        assert refused.err == (
            f"error: run 'mine' has not finished ({run})\n"
            f"  fix: {resume}   (unless it is still training)\n"
        )
    others = ",".join(name for name in CLASSICAL if name != "popularity")
    benched = console.done("bench", "--exclude", others, "--json").json
    assert [row["system"] for row in benched["rows"]] == ["popularity"]

    again = resume.split()[1:]
    kill_when(
        console.start(*again, environment=ONE_THREAD),
        lambda: 3 in steps_of(run, "loss"),
        after=random.Random().uniform(0, 0.3),  # any moment must do
    )
    said = console.done(*again, "--json").json
    assert (said["run"], said["trained"]["steps"]) == ("mine", STEPS)
    assert steps_of(run, "loss") == list(range(1, STEPS + 1))
    assert steps_of(run, "validation_loss") == list(range(STEPS + 1))
    whole = console.done(*command, "--name", "whole", "--json").json["trained"]
    assert said["trained"]["before"] == whole["before"]
    assert said["trained"]["best"] == whole["best"]
    assert weights_of(run) == weights_of(run.parent / "whole")
    person = console.done("predict", "--user", "v001", "--json").json["users"][0]
    assert len(person["recommendations"]) == 10


@pytest.mark.usefixtures("one_thread")
def test_a_killed_adapter_ends_like_one_that_was_not(changeable: Console, tmp_path: Path) -> None:
    runs = changeable.workspace / "runs" / "sample"
    config = tmp_path / "lora.yaml"
    config.write_text(f"{RANDOM}train: lora\nlora_dropout: 0.1\nlora_rank: 4\nmax_length: 128\n")
    base = runs / "nano-1" / "model"
    command = ("finetune", "--base-model", base, "--max-steps", str(STEPS), "--config", config)
    kill_when(
        changeable.start(*command, "--name", "mine", environment=ONE_THREAD),
        lambda: 4 in steps_of(runs / "mine", "loss"),
    )
    changeable.done("finetune", "--resume")
    changeable.done(*command, "--name", "whole")
    assert steps_of(runs / "mine", "loss") == list(range(1, STEPS + 1))
    assert weights_of(runs / "mine") == weights_of(runs / "whole")


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
