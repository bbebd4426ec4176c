"""A training run: from a model and a corpus to the weights of its best evaluation."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import PrinterCallback, ProgressCallback
from transformers.integrations.integration_utils import TensorBoardCallback

from genrec_cli.core.errors import Stopped
from genrec_cli.core.progress import Progress
from genrec_cli.language.arguments import planned_steps, tensorboard_wanted, training_arguments
from genrec_cli.language.backbones.load import quiet
from genrec_cli.language.checkpoints import CHECKPOINTS, go_on_with, last_checkpoint, saving
from genrec_cli.language.hardware import Place, denormals_flushed
from genrec_cli.language.interruptions import Guard, Patience
from genrec_cli.language.lesson import Lesson
from genrec_cli.language.metrics_log import METRICS_FILE, MetricsLog
from genrec_cli.language.objective import attention_restored
from genrec_cli.language.reporting import Report, Speed, choice, validation_figures
from genrec_cli.language.trainer import PackTrainer


@dataclass(frozen=True)
class Trained:
    """What a training run reached.

    Attributes:
        steps: optimiser steps that were planned.
        last_step: the last one taken; less than planned if training stopped early.
        best_step: the step of the checkpoint that is kept, the best by NDCG@10.
        before: validation figures of the untrained model: `validation_loss` (nats an item),
            `NDCG@10` and so on.
        best: those of the model that is kept.
        tokens_per_second: that were trained on, by the last process; None: none were.
        targets_per_second: titles predicted, next or hidden ones, likewise.
        seconds_per_step: likewise.
    """

    steps: int
    last_step: int
    best_step: int
    before: dict[str, float]
    best: dict[str, float]
    tokens_per_second: float | None = field(compare=False)
    targets_per_second: float | None = field(compare=False)
    seconds_per_step: float | None = field(compare=False)


def train(
    model: Any, lesson: Lesson, place: Place, folder: Path, progress: Progress
) -> Trained | None:
    """Train a model in place, and leave it with the weights of the best evaluation.

    Checkpoints go to `folder / "checkpoints"`; if there is one, training goes on from it.

    Args:
        model: a trainable causal language model, PEFT or not.
        lesson: what it learns.
        place: device and dtype.
        folder: of the run; `metrics.jsonl` is written there.
        progress: where to report.

    Returns:
        What was reached; None in all processes of a team but the first.

    Raises:
        ModelError: the loss is not a number any more.
        Stopped: by SIGINT or SIGTERM, with a checkpoint.
        WorkspaceError: the disk is full; the last whole checkpoint is kept.
    """
    # Words that no title has get no gradient; Adam's moments then decay into denormal numbers, on
    # which a CPU is six times slower (reference/decoding.md, trap 8).
    with attention_restored(model), denormals_flushed():
        return _train(model, lesson, place, folder, progress)


def _train(
    model: Any, lesson: Lesson, place: Place, folder: Path, progress: Progress
) -> Trained | None:
    steps = planned_steps(len(lesson.corpus.training), lesson.settings)
    checkpoints = folder / CHECKPOINTS
    resumed = last_checkpoint(checkpoints)
    log, speed = MetricsLog(folder / METRICS_FILE, writes=lesson.team.first), Speed()
    trainer = _trainer(model, lesson, place, folder, steps)
    trainer.prepare(lesson, speed, progress.note)
    if resumed is None:
        log.clear()
        progress.note("measuring the untrained model on validation items")
        log.write({"step": 0, **validation_figures(trainer.evaluate())})
    guard = Guard(lesson.team, progress)
    if steps:
        with quiet(), progress.task("training", steps, "steps") as task:
            trainer.add_callback(Report(speed, task, log))
            trainer.add_callback(guard)
            with guard.watching(), saving(folder, lesson.team):
                trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    last = trainer.state.global_step
    if not lesson.team.first:
        return None
    if guard.stopped_by is not None and last < steps:
        raise Stopped(
            f"stopped at step {last:,} of {steps:,}; a checkpoint is kept",
            f"{go_on_with(folder, lesson.team)}   goes on from there",
            guard.stopped_by,
        )
    return _outcome(log.evaluations(), steps, last, speed, progress)


def _trainer(model: Any, lesson: Lesson, place: Place, folder: Path, steps: int) -> PackTrainer:
    settings = lesson.settings
    arguments = training_arguments(folder / CHECKPOINTS, settings, place, steps, lesson.team)
    trainer = PackTrainer(
        model=model, args=arguments, train_dataset=lesson.corpus.training, eval_dataset=[]
    )
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    if settings.patience is not None:
        trainer.add_callback(Patience(settings.patience))
    if tensorboard_wanted(settings) and lesson.team.first:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  # optional

        trainer.add_callback(TensorBoardCallback(SummaryWriter(str(folder / "tensorboard"))))
    return trainer


def _outcome(
    evaluations: dict[int, dict[str, float]],
    steps: int,
    last: int,
    speed: Speed,
    progress: Progress,
) -> Trained:
    """The best checkpoint of a run; it is said if the untrained model was better."""
    # The untrained weights are in no checkpoint, so they are kept only if nothing was trained.
    kept = {step: figures for step, figures in evaluations.items() if step or not steps}
    best = max(kept, key=lambda step: (choice(kept[step]), -step))
    if choice(kept[best]) < choice(evaluations[0]):
        progress.note(
            f"the best checkpoint ({_words(kept[best])}) is worse than the untrained model "
            f"({_words(evaluations[0])}): lower the learning rate, or train on more"
        )
    trained = speed.seconds > 0
    return Trained(
        steps=steps,
        last_step=last if steps else 0,
        best_step=best,
        before=evaluations[0],
        best=kept[best],
        tokens_per_second=round(speed.tokens / speed.seconds, 1) if trained else None,
        targets_per_second=round(speed.targets / speed.seconds, 2) if trained else None,
        seconds_per_step=round(speed.seconds / speed.steps, 4) if trained else None,
    )


def _words(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
