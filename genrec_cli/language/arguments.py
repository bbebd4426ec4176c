"""What transformers' Trainer is told."""

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import torch
from transformers import TrainingArguments

from genrec_cli.core.errors import ModelError, UsageError
from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.language.hardware import Place
from genrec_cli.language.team import Team
from genrec_cli.language.trainer import CHOICE

_LOGS: Final = 100  # lines of metrics.jsonl in a run
_TRACKERS: Final = {"wandb": "wandb", "mlflow": "mlflow", "trackio": "trackio"}


def planned_steps(windows: int, settings: FinetuneSettings) -> int:
    """Optimiser steps of a run."""
    if settings.max_steps is not None:
        return settings.max_steps
    return max(1, math.ceil(settings.epochs * windows / settings.batch_size))


def training_arguments(
    checkpoints: Path, settings: FinetuneSettings, place: Place, steps: int, team: Team
) -> TrainingArguments:
    """What the Trainer is told; steps are counted beforehand, in `planned_steps`.

    Raises:
        GenrecError: see `require_possible`.
    """
    every = max(1, math.ceil(steps / settings.evaluations))
    on_gpu = place.device.type == "cuda"
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        run_name=checkpoints.parent.name,
        max_steps=max(1, steps),
        per_device_train_batch_size=_share(settings.batch_size, team),
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        max_grad_norm=1.0,
        optim=_optimizer(settings, place),
        bf16=place.dtype == torch.bfloat16,
        use_cpu=not on_gpu,
        ddp_backend=None if team.size == 1 else "nccl" if on_gpu else "gloo",
        # Only installed where there is a GPU; its kernels replace norms, rotations and gates.
        use_liger_kernel=on_gpu and find_spec("liger_kernel") is not None,
        seed=settings.seed,
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,
        load_best_model_at_end=True,
        restore_callback_states_from_checkpoint=True,
        metric_for_best_model=f"eval_{CHOICE}",
        greater_is_better=True,
        logging_steps=max(1, steps // _LOGS),
        logging_nan_inf_filter=False,
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to=trackers(settings),
    )
    # With several GPUs in sight the Trainer would split batches over them in threads
    # (DataParallel), which neither our loss nor quantised weights survive.
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments


def require_possible(settings: FinetuneSettings, place: Place, team: Team) -> None:
    """Refuse what this machine cannot train, before anything is loaded or written.

    Raises:
        UsageError: the batch cannot be shared, or a tracker is unknown or not installed.
        ModelError: the optimiser does not run on this device.
    """
    _share(settings.batch_size, team)
    _optimizer(settings, place)
    trackers(settings)


def tensorboard_wanted(settings: FinetuneSettings) -> bool:
    """Whether a TensorBoard log is written: if asked for, or by itself where it is installed."""
    names = settings.report_to
    return "tensorboard" in names or ("auto" in names and find_spec("tensorboard") is not None)


def trackers(settings: FinetuneSettings) -> list[str]:
    """The trackers that the Trainer brings; TensorBoard is set up by ourselves, in the run.

    Raises:
        UsageError: one is unknown or not installed.
    """
    wanted = [name for name in settings.report_to if name not in ("auto", "none", "tensorboard")]
    for name in wanted:
        if name not in _TRACKERS:
            known = ", ".join(["auto", "none", "tensorboard", *_TRACKERS])
            raise UsageError(f"report_to names '{name}', which is no tracker", f"known: {known}")
    for name in [*wanted, *(["tensorboard"] if "tensorboard" in settings.report_to else [])]:
        if find_spec(_TRACKERS.get(name, name)) is None:
            raise UsageError(
                f"report_to names '{name}', which is not installed", f"pip install {name}"
            )
    return wanted or ["none"]


def _share(batch_size: int, team: Team) -> int:
    """Windows of a batch that each process takes."""
    if batch_size % team.size:
        raise UsageError(
            f"batch_size {batch_size} cannot be shared by {team.size} devices",
            "the effective batch is kept exact: choose a multiple",
        )
    return batch_size // team.size


def _optimizer(settings: FinetuneSettings, place: Place) -> str:
    wanted = settings.optimizer
    on_gpu = place.device.type == "cuda"
    if wanted == "adamw-8bit" and not on_gpu:
        raise ModelError("optimizer adamw-8bit needs a CUDA GPU", "set optimizer: adamw")
    if wanted == "auto":
        wanted = "adamw-8bit" if on_gpu and settings.train == "full" else "adamw"
    return "paged_adamw_8bit" if wanted == "adamw-8bit" else "adamw_torch_fused"
