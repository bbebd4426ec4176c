"""Several processes train one model: as one would, and they stop and go on together."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from .console import Console, Outcome

STEPS = 12
CONFIG = (
    "validation_users: 9\nevaluations: 2\nbatch_size: 8\nmicro_batch_tokens: 2048\n"
    f"mask_weight: 0.5\nmax_steps: {STEPS}\n"
)
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
PATIENCE = 120  # seconds


def lines_of(run: Path) -> list[dict[str, Any]]:
    path = run / "metrics.jsonl"
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


def stopped_after(
    process: "subprocess.Popen[str]", run: Path, step: int, stop: Callable[[int], None]
) -> Outcome:
    """What a process left that was told to stop when a run had come to a step."""
    with process:
        end = time.monotonic() + PATIENCE
        while not any(line["step"] >= step and "loss" in line for line in lines_of(run)):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < end
            time.sleep(0.01)
        stop(process.pid)
        out, err = process.communicate(timeout=PATIENCE)
    return Outcome(process.returncode, out, err)


def resume_command(said: str) -> list[str]:
    """The command by which a stopped run says that it goes on."""
    found = re.findall(r"fix: genrec (.+?)   goes on from there", said)
    assert len(found) == 1, said
    return shlex.split(found[0])


@pytest.mark.skipif(torch.cuda.is_available(), reason="here two devices are two GPUs")
def test_two_processes_train_as_one_does_and_stop_and_go_on_together(
    prepared: Console, console: Console, tmp_path: Path
) -> None:
    shutil.copytree(prepared.workspace, console.workspace)
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG)
    runs = console.workspace / "runs" / "sample"
    command = ("finetune", "--base-model", "nano", "--config", config)
    one = console.done(*command, "--name", "one", "--json").json["trained"]

    # Ctrl-C at a terminal reaches the launcher and, twice, the processes that it has started.
    both = console.start(*command, "--name", "both", "--devices", "2")
    stopped = stopped_after(both, runs / "both", 2, lambda pid: os.killpg(pid, signal.SIGINT))
    assert stopped.code == 130, stopped.err
    assert "Traceback" not in stopped.err
    assert re.search(r"error: stopped at step \d+ of 12; a checkpoint is kept", stopped.err)
    again = resume_command(stopped.err)
    assert again == shlex.split("finetune --resume --dataset sample --name both --devices 2")

    # A scheduler stops the launcher alone, here PyTorch's own.
    last = max(line["step"] for line in lines_of(runs / "both"))
    alike = console.start(*again, launcher=TORCHRUN)
    stopped = stopped_after(
        alike, runs / "both", last + 1, lambda pid: os.kill(pid, signal.SIGTERM)
    )
    assert resume_command(stopped.err) == again
    assert not (runs / "both" / "run.json").exists()
    assert "both on sample" in (runs / "both" / "training.svg").read_text()

    ended = console.in_its_own_process(*again, "--json", environment={})
    assert ended.code == 0, ended.err
    two = ended.json["trained"]
    assert ended.json["run"] == "both"
    assert sorted(path.name for path in runs.iterdir()) == ["both", "one"]
    assert (two["last_step"], two["best_step"]) == (one["last_step"], one["best_step"])
    for when in ("before", "best"):  # bfloat16
        assert two[when] == pytest.approx(one[when], rel=1e-3)
    losses = {
        name: [line["loss"] for line in lines_of(runs / name) if "loss" in line]
        for name in ("one", "both")
    }
    assert len(losses["one"]) == STEPS
    assert losses["both"] == pytest.approx(losses["one"], rel=1e-3)


def test_as_many_processes_as_devices_must_have_been_started(
    prepared: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    outcome = prepared("finetune", "--base-model", "nano", "--devices", "3")
    assert outcome.code == 2
    assert outcome.err == "error: --devices 3, but the launcher has started 2\n"
