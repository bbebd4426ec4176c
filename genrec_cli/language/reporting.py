"""Passes what transformers' Trainer says to our progress display and `metrics.jsonl`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from genrec_cli.core.progress import Task
from genrec_cli.core.provenance import Stopwatch, peak_memory_gb
from genrec_cli.language.hardware import give_back_memory, peak_gpu_gb
from genrec_cli.language.metrics_log import MetricsLog


@dataclass
class Speed:
    """What has been trained on since the start of the process, and in how many seconds.

    The time of evaluations and checkpoints is not in it.
    """

    tokens: int = 0
    targets: int = 0
    steps: int = 0
    seconds: float = 0.0


class Report(TrainerCallback):
    """Passes what the Trainer says to our progress and to `metrics.jsonl`."""

    def __init__(self, speed: Speed, task: Task, log: MetricsLog) -> None:
        self._speed = speed
        self._task = task
        self._log = log
        self._watch = Stopwatch()
        self._step = Stopwatch()
        self._earlier = 0.0  # seconds that a resumed run had taken before

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Stand where the run goes on."""
        self._watch = Stopwatch()
        if state.global_step:
            self._log.cut_after(state.global_step)
            self._earlier = max((line.get("seconds", 0.0) for line in self._log.lines()), default=0)
            self._task.skip(state.global_step)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Time the step."""
        self._step = Stopwatch()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Move the bar."""
        self._speed.seconds += self._step.seconds
        self._speed.steps += 1
        self._task.advance(1)

    def on_log(  # a hundred times a run
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Show and record the training loss, or an evaluation."""
        logs = logs or {}
        give_back_memory()
        if "eval_loss" in logs:
            figures = validation_figures(logs)
            self._log.write({"step": state.global_step, **figures})
            self._task.figures({name: f"{value:.4f}" for name, value in figures.items()})
        elif "loss" in logs:
            self._on_loss(state.global_step, logs)

    def _on_loss(self, step: int, logs: dict[str, float]) -> None:
        targets = self._speed.targets / self._speed.seconds
        tokens = self._speed.tokens / self._speed.seconds
        self._task.figures(
            {
                "loss": f"{logs['loss']:.3f}",
                "targets/s": f"{targets:,.0f}",
                "tokens/s": f"{tokens:,.0f}",
                "GB": f"{peak_gpu_gb() or peak_memory_gb():.1f}",
            }
        )
        self._log.write(
            {
                "step": step,
                "loss": logs["loss"],
                "learning_rate": logs["learning_rate"],
                "targets_per_second": round(targets, 2),
                "tokens_per_second": round(tokens, 2),
                "seconds": round(self._earlier + self._watch.seconds, 3),
                "peak_gb": round(peak_gpu_gb() or peak_memory_gb(), 3),
            }
        )


def validation_figures(logs: Mapping[str, float]) -> dict[str, float]:
    """An evaluation of the Trainer in our words: `validation_loss`, `NDCG@10` and so on."""
    ranked = {
        key.removeprefix("eval_").replace("_at_", "@"): value
        for key, value in logs.items()
        if "_at_" in key
    }
    return {"validation_loss": logs["eval_loss"], **ranked}


def choice(figures: Mapping[str, float]) -> float:
    """What the best checkpoint is chosen by: NDCG@10, and of equal ones the smaller loss."""
    return figures.get("NDCG@10", 0.0) - 1e-6 * figures["validation_loss"]
