"""What training costs, and its model as a run that `genrec bench` ranks; a part of `finetune.py`.

Every contender trains in a process of its own, so that the peak of its memory is its own.
"""

import json
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from genrec_cli.core.provenance import Stopwatch
from genrec_cli.core.workspace import RUN_MANIFEST, now, read_json, write_json
from genrec_cli.language.backbones.adapt import save_trained
from genrec_cli.language.hardware import peak_gpu_gb
from genrec_cli.language.prompt import Prompt, Tokenizer
from genrec_cli.language.run import MODEL_FOLDER


@dataclass(frozen=True)
class Outcome:
    """What a model was trained on, and how long that took.

    Attributes:
        steps: of the optimiser.
        targets: titles whose prediction was trained.
        tokens: read, without padding.
        positions: run through the layers: tokens and padding.
        seconds: of training alone, wall time.
        cpu_seconds: the same in time of the CPU, which does not grow when others use it, too.
        losses: of each step, nats a token with a label.
    """

    steps: int
    targets: int
    tokens: int
    positions: int
    seconds: float
    cpu_seconds: float
    losses: tuple[float, ...]

    def speeds(self) -> dict[str, float]:
        """Targets, tokens and positions a second of training, by the wall and by the CPU."""
        counts = {"targets": self.targets, "tokens": self.tokens, "positions": self.positions}
        clocks = {"second": self.seconds, "cpu_second": self.cpu_seconds}
        return {
            f"{name}_per_{unit}": round(count / time, 2)
            for unit, time in clocks.items()
            for name, count in counts.items()
        }


class Phases:
    """Wall time of each phase of a process, and the peak of its resident memory up to its end.

    Attributes:
        costs: by phase, in order; seconds and GB. A phase that raised is not there.
    """

    def __init__(self) -> None:
        self.costs: dict[str, dict[str, Any]] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure what is done meanwhile."""
        watch = Stopwatch()
        yield
        self.costs[name] = watch.cost()


def json_line(name: str, outcome: Outcome, phases: Phases, facts: Mapping[str, Any]) -> str:
    """All that was measured, as one line.

    Args:
        name: of the run.
        outcome: of its training.
        phases: of its process; the peak memory of the last one is the whole process's.
        facts: more keys, such as the options.
    """
    document = {
        "name": name,
        **facts,
        **asdict(outcome),
        **outcome.speeds(),
        "phases": phases.costs,
        "peak_gb": max(cost["peak_gb"] for cost in phases.costs.values()),
        "peak_gpu_gb": peak_gpu_gb(),
        "threads": torch.get_num_threads(),
        "machine": platform.platform(),
        "torch": torch.__version__,
    }
    return json.dumps(document)


def write_run(
    model: Any, tokenizer: Tokenizer, untrained: Path, name: str, changes: Mapping[str, Any]
) -> Path:
    """Write a trained model as a run beside the untrained one that it began as.

    Args:
        model: to save, whole or an adapter, as the untrained run's is.
        tokenizer: the model's.
        untrained: folder of a run on the same dataset, with the same base model and prompt.
        name: of the new run; one of that name is written over.
        changes: entries of `run.json` that differ from the untrained run's; its plan and losses
            stay there, and say nothing of the new run.

    Returns:
        Its folder.
    """
    folder = untrained.with_name(name)
    folder.mkdir(exist_ok=True)
    (folder / RUN_MANIFEST).unlink(missing_ok=True)  # not finished until it is written anew
    save_trained(model, tokenizer, folder / MODEL_FOLDER)
    Prompt.load(untrained).save(folder)
    manifest = {**read_json(untrained / RUN_MANIFEST), "name": name, "created": now(), **changes}
    write_json(folder / RUN_MANIFEST, manifest)
    return folder
