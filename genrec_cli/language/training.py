"""Training in transformers' Trainer, with our windows, our loss and our progress."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainingArguments,
)
from transformers.trainer import TRAINER_STATE_NAME

from genrec_cli.core.progress import Progress
from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.language.backbones.load import quiet
from genrec_cli.language.corpus import Corpus
from genrec_cli.language.hardware import Place
from genrec_cli.language.metrics_log import MetricsLog
from genrec_cli.language.objective import TrieLoss, head_weight, last_hidden
from genrec_cli.language.reporting import Report, Speed
from genrec_cli.language.sampler import LengthGroupedOrder
from genrec_cli.language.windows import WindowDataset, collate, count_targets

CHECKPOINTS = "checkpoints"
_LOGS = 100  # lines of metrics.jsonl in a run


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
    arguments = _arguments(checkpoints, settings, place, steps)
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
    evaluations = log.validation_losses()
    # The untrained weights are in no checkpoint, so they are kept only if nothing was trained.
    kept = {step: loss for step, loss in evaluations.items() if step or not steps}
    best = min(kept, key=lambda step: kept[step])
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


class WindowTrainer(Trainer):
    """Trains on windows; the loss is the mean over target titles of a whole optimiser step."""

    # Our loss is divided by the targets of all micro-batches together, so every title counts the
    # same however they fall into micro-batches.
    loss_is_scaled_for_ga = True

    windows: WindowDataset
    trie_loss: TrieLoss
    speed: Speed

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthGroupedOrder:
        """Our own order; the Trainer's length grouping does not survive a resume."""
        return LengthGroupedOrder(
            self.windows.token_counts,
            self.args.per_device_train_batch_size * self.args.gradient_accumulation_steps,
            self.args.seed,
        )

    def _run_epoch(self, *args: Any, **options: Any) -> None:
        """Train, but not a run resumed after its last step: the Trainer would take one more."""
        if self.state.global_step < self.state.max_steps:
            super()._run_epoch(*args, **options)  # type: ignore[no-untyped-call]

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], torch.Tensor]:
        """Micro-batches of one step, and how many titles they predict together."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        targets = sum((count_targets(b["nodes"]) for b in batches), torch.tensor(0))
        self.speed.targets += int(targets)
        self.speed.tokens += sum(int(b["lengths"].sum()) for b in batches)
        return batches, targets.to(device)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Nats a title."""
        hidden = last_hidden(model, inputs["input_ids"])
        total = self.trie_loss(hidden, inputs["input_ids"], inputs["nodes"], head_weight(model))
        targets = (
            count_targets(inputs["nodes"]) if num_items_in_batch is None else num_items_in_batch
        )
        loss = total / targets
        return (loss, {"loss": loss}) if return_outputs else loss

    def prediction_step(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[torch.Tensor, None, None]:
        """The loss alone: there are no predictions to gather."""
        with torch.no_grad(), self.compute_loss_context_manager():
            return self.compute_loss(model, self._prepare_inputs(inputs)).detach(), None, None


def _arguments(
    checkpoints: Path, settings: FinetuneSettings, place: Place, steps: int
) -> TrainingArguments:
    every = max(1, math.ceil(steps / settings.evaluations))
    return TrainingArguments(
        output_dir=str(checkpoints),
        max_steps=max(1, steps),
        per_device_train_batch_size=settings.micro_batch_size,
        per_device_eval_batch_size=settings.micro_batch_size * 2,
        gradient_accumulation_steps=settings.batch_size // settings.micro_batch_size,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        max_grad_norm=1.0,
        bf16=place.dtype == torch.bfloat16,
        use_cpu=place.device.type == "cpu",
        seed=settings.seed,
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        logging_steps=max(1, steps // _LOGS),
        logging_nan_inf_filter=False,
        remove_unused_columns=False,
        label_names=["nodes"],
        disable_tqdm=True,
        report_to="none",
        dataloader_pin_memory=place.device.type == "cuda",
    )
