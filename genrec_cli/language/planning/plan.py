"""What a training run will take, before any weight is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.language.arguments import planned_steps
from genrec_cli.language.corpus import Corpus
from genrec_cli.language.hardware import Place, hardware
from genrec_cli.language.planning.calibration import Method, step_seconds
from genrec_cli.language.planning.estimate import anatomy_for, estimate_for
from genrec_cli.language.planning.microbatch import choose_micro_batch
from genrec_cli.language.planning.sketch import Sketch


@dataclass(frozen=True)
class Plan:
    """What a run will train on and take.

    Attributes:
        windows: training examples.
        targets: titles predicted in one epoch.
        tokens: tokens read in one epoch, without padding.
        steps: optimiser steps of the run.
        parameters: of the base model.
        trainable: parameters that are trained.
        memory_gb: part -> GB (1e9 bytes) on each device, with the sum as "total"; "program" is
            what this process has taken already.
        available_gb: free memory of the device, with what this process has taken.
        seconds_per_step: estimated.
        hours: estimated training time, without evaluations.
        calibration: what the time was worked out from: real layers, or a matrix product.
        micro_batch_tokens: tokens in memory at a time.
        gradient_checkpointing: whether activations are computed twice instead of kept.
    """

    windows: int
    targets: int
    tokens: int
    steps: int
    parameters: int
    trainable: int
    memory_gb: Mapping[str, float]
    available_gb: float
    seconds_per_step: float
    hours: float
    calibration: Method
    micro_batch_tokens: int
    gradient_checkpointing: bool

    @property
    def fits(self) -> bool:
        """Whether the estimate is below the free memory."""
        return self.memory_gb["total"] <= self.available_gb


def make_plan(
    corpus: Corpus,
    config: Any,
    settings: FinetuneSettings,
    place: Place,
    free_gb: float | None = None,
    devices: int = 1,
) -> Plan:
    """Work out a run from a base model's config; some layers of its kind are timed.

    Args:
        corpus: what is trained on.
        config: of the base model, from `load_config`.
        settings: of the run.
        place: device and dtype.
        free_gb: memory of the device that is free; None: look.
        devices: processes that train together; a CPU's share its memory.
    """
    anatomy = anatomy_for(corpus, config, settings)
    estimate = estimate_for(corpus, place, devices)
    free = hardware().free_gb if free_gb is None else free_gb
    available = (free / devices if place.device.type == "cpu" else free) + estimate.program_gb
    tokens, checkpointing = choose_micro_batch(estimate, anatomy, settings, available)
    memory = estimate.parts(anatomy, settings, tokens, checkpointing)
    decided = settings.model_copy(
        update={
            "micro_batch_tokens": tokens,
            "gradient_checkpointing": "on" if checkpointing else "off",
        }
    )
    steps = planned_steps(len(corpus.training), settings)
    spare = available - estimate.program_gb
    timing = step_seconds(corpus, Sketch(anatomy, decided, place), spare)
    # Several processes on one CPU share its cores.
    seconds = timing.seconds / (devices if place.device.type == "cuda" else 1)
    return Plan(
        windows=len(corpus.training),
        targets=corpus.training.targets,
        tokens=corpus.training.tokens,
        steps=steps,
        parameters=anatomy.parameters,
        trainable=anatomy.trainable(settings),
        memory_gb={part: round(size, 3) for part, size in memory.items()},
        available_gb=round(available, 3),
        seconds_per_step=round(seconds, 4),
        hours=round(seconds * steps / 3600, 4),
        calibration=timing.method,
        micro_batch_tokens=tokens,
        gradient_checkpointing=checkpointing,
    )
