"""Whether a LLaMA-7B trains on a card of 24 GB, and how fast, beside the usual way to do it.

    python benchmarks/finetune_gpu.py WORKSPACE ml-1m
    python benchmarks/finetune_gpu.py WORKSPACE sample --shape small --steps 2    # a rehearsal

It takes less than nine minutes on an H100 and needs no network and no weights: the model has
LLaMA-7B's shape and random weights in NF4 (`finetune_gpu_model.py`). `--capped` bounds what
PyTorch may take of the card, in GB of 1e9 bytes: a card of 24 GiB keeps 1.7 GB for CUDA itself.

- `genrec`: our training with the preset `24gb`; `genrec, activations kept`: the same without
  gradient checkpointing, in smaller micro-batches if it runs out of memory.
- `stock`: transformers' Trainer, PEFT and bitsandbytes as their guides have it: one prompt for each
  target, padded to `--length`, loss at every token over the whole vocabulary.

All read as many windows or prompts of at most `--length` tokens in a step. A target is a title that
is predicted; padding does not count as tokens. The first steps are not measured. Memory: the peak
of what tensors took (allocated) and of what the allocator took (reserved), model included.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

CONTENDERS = ("genrec", "genrec, activations kept", "stock")
SECONDS = 8.5 * 60  # for all of them together
OPTIONAL = ("triton", "liger-kernel", "flash-attn")  # packages that change what is run
COLUMNS = {
    "tokens/s": "tokens_per_second",
    "targets/s": "targets_per_second",
    "s/step": "seconds_per_step",
    "allocated GB": "peak_allocated_gb",
    "reserved GB": "peak_reserved_gb",
    "resident GB": "peak_resident_gb",
    "tokens at a time": "micro_batch_tokens",
}


def measured(name: str, seconds: float) -> dict[str, Any]:
    """What one contender says, trained in a process of its own; or why it says nothing.

    Args:
        name: of the contender.
        seconds: that it may take.
    """
    command = [sys.executable, __file__, *sys.argv[1:], "--contender", name]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return {"contender": name, "failed": f"not done after {seconds:.0f} s"}
    if done.returncode:
        return {"contender": name, "failed": f"exit code {done.returncode}"}
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The comparison in Markdown."""
    lines = [" | ".join(["", *COLUMNS]), "|".join(["---"] * (1 + len(COLUMNS)))]
    for row in rows:
        cells = [_cell(row.get(key)) for key in COLUMNS.values()]
        if wrong := row.get("out_of_memory") or row.get("failed"):
            cells[0] = wrong
        lines.append(" | ".join([row["contender"], *cells]))
    return "\n".join(f"| {line} |" for line in lines)


def _cell(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def optional_packages() -> str:
    """Which packages that change what is run are installed."""
    found = []
    for package in OPTIONAL:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"no {package}")
    return ", ".join(found)


def parsed() -> argparse.Namespace:
    """The command line; `--contender` is for the processes that this one starts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path)
    parser.add_argument("dataset")
    parser.add_argument("--shape", choices=("7b", "small"), default="7b")
    parser.add_argument("--capped", type=float, default=24, help="GB of the GPU")
    parser.add_argument("--steps", type=int, default=12, help="that are measured")
    parser.add_argument("--length", type=int, default=512, help="tokens in a window or prompt")
    parser.add_argument("--micro", type=int, default=4, help="of them in memory at a time")
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Train all, one after the other, and print the table; exit code 1 if one failed."""
    given = parsed()
    if given.contender:
        from finetune_gpu_contender import trained  # noqa: PLC0415  # torch, in the child alone

        print(json.dumps(trained(given)))
        return
    print(optional_packages(), flush=True)
    end, rows = time.monotonic() + SECONDS, []
    for name in CONTENDERS:
        rows.append(measured(name, end - time.monotonic()))
        print(json.dumps(rows[-1]), flush=True)
    print(table(rows))
    sys.exit(any("failed" in row for row in rows))


if __name__ == "__main__":
    main()
