"""transformers' Trainer with our windows, order and loss."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainingArguments

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.language.hardware import Place
from genrec_cli.language.objective import TrieLoss, head_weight, last_hidden
from genrec_cli.language.reporting import Speed
from genrec_cli.language.sampler import LengthGroupedOrder
from genrec_cli.language.windows import WindowDataset, count_targets

_LOGS = 100  # lines of metrics.jsonl in a run


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


def training_arguments(
    checkpoints: Path, settings: FinetuneSettings, place: Place, steps: int
) -> TrainingArguments:
    """What the Trainer is told; steps are counted beforehand, in `planned_steps`."""
    every = max(1, math.ceil(steps / settings.evaluations))
    arguments = TrainingArguments(
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
    # With several GPUs in sight the Trainer would split batches over them in threads
    # (DataParallel), which neither our loss nor quantised weights survive.
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments
