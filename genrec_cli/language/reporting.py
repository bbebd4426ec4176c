"""Passes what transformers' Trainer says to our progress display and `metrics.jsonl`."""

import math
from dataclasses import dataclass
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from genrec_cli.core.errors import ModelError
from genrec_cli.core.progress import Task
from genrec_cli.core.provenance import Stopwatch, peak_memory_gb
from genrec_cli.language.metrics_log import MetricsLog


@dataclass
class Speed:
    """What has been trained on since the start of the process, and in how many seconds.

    The time of evaluations and checkpoints is not in it.
    """

    tokens: int = 0
    targets: int = 0
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
            self._task.advance(state.global_step)

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
        self._task.advance(1)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Show and record the training loss, or an evaluation."""
        logs = logs or {}
        if "eval_loss" in logs:
            _require_finite("validation", logs["eval_loss"], state.global_step)
            self._log.write({"step": state.global_step, "validation_loss": logs["eval_loss"]})
            self._task.figures({"validation": f"{logs['eval_loss']:.3f}"})
        elif "loss" in logs:
            self._on_loss(state.global_step, logs)

    def _on_loss(self, step: int, logs: dict[str, float]) -> None:
        _require_finite("training", logs["loss"], step)
        targets = self._speed.targets / self._speed.seconds
        tokens = self._speed.tokens / self._speed.seconds
        self._task.figures(
            {
                "loss": f"{logs['loss']:.3f}",
                "targets/s": f"{targets:,.0f}",
                "tokens/s": f"{tokens:,.0f}",
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
                "peak_gb": round(peak_memory_gb(), 3),
            }
        )


def _require_finite(which: str, loss: float, step: int) -> None:
    if not math.isfinite(loss):
        raise ModelError(
            f"the {which} loss is {loss} at step {step}: training has diverged",
            "lower the learning rate; the last good checkpoint is kept",
        )
