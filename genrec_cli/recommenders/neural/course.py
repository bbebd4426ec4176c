"""A course of training: epochs until validation stops improving, resumable after each."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Final

import torch
from torch import Tensor, nn

from genrec_cli.core.errors import ModelError
from genrec_cli.core.progress import Progress
from genrec_cli.core.provenance import Stopwatch
from genrec_cli.language.seeding import seeded

_CHECKPOINT: Final = "training.pt"
_RATE: Final = 1e-3
_SLOWER: Final = 0.3  # the learning rate's factor where validation has stopped improving
_SLOWINGS: Final = 2
_CLIP: Final = 5.0


@dataclass(frozen=True)
class Lesson:
    """What a network is taught, and how it is told whether it learns.

    Attributes:
        losses: of an epoch (its number is the argument): one loss for each optimiser step.
        validate: figure to improve, on validation items.
        epochs: at most.
        patience: epochs without a better figure, after which the learning rate is lowered; it is
            lowered twice, and the third time training ends.
    """

    losses: Callable[[int], Iterator[Tensor]]
    validate: Callable[[], float]
    epochs: int = 300
    patience: int = 5


@dataclass
class _Standing:
    """How far a course is; all that must survive a kill beside weights and optimiser."""

    epoch: int = 0
    best: float = -1.0
    stale: int = 0
    slowings: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)


class Course:
    """Trains a network to its best validation figure.

    Args:
        network: ends up with the weights of the best epoch.
        lesson: what it is taught.
        seed: of dropout; the lesson has its own order.
        folder: for the checkpoint; None: none is kept.
    """

    def __init__(self, network: nn.Module, lesson: Lesson, seed: int, folder: Path | None) -> None:
        self._network, self._lesson, self._seed = network, lesson, seed
        self._file = folder / _CHECKPOINT if folder else None
        self._optimizer = torch.optim.Adam(network.parameters(), lr=_RATE, betas=(0.9, 0.98))
        self._at = _Standing()
        self._best = _copied(network)

    def run(self, name: str, progress: Progress) -> list[dict[str, float]]:
        """Train to the end, or go on from a checkpoint; returns loss and figure by epoch.

        Raises:
            ModelError: the loss of an epoch is not a number; the epoch before is kept.
        """
        with progress.task(f"{name}: training", self._lesson.epochs, "epochs at most") as task:
            if self._recalled():
                task.skip(self._at.epoch)
            while not self._ended():
                self._epoch()
                line = self._at.curve[-1]
                if not math.isfinite(line["loss"]):  # then no logit is above a target's
                    what = (
                        f"{name} has diverged: its loss is {line['loss']} in epoch {line['step']}"
                    )
                    raise ModelError(what, f"--exclude {name}")
                self._keep()
                shown = {"loss": f"{line['loss']:.3f}", "NDCG@10": f"{line['NDCG@10']:.4f}"}
                task.figures({**shown, "best": f"{self._at.best:.4f}"})
                task.advance()
        self._network.load_state_dict(self._best)
        return self._at.curve

    def _ended(self) -> bool:
        return self._at.slowings > _SLOWINGS or self._at.epoch >= self._lesson.epochs

    def _epoch(self) -> None:
        at, watch = self._at, Stopwatch()
        with seeded(hash((self._seed, at.epoch)) % 2**63):
            loss = self._pass(at.epoch)
        self._network.eval()
        figure = self._lesson.validate()
        at.epoch += 1
        seconds = round(watch.seconds, 3)
        at.curve.append({"step": at.epoch, "loss": loss, "NDCG@10": figure, "seconds": seconds})
        if figure > at.best:
            at.best, at.stale, self._best = figure, 0, _copied(self._network)
        else:
            at.stale += 1
        if at.stale >= self._lesson.patience:
            self._slow_down()

    def _slow_down(self) -> None:
        """Go on from the best weights with a lower rate."""
        self._at.stale = 0
        self._at.slowings += 1
        self._network.load_state_dict(self._best)
        for group in self._optimizer.param_groups:
            group["lr"] *= _SLOWER

    def _pass(self, epoch: int) -> float:
        self._network.train()
        total, steps = 0.0, 0
        for loss in self._lesson.losses(epoch):
            self._optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self._network.parameters(), _CLIP)
            self._optimizer.step()
            total, steps = total + float(loss.detach()), steps + 1
        return total / steps

    def _keep(self) -> None:
        if self._file is None:
            return
        kept = {
            "at": vars(self._at),
            "network": self._network.state_dict(),
            "best": self._best,
            "optimizer": self._optimizer.state_dict(),
        }
        partial = self._file.with_suffix(".partial")
        torch.save(kept, partial)
        partial.replace(self._file)

    def _recalled(self) -> bool:
        if self._file is None or not self._file.exists():
            return False
        try:
            kept = torch.load(self._file, map_location="cpu", weights_only=True)
        except (EOFError, RuntimeError, UnpicklingError) as error:
            message = f"{self._file} is damaged: {error}"
            raise ModelError(message, f"rm '{self._file}', and training begins anew") from None
        self._at = _Standing(**kept["at"])
        self._network.load_state_dict(kept["network"])
        self._optimizer.load_state_dict(kept["optimizer"])
        self._best = kept["best"]
        return True


def _copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
