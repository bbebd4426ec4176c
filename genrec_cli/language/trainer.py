"""transformers' Trainer with our batches, loss and evaluation."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from transformers import Trainer

from genrec_cli.core.errors import ModelError
from genrec_cli.language.lesson import Lesson
from genrec_cli.language.memory import is_out_of_memory
from genrec_cli.language.objective import LossModel, TitleLoss
from genrec_cli.language.packing import (
    Counts,
    join,
    longest_example,
    micro_batches,
    weighed,
)
from genrec_cli.language.reporting import Speed, choice, validation_figures
from genrec_cli.language.sampler import EndlessOrder

CHOICE: Final = "choice"
"""Name of what the best checkpoint is chosen by."""


class PackTrainer(Trainer):
    """One batch is one optimiser step; it is cut into micro-batches as memory allows."""

    lesson: Lesson
    speed: Speed
    micro_batch_tokens: int

    def prepare(self, lesson: Lesson, speed: Speed, note: Callable[[str], None]) -> None:
        """Take what the Trainer's own constructor has no place for."""
        self._note = note
        self.lesson = lesson
        self.speed = speed
        self.micro_batch_tokens = lesson.micro_batch_tokens
        self._title_loss = TitleLoss.of(lesson.corpus.trie, lesson.settings)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches on the CPU, where they are cut; each process gets its share of every one."""
        size = self._train_batch_size
        windows, together = len(self.lesson.corpus.training), size * self.lesson.team.size
        masked = self.lesson.settings.masked_steps(self.args.max_steps) * together
        draws = self.args.max_steps * together
        loader: Any = DataLoader(
            self.lesson.corpus.training,
            batch_size=size,
            sampler=EndlessOrder(windows, draws, self.args.seed, masked),
            collate_fn=join,
        )
        shared: DataLoader[Any] = self.accelerator.prepare_data_loader(
            loader, device_placement=False
        )
        return shared

    def _run_epoch(self, *args: Any, **options: Any) -> None:
        """Train, but not a run resumed after its last step: the Trainer would take one more."""
        if self.state.global_step < self.state.max_steps and not self.control.should_training_stop:
            super()._run_epoch(*args, **options)  # type: ignore[no-untyped-call]

    def _finalize_training(self, *args: Any, **options: Any) -> Any:
        """Load the best weights, which lie elsewhere if a resumed run's folder has been moved."""
        best = Path(str(self.args.output_dir), f"checkpoint-{self.state.best_global_step}")
        self.state.best_model_checkpoint = str(best) if best.is_dir() else None
        return super()._finalize_training(*args, **options)  # type: ignore[no-untyped-call]

    def _save_rng_state(self, output_dir: str) -> None:
        """Wait for each other's files: the state that is written next says that all are there."""
        super()._save_rng_state(output_dir)
        self.lesson.team.wait()

    def _wrap_model(self, model: nn.Module, *_: Any, **__: Any) -> nn.Module:
        """What is run is the network with its loss; what is saved stays the network."""
        if isinstance(model, LossModel | DistributedDataParallel):
            return model
        wrapped = LossModel(model, self._title_loss)
        if self.lesson.team.size == 1:
            return wrapped
        device = self.args.device
        return DistributedDataParallel(
            wrapped, device_ids=[device] if device.type == "cuda" else None
        )

    def training_step(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """Gradients of one optimiser step; with less memory than thought, in smaller pieces.

        Raises:
            ModelError: the loss is not a number any more.
        """
        model.train()
        step = self.state.global_step
        batch = self._weighed(inputs)
        while True:
            try:
                loss = self._accumulate(model, batch)
                break
            except (torch.OutOfMemoryError, RuntimeError) as error:
                longest = longest_example(batch)
                alone = self.lesson.team.size == 1
                if not (is_out_of_memory(error) and alone and self.micro_batch_tokens > longest):
                    raise
            # Outside of `except`, where the error would keep the activations alive.
            self.micro_batch_tokens = max(longest, self.micro_batch_tokens // 2)
            self._note(f"memory was short: now {self.micro_batch_tokens:,} tokens at a time")
            model.zero_grad()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        team = self.lesson.team
        self._require_finite("training", team.summed([loss.item()])[0] / team.size, step + 1)
        return loss

    def _require_finite(self, which: str, loss: float, step: int) -> None:
        if not math.isfinite(loss):
            error = ModelError(
                f"the {which} loss is {loss} at step {step}: training has diverged",
                "lower the learning rate; the last good checkpoint is kept",
            )
            self.lesson.team.fail(error)

    def _weighed(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """The batch, its targets counted in all processes and weighed."""
        mine, team = Counts.of(inputs), self.lesson.team
        counts = Counts(*(round(count) for count in team.summed(mine)))
        self.speed.targets += sum(counts)
        tokens = len(inputs["tokens"]) + len(inputs.get("read", ()))
        self.speed.tokens += round(team.summed([tokens])[0])
        batch = weighed(inputs, counts, self.lesson.settings.mask_weight or 1.0)
        # DDP takes the mean over processes; what is wanted is the sum.
        return {**batch, "weights": batch["weights"] * team.size}

    def _accumulate(self, model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        packing = self.lesson.settings.packing
        packs = list(micro_batches(batch, self.micro_batch_tokens, packing=packing))
        total = torch.zeros((), device=self.args.device)
        for number, pack in enumerate(packs, 1):
            last = number == len(packs)
            with nullcontext() if last else self.accelerator.no_sync(model):
                with self.accelerator.autocast():
                    loss = model(pack)
                self.accelerator.backward(loss)
            total += loss.detach()
        return total

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Loss and ranking of the validation items."""
        network: Any = self.model
        network.eval()
        corpus, team = self.lesson.corpus, self.lesson.team
        mine = slice(team.rank, None, team.size)
        with torch.no_grad():
            loss = self._loss_of(network, mine)
            ranked = self.lesson.validate(network, corpus.cases.part(mine))
        sums = team.summed([loss, *ranked.values()])
        means = [total / len(corpus.validation) for total in sums]
        # Trackers allow no @ in names.
        names = ["loss", *(name.replace("@", "_at_") for name in ranked)]
        metrics = {f"eval_{name}": mean for name, mean in zip(names, means, strict=True)}
        self._require_finite("validation", means[0], self.state.global_step)
        metrics[f"eval_{CHOICE}"] = choice(validation_figures(metrics))
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def _loss_of(self, network: Any, part: slice) -> float:
        """Sum of -log p over validation titles."""
        model, total = LossModel(network, self._title_loss), 0.0
        examples = self.lesson.corpus.validation[part]
        if not examples:  # fewer users than processes
            return total
        batch = join([examples])
        ones = {**batch, "weights": torch.ones(len(batch["tokens"]))}
        for pack in micro_batches(ones, self.micro_batch_tokens, packing=True):
            with self.accelerator.autocast():
                total += float(model(pack))
        return total

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted."""
        return 0
