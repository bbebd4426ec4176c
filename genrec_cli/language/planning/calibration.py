"""How long an optimiser step takes: real passes through a few layers, without the model's weights.

One and two layers of the model's own sizes, with random weights, read real windows forwards and
backwards; what the second layer adds is taken for each of the others (of an encoder-decoder: of
the encoder, and of the decoder). A model of few layers is timed whole. Where even that would take
too long or too much memory, time is 2 FLOP a weight and token for each pass (forward, backward
through activations, and through weights if they are trained) at half the speed of a matrix product
on this machine; at its full speed no step is thought to be done, whatever was timed.
"""

import gc
import time
from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple

import torch

from genrec_cli.language.backbones.load import quiet
from genrec_cli.language.corpus import Corpus
from genrec_cli.language.hardware import Place, give_back_memory
from genrec_cli.language.memory import is_out_of_memory
from genrec_cli.language.objective import LossModel, TitleLoss
from genrec_cli.language.packing import Pack
from genrec_cli.language.pairs.examples import PairExamples
from genrec_cli.language.pairs.pack import PairPack
from genrec_cli.language.planning.anatomy import Anatomy
from genrec_cli.language.planning.sample import sample_pack
from genrec_cli.language.planning.sketch import Sketch, random_model
from genrec_cli.language.seeding import seeded

Method = Literal["layers", "matmul"]

_FEW_LAYERS: Final = 4  # a model of so many is timed whole
_CPU_TOKENS: Final = 1024  # time on a CPU grows with the tokens from here on
_RUNS: Final = 3  # of each pass; the first one compiles
_PATIENCE: Final = 20.0  # seconds
_WRITTEN: Final = 2e8  # random weights a second
_EFFICIENCY: Final = 0.5  # of a whole training step, against a bare matrix product
# LitGPT on an A10G, LLaMA-2-7B with LoRA: 45.67 min in NF4, 32.82 in bfloat16; int8 is taken for
# alike.
_QUANTISED: Final = 1.4


class Timing(NamedTuple):
    """Seconds of an optimiser step on one device, and how they were found."""

    seconds: float
    method: Method


def step_seconds(corpus: Corpus, sketch: Sketch, free_gb: float) -> Timing:
    """Time an optimiser step; no memory is kept, and no generator is moved.

    Args:
        corpus: what is read.
        sketch: what is trained.
        free_gb: memory that may be used meanwhile.
    """
    settings, training = sketch.settings, corpus.training
    tokens = training.tokens / len(training) * settings.batch_size
    slower = _QUANTISED if settings.quantize != "none" else 1.0
    speed = _EFFICIENCY * _matmul_speed(sketch.place) / _flops(corpus, sketch)
    if _affordable(sketch, free_gb, speed):
        try:
            # Next to other programs one more layer may seem to take no time at all.
            seconds = max(_timed(corpus, sketch), _EFFICIENCY * tokens / speed)
            return Timing(slower * seconds, "layers")
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        finally:
            _forget(sketch.place)
    return Timing(slower * tokens / speed, "matmul")


def _timed_stacks(anatomy: Anatomy) -> list[dict[str, int]]:
    """Layers of each model that is timed: all, or one of each kind and then one more of one."""
    if max(anatomy.stacks.values()) <= _FEW_LAYERS:
        return [dict(anatomy.stacks)]
    ones = dict.fromkeys(anatomy.stacks, 1)
    return [ones, *({**ones, name: 2} for name in anatomy.stacks)]


def _affordable(sketch: Sketch, free_gb: float, speed: float) -> bool:
    """Whether the layers fit half of the free memory, and are timed soon enough.

    Args:
        sketch: what is timed.
        free_gb: memory that is free.
        speed: tokens a second, of all layers.
    """
    anatomy, settings, place = sketch
    counts = [sum(stacks.values()) for stacks in _timed_stacks(anatomy)]
    held = [anatomy.embedded + count * anatomy.weights / anatomy.layers for count in counts]
    bytes_each = 16 if settings.train == "full" else place.dtype.itemsize
    share = sum(counts) / anatomy.layers
    seconds = _RUNS * share * _pack_tokens(sketch) / speed + sum(held) / _WRITTEN
    return max(held) * bytes_each < 0.5e9 * free_gb and seconds < _PATIENCE


def _flops(corpus: Corpus, sketch: Sketch) -> float:
    """Of a training step, for each token; what is read passes some of the weights only."""
    anatomy, settings, training = sketch.anatomy, sketch.settings, corpus.training
    passes = (3 if settings.train == "full" else 2) + (settings.gradient_checkpointing == "on")
    weights: float = anatomy.weights
    if isinstance(training, PairExamples):
        answers = training.writer.encoder.titles.lengths[training.windows.targets]
        written = float((1 + answers).sum()) / training.tokens
        weights = (1 - written) * anatomy.reading + written * (weights - anatomy.reading)
    return 2 * passes * weights


def _pack_tokens(sketch: Sketch) -> int:
    micro = sketch.settings.micro_batch_tokens or _CPU_TOKENS
    return min(micro, _CPU_TOKENS) if sketch.place.device.type == "cpu" else micro


def _timed(corpus: Corpus, sketch: Sketch) -> float:
    """Seconds of a step, extrapolated to all layers."""
    anatomy, settings = sketch.anatomy, sketch.settings
    with seeded(0), quiet():
        sample = sample_pack(corpus, _pack_tokens(sketch), settings)
        first, *more = (
            _measure(corpus, sketch, sample.pack, stacks) for stacks in _timed_stacks(anatomy)
        )
    one_pass = first.one_pass
    for one_more, layers in zip(more, anatomy.stacks.values(), strict=False):
        one_pass += (layers - 1) * max(0.0, one_more.one_pass - first.one_pass)
    last = more[-1] if more else first
    update = last.update * anatomy.trainable(settings) / last.trained
    return one_pass * sample.packs + update


class _Measured(NamedTuple):
    """Seconds of a pass, forwards and backwards, and of an update of so many parameters."""

    one_pass: float
    update: float
    trained: int


def _measure(
    corpus: Corpus, sketch: Sketch, pack: Pack | PairPack, stacks: Mapping[str, int]
) -> _Measured:
    settings, place = sketch.settings, sketch.place
    network = random_model(sketch, stacks)
    loss = TitleLoss.of(corpus.trie, settings)
    model = LossModel(network, loss).train()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=0.0, fused=True)

    def one_pass() -> None:
        halves = place.dtype == torch.bfloat16
        with torch.autocast(place.device.type, torch.bfloat16, enabled=halves):
            loss = model(pack)
        loss.backward()
        loss.item()  # waits for the device

    def update() -> None:
        optimizer.step()
        _wait(place)

    passes = [_seconds(one_pass) for _ in range(_RUNS)]
    updates = [_seconds(update) for _ in range(_RUNS)]
    return _Measured(min(passes), min(updates), sum(weight.numel() for weight in weights))


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _matmul_speed(place: Place) -> float:
    """FLOP/s of a matrix product of a training step's shape; takes a few hundredths of a second."""
    left = torch.ones((512, 1024), dtype=place.dtype, device=place.device)
    right = torch.ones((1024, 1024), dtype=place.dtype, device=place.device)
    best = min(_seconds(lambda: (left @ right).sum().item()) for _ in range(10))
    return 2 * 512 * 1024 * 1024 / best


def _wait(place: Place) -> None:
    if place.device.type == "cuda":
        torch.cuda.synchronize()


def _forget(place: Place) -> None:
    """Leave neither memory nor a peak that is not the run's."""
    gc.collect()
    give_back_memory()
    if place.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
