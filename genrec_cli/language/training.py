"""Training in transformers' Trainer, with our windows, our loss and our progress."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, ProgressCallback
from transformers.trainer import TRAINER_STATE_NAME

from genrec_cli.core.progress import Progress
from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.language.backbones.load import quiet
from genrec_cli.language.corpus import Corpus
from genrec_cli.language.hardware import Place
from genrec_cli.language.metrics_log import MetricsLog
from genrec_cli.language.objective import TrieLoss
from genrec_cli.language.reporting import Report, Speed
from genrec_cli.language.trainer import WindowTrainer, training_arguments
from genrec_cli.language.windows import collate

CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class Trained:
    """What a training run reached.

    Attributes:
        steps: optimiser steps.
        loss_before: validation loss of the untrained model, nats a title.
        loss: validation loss of the model that is kept, the best of all checkpoints.
        best_step: the step at which it was reached.
    """

    steps: int
    loss_before: float
    loss: float
    best_step: int


def train(
    model: Any,
    corpus: Corpus,
    settings: FinetuneSettings,
    place: Place,
    folder: Path,
    progress: Progress,
) -> Trained:
    """Train a model in place, and leave it with the weights of the best evaluation.

    Checkpoints go to `folder / "checkpoints"`; if there is one, training goes on from it.

    Args:
        model: a trainable causal language model, PEFT or not.
        corpus: what it reads.
        settings: how.
        place: device and dtype.
        folder: of the run; `metrics.jsonl` is written there.
        progress: where to report.

    Raises:
        ModelError: the loss is not a number any more.
    """
    # The trie-masked loss gives most embedding rows no gradient at all; Adam's moments then decay
    # into denormal numbers, on which a CPU is six times slower (reference/decoding.md, trap 8).
    torch.set_flush_denormal(True)
    steps = planned_steps(len(corpus.training), settings)
    checkpoints = folder / CHECKPOINTS
    resumed = _last_checkpoint(checkpoints)
    log = MetricsLog(folder / "metrics.jsonl")
    arguments = training_arguments(checkpoints, settings, place, steps)
    trainer = WindowTrainer(
        model=model,
        args=arguments,
        data_collator=collate,
        train_dataset=corpus.training,
        eval_dataset=corpus.validation,
    )
    trainer.windows = corpus.training
    trainer.speed = Speed()
    trainer.trie_loss = TrieLoss(corpus.trie).to(place.device)
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    if resumed is None:
        log.clear()
        progress.note("measuring the untrained model's validation loss")
        log.write({"step": 0, "validation_loss": trainer.evaluate()["eval_loss"]})
    if steps:
        with quiet(), progress.task("training", steps, "steps") as task:
            trainer.add_callback(Report(trainer.speed, task, log))
            trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    return _outcome(log.validation_losses(), steps, progress)


def _outcome(evaluations: dict[int, float], steps: int, progress: Progress) -> Trained:
    """The best checkpoint of a run; it is said if the untrained model was better."""
    # The untrained weights are in no checkpoint, so they are kept only if nothing was trained.
    kept = {step: loss for step, loss in evaluations.items() if step or not steps}
    best = min(kept, key=lambda step: kept[step])
    if kept[best] > evaluations[0]:
        progress.note(
            f"the best checkpoint's validation loss ({kept[best]:.3f}) is worse than the untrained "
            f"model's ({evaluations[0]:.3f}): lower the learning rate, or train on more"
        )
    return Trained(steps, evaluations[0], kept[best], best)


def _last_checkpoint(checkpoints: Path) -> Path | None:
    """The newest checkpoint that is whole: a kill while it was written leaves no state file."""
    whole = [path.parent for path in checkpoints.glob(f"checkpoint-*/{TRAINER_STATE_NAME}")]
    return max(whole, key=lambda folder: int(folder.name.rpartition("-")[2]), default=None)


def planned_steps(windows: int, settings: FinetuneSettings) -> int:
    """Optimiser steps of a run."""
    if settings.max_steps is not None:
        return settings.max_steps
    return math.ceil(settings.epochs * math.ceil(windows / settings.batch_size))
