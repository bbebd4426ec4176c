"""What a training run will take, before any weight is loaded: a first estimate.

Memory counts weights, adapter, gradients, Adam's two moments and activations (Korthikanti et al.
2022, eq. 1: 34 bytes a token, layer and unit of width in 16 bits, twice that in 32; LoRA keeps
float32 copies of its inputs, dropped out and not, and outputs besides). Time counts
2 FLOP a parameter and token for each pass (forward, backward through activations, and through
weights if they are trained) at the speed that a small matrix product reaches on this machine.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import torch
from transformers import AutoModelForCausalLM

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.language.corpus import Corpus
from genrec_cli.language.hardware import Place, hardware
from genrec_cli.language.training import planned_steps

_WEIGHT_BYTES: Final = {"nf4": 0.52, "int8": 1.0}  # double quantisation adds 0.13 bits a weight
_PROGRAM_BYTES: Final = 0.5e9  # Python, PyTorch and the other libraries, measured
_EFFICIENCY: Final = 0.5  # of a whole training step, against a bare matrix product


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
        memory_gb: part -> GB (1e9 bytes), with the sum as "total".
        available_gb: free memory of the device.
        hours: estimated training time, without evaluations.
    """

    windows: int
    targets: int
    tokens: int
    steps: int
    parameters: int
    trainable: int
    memory_gb: Mapping[str, float]
    available_gb: float
    hours: float

    @property
    def fits(self) -> bool:
        """Whether the estimate is below the free memory."""
        return self.memory_gb["total"] <= self.available_gb


def make_plan(corpus: Corpus, config: Any, settings: FinetuneSettings, place: Place) -> Plan:
    """Estimate a run from a base model's config.

    Args:
        corpus: what is trained on.
        config: of the base model, from `load_config`.
        settings: of the run.
        place: device and dtype.
    """
    with torch.device("meta"):
        skeleton: Any = AutoModelForCausalLM.from_config(config)
    parameters = sum(p.numel() for p in skeleton.parameters())
    named = {
        name: module
        for name, module in skeleton.named_modules()
        if isinstance(module, torch.nn.Linear) and name != "lm_head"
    }
    linear = list(named.values())
    adapted = _adapted(named, settings)
    adapters = sum(settings.lora_rank * (m.in_features + m.out_features) for m in adapted)
    trainable = parameters if settings.train == "full" else adapters
    sizes = _Sizes(parameters, trainable, _size(linear), _lora_bytes(adapted))
    memory = _memory(corpus, config, settings, place, sizes)
    steps = planned_steps(len(corpus.training), settings)
    tokens = corpus.tokens / max(1, len(corpus.training)) * settings.batch_size * steps
    passes = 3 if settings.train == "full" else 2
    flops = 2 * passes * (parameters if settings.train == "full" else _size(linear)) * tokens
    return Plan(
        windows=len(corpus.training),
        targets=corpus.targets,
        tokens=corpus.tokens,
        steps=steps,
        parameters=parameters,
        trainable=trainable,
        memory_gb={part: round(size, 3) for part, size in memory.items()},
        available_gb=round(hardware().free_gb, 1),
        hours=round(flops / (_EFFICIENCY * _matmul_speed(place)) / 3600, 3),
    )


class _Sizes(NamedTuple):
    parameters: int
    trainable: int
    linear: int
    lora_bytes: int


def _memory(
    corpus: Corpus,
    config: Any,
    settings: FinetuneSettings,
    place: Place,
    sizes: "_Sizes",
) -> dict[str, float]:
    parameters, trainable, linear, lora_bytes = sizes
    full = 4 if settings.train == "full" else place.dtype.itemsize
    linear_bytes = _WEIGHT_BYTES.get(settings.quantize, full)
    longest = int(corpus.training.token_counts.max(initial=0))
    tokens = settings.micro_batch_size * longest
    activation = 34 * (place.dtype.itemsize / 2) * config.hidden_size * config.num_hidden_layers
    titles_tokens = len(set(corpus.trie.token.tolist()))
    parts = {
        "weights": linear * linear_bytes + (parameters - linear) * full,
        "adapter": 0 if settings.train == "full" else trainable * 4,
        "gradients": trainable * 4,
        "optimiser": trainable * 8,
        "activations": tokens * (activation + lora_bytes),
        "program": _PROGRAM_BYTES if place.device.type == "cpu" else 0,
        # Every second token is a decision at most; the loss keeps logits and their softmax.
        "logits": tokens / 2 * titles_tokens * 4 * 2,
    }
    memory = {part: size / 1e9 for part, size in parts.items()}
    return {**memory, "total": sum(memory.values())}


def _adapted(
    linear: dict[str, torch.nn.Linear], settings: FinetuneSettings
) -> list[torch.nn.Linear]:
    """Layers that get an adapter; none when every weight is trained."""
    if settings.train == "full":
        return []
    targets = settings.lora_targets
    everything = targets == ("all-linear",)
    return [
        module
        for name, module in linear.items()
        if everything or any(f".{name}".endswith(f".{target}") for target in targets)
    ]


def _lora_bytes(adapted: list[torch.nn.Linear]) -> int:
    """Bytes a token that adapters keep for the backward pass.

    Of a layer's input a float32 copy, its dropped-out copy and the mask; of its output the
    update, in float32.
    """
    return sum(9 * m.in_features + 4 * m.out_features for m in adapted)


def _size(linear: list[torch.nn.Linear]) -> int:
    return sum(m.in_features * m.out_features for m in linear)


def _matmul_speed(place: Place) -> float:
    """FLOP/s of a matrix product of a training step's shape; takes a few hundredths of a second."""
    left = torch.ones((512, 1024), dtype=place.dtype, device=place.device)
    right = torch.ones((1024, 1024), dtype=place.dtype, device=place.device)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        (left @ right).sum().item()  # .item() waits for the device
        best = min(best, time.perf_counter() - start)
    return 2 * 512 * 1024 * 1024 / best
