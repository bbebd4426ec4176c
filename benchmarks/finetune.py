"""genrec's training beside GenRec-2023's loop, and without each of its own parts, after equal time.

    python benchmarks/finetune.py WORKSPACE ml-1m --base-model nano --seconds 480
    python benchmarks/finetune.py WORKSPACE sample --base-model smollm2 --seconds 600 --only genrec

Each contender trains the same base model on the same data for as long, by itself on one core (two
at a time with `--cores 0,1`), with a learning rate that decays to zero by then; then `genrec bench`
ranks the validation items of the same users with all of them. Time is that of training steps:
loading and evaluations are not in it. A target is a title that is predicted; of the rival's tokens
padding does not count. Peak memory is of the whole process.

- `rival`: `rivals_finetune.py`, padded to 256 as the paper's setting has it; `rival, longest`:
  padded to the longest of a micro-batch; `rival, target only`: loss on the target's tokens alone.
- `genrec`, and genrec with one part switched off: `- all targets` (one target a window),
  `- trie mask` (softmax over the vocabulary), `- catalog head` (the same loss from all logits),
  `- packing` (padded micro-batches).
"""

import argparse
import json
import os
import queue
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RIVALS = {
    "rival": ("--padding", "full"),
    "rival, longest": ("--padding", "longest"),
    "rival, target only": ("--padding", "longest", "--no-inputs"),
}
PARTS = {
    "genrec": (),
    "- all targets": ("targets=last",),
    "- trie mask": ("normaliser=vocabulary",),
    "- catalog head": ("catalog_head=false",),
    "- packing": ("packing=false",),
}
OVER_VOCABULARY = (*RIVALS, "- trie mask")
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Bench:
    """What is compared, and where.

    Attributes:
        workspace: with the dataset.
        dataset: its name.
        options: of the command line.
        cores: those that are free, one for each contender at a time.
    """

    workspace: Path
    dataset: str
    options: argparse.Namespace
    cores: "queue.Queue[str]"

    def measured(self, name: str) -> dict[str, Any]:
        """Train one contender, and say how fast it was."""
        core = self.cores.get()
        try:
            train = self._rival if name in RIVALS else self._genrec
            row = {"contender": name, **train(name, core)}
        finally:
            self.cores.put(core)
        print(json.dumps(row), flush=True)
        return row

    def genrec(self, *arguments: str, core: str) -> dict[str, Any]:
        """Run genrec on one core; its JSON."""
        place = ["--workspace", str(self.workspace), "--json", "--quiet"]
        return run([sys.executable, "-m", "genrec_cli", *arguments, *place], core)

    def _genrec(self, name: str, core: str) -> dict[str, Any]:
        given, run_name = self.options, slug(name)
        # One target a window: as many windows in a batch as the rival has prompts.
        batch = (f"batch_size={given.batch}",) if name == "- all targets" else ()
        settings = [*PARTS[name], *batch, "evaluations=1", "validation_users=8"]
        common = ["finetune", "--dataset", self.dataset, "--base-model", given.base_model]
        common += [part for setting in settings for part in ("--set", setting)]
        probe = self.genrec(*common, "--max-steps", "6", "--name", f"{run_name}-probe", core=core)
        steps = max(1, round(given.seconds / probe["trained"]["seconds_per_step"]))
        said = self.genrec(*common, "--max-steps", str(steps), "--name", run_name, core=core)
        trained = said["trained"]
        return {
            "targets_per_second": trained["targets_per_second"],
            "tokens_per_second": trained["tokens_per_second"],
            "peak_gb": said["peak_gb"],
            "seconds": round(steps * trained["seconds_per_step"]),
            "steps": steps,
        }

    def _rival(self, name: str, core: str) -> dict[str, Any]:
        given = self.options
        arguments = [str(self.workspace), self.dataset, "untrained", slug(name), *RIVALS[name]]
        arguments += ["--seconds", str(given.seconds), "--batch", str(given.batch)]
        arguments += ["--learning-rate", str(given.rival_rate)]
        said = run([sys.executable, str(HERE / "rivals_finetune.py"), *arguments], core)
        wanted = ("targets_per_second", "tokens_per_second", "peak_gb", "seconds", "steps")
        return {key: said[key] for key in wanted}

    def ranked(self, names: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Validation figures of every contender, each under the normaliser of its loss."""
        figures: dict[str, Mapping[str, Any]] = {}
        for over in ("catalog", "vocabulary"):
            mine = [name for name in names if (name in OVER_VOCABULARY) == (over == "vocabulary")]
            if not mine:
                continue
            systems = ",".join(slug(name) for name in mine)
            arguments = ["bench", "--dataset", self.dataset, "--split", "validation", "--k", "10"]
            arguments += ["--systems", systems, "--users", str(self.options.users)]
            # Half-trained models are in doubt; over the vocabulary that takes a second a user.
            arguments += ["--normaliser", over, "--budget", "256"]
            rows = self.genrec(*arguments, core=self.cores.get())["rows"]
            figures |= dict(zip(mine, rows, strict=True))
            self.cores.put(self.options.cores.split(",")[0])
        return figures


def slug(name: str) -> str:
    """A contender's name as a run's."""
    return "ft-" + name.replace("- ", "no ").replace(",", "").replace(" ", "-")


def run(command: Sequence[str], core: str) -> dict[str, Any]:
    """The JSON that a command prints last, run on one core."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        ["taskset", "-c", core, *command], capture_output=True, text=True, env=environment
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    said: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    return said


def table(rows: Sequence[Mapping[str, Any]], figures: Mapping[str, Mapping[str, Any]]) -> str:
    """The comparison in Markdown; ratios are to the rival's targets/s."""
    heads = ["", "targets/s", "to rival", "tokens/s", "peak GB", "steps", "NDCG@10", "HR@10"]
    lines = [" | ".join(heads), "|".join(["---"] * len(heads))]
    base = next((r["targets_per_second"] for r in rows if r["contender"] == "rival"), None)
    for row in rows:
        found = figures[row["contender"]]
        low, high = found["NDCG@10_ci"]
        cells = [
            row["contender"],
            f"{row['targets_per_second']:.1f}",
            f"{row['targets_per_second'] / base:.1f}×" if base else "–",
            f"{row['tokens_per_second']:,.0f}",
            f"{row['peak_gb']:.2f}",
            str(row["steps"]),
            f"{found['NDCG@10']:.4f} ({low:.4f}–{high:.4f})",
            f"{found['HR@10']:.4f}",
        ]
        lines.append(" | ".join(cells))
    return "\n".join(f"| {line} |" for line in lines)


def main() -> None:
    """Train all, rank all, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path)
    parser.add_argument("dataset")
    parser.add_argument("--base-model", default="nano")
    parser.add_argument("--seconds", type=float, default=480)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=32, help="the rival's prompts in a step")
    parser.add_argument("--rival-rate", type=float, default=1.5e-3)
    parser.add_argument("--cores", default="0")
    parser.add_argument("--only", nargs="*", help="contenders; default: all")
    given = parser.parse_args()
    cores: queue.Queue[str] = queue.Queue()
    for core in given.cores.split(","):
        cores.put(core)
    bench = Bench(given.workspace, given.dataset, given, cores)
    names = given.only or [*RIVALS, *PARTS]
    untrained = ["finetune", "--dataset", given.dataset, "--base-model", given.base_model]
    core = given.cores.split(",")[0]
    bench.genrec(*untrained, "--max-steps", "0", "--name", "untrained", core=core)
    with ThreadPoolExecutor(cores.qsize()) as pool:
        rows = list(pool.map(bench.measured, names))
    print(table(rows, bench.ranked(names)))


if __name__ == "__main__":
    main()
