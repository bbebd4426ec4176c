"""Memory of a training run by part, from sizes alone.

Weights, gradients and moments are counted: float32 where they are trained, NF4 at 4.13 bits
(Dettmers et al. 2023, section 3), Adam's two moments in 8 bytes a parameter or, quantised, in 2
(Dettmers et al. 2022; embeddings stay in 8). Activations are what autograd was seen to keep
(`torch.autograd.graph.saved_tensors_hooks`, transformers 5.23, PEFT 0.21, LLaMA), to 1 %:

    ==================== ==================================================================
    norm                 its input in float32; normalised once more, if its weight is trained
    attention            queries, keys, values, output (float32 on a CPU); a float32 for each head
    feed-forward         gate, up and the activated gate
    trained linear layer its input, once more for each layer that casts it to 16 bits
    adapter              its input, its r outputs, and its dropout's mask (float32 on a CPU)
    ==================== ==================================================================

To that comes one layer more, while it is taken back. With checkpoints a layer keeps its input
alone (Chen et al. 2016). `SLACK` is what allocators need besides.
"""

from typing import Final, NamedTuple

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.language.hardware import Place
from genrec_cli.language.headloss import _NUMBERS_AT_ONCE
from genrec_cli.language.planning.anatomy import Anatomy

WEIGHT_BYTES: Final = {"nf4": 0.52, "int8": 1.0}
SLACK: Final = {"cpu": 1.4, "cuda": 1.1}
"""What is taken for activations, against what they hold.

Measured on a CPU (glibc's heap, SmolLM2 and nano: 1.3 to 1.7); on a GPU PyTorch's caching
allocator loses about a tenth.
"""
_MASK_BYTES: Final = {"cpu": 4, "cuda": 1}  # PyTorch has a fused dropout on GPUs alone


class Load(NamedTuple):
    """What is in memory at a time.

    Attributes:
        tokens: of a micro-batch.
        checkpointing: whether activations are computed twice instead of kept.
        choices: most tokens that a target is chosen among.
        devices: processes that train together.
        trains: whether anything is trained at all.
    """

    tokens: int
    checkpointing: bool
    choices: int
    devices: int = 1
    trains: bool = True


def memory_parts(
    anatomy: Anatomy, settings: FinetuneSettings, place: Place, load: Load
) -> dict[str, float]:
    """Bytes that each device needs, by part: weights, adapter, gradients and so on."""
    full, trainable = settings.train == "full", anatomy.trainable(settings)
    trained = trainable if load.trains else 0
    buckets = 2 if load.devices > 1 else 1  # DDP sends gradients from copies
    return {
        "weights": _weight_bytes(anatomy, settings, place),
        "adapter": 0 if full else trainable * 4,
        "gradients": trained * 4 * buckets,
        "optimiser": _moment_bytes(anatomy, settings, place) if load.trains else 0,
        "activations": _activation_bytes(anatomy, settings, place, load),
        "logits": _logit_bytes(anatomy, settings, load),
    }


def _weight_bytes(anatomy: Anatomy, settings: FinetuneSettings, place: Place) -> float:
    if settings.quantize != "none":
        # PEFT makes what is not quantised float32.
        rest = anatomy.parameters - anatomy.weights
        return anatomy.weights * WEIGHT_BYTES[settings.quantize] + rest * 4
    return anatomy.parameters * (4 if settings.train == "full" else place.dtype.itemsize)


def optimizer_of(settings: FinetuneSettings, place: Place) -> str:
    """The optimiser that trains on this device: adamw or adamw-8bit."""
    if settings.optimizer != "auto":
        return settings.optimizer
    return "adamw-8bit" if place.device.type == "cuda" and settings.train == "full" else "adamw"


def _moment_bytes(anatomy: Anatomy, settings: FinetuneSettings, place: Place) -> int:
    trained = anatomy.trainable(settings)
    if optimizer_of(settings, place) == "adamw":
        return trained * 8
    whole = anatomy.embedded if settings.train == "full" else 0
    return whole * 8 + (trained - whole) * 2


def _activation_bytes(
    anatomy: Anatomy, settings: FinetuneSettings, place: Place, load: Load
) -> float:
    """Activations, and copies of weights that products are made with."""
    full, itemsize = settings.train == "full", place.dtype.itemsize
    layer = layer_bytes(anatomy, settings, place)
    stream = (4 if full or settings.quantize != "none" else itemsize) * anatomy.width
    kept = (anatomy.layers + 1) * layer
    if load.checkpointing:
        kept = anatomy.layers * stream + 2 * layer
    if not load.trains:
        kept = layer
    ends = (12 if full else 8) * anatomy.width  # of the last norm, and the loss's gradient
    tokens = load.tokens * (kept + ends)
    copies = 0
    if full and itemsize < 4:
        copies = anatomy.weights * itemsize  # autocast keeps them until the backward pass ends
    elif settings.quantize != "none":
        copies = max((i * o for i, o in anatomy.linear.values()), default=0) * itemsize
    return SLACK[place.device.type] * tokens + copies


def layer_bytes(anatomy: Anatomy, settings: FinetuneSettings, place: Place) -> float:
    """Bytes a token that one layer keeps for the backward pass."""
    itemsize, full = place.dtype.itemsize, settings.train == "full"
    norms = 2 * 4 * anatomy.width * (2 if full else 1)
    attending = 4 if place.device.type == "cpu" else itemsize  # see `Pack.attend`
    attention = 2 * (anatomy.queries + anatomy.keys) * attending + 4 * anatomy.heads
    inner = 3 * anatomy.inner * itemsize
    return norms + attention + inner + _input_bytes(anatomy, settings, place)


def _input_bytes(anatomy: Anatomy, settings: FinetuneSettings, place: Place) -> float:
    """Bytes a token that the linear layers of one layer, or their adapters, keep of inputs."""
    itemsize = place.dtype.itemsize
    if settings.train == "full":
        if itemsize == 4:  # queries, keys and values share one input, gate and up another
            return itemsize * (2 * anatomy.width + anatomy.queries + anatomy.inner)
        return itemsize * sum(inputs for inputs, _ in anatomy.linear.values()) / anatomy.layers
    mask = _MASK_BYTES[place.device.type] if settings.lora_dropout else 0
    adapted = anatomy.adapted(settings)
    inputs = sum(inputs for inputs, _ in adapted)
    bytes_ = (itemsize + mask) * inputs + itemsize * settings.lora_rank * len(adapted)
    if settings.quantize == "int8":  # bitsandbytes keeps the inputs of its products
        bytes_ += itemsize * sum(inputs for inputs, _ in anatomy.linear.values())
    return bytes_ / anatomy.layers


def _logit_bytes(anatomy: Anatomy, settings: FinetuneSettings, load: Load) -> float:
    """Of the loss, which works through some of its logits, or gathered head rows, at a time."""
    at_once = min(_NUMBERS_AT_ONCE, load.tokens * max(load.choices, 2 * anatomy.width))
    numbers = 3 * at_once
    head = anatomy.config.vocab_size * anatomy.width
    if settings.train == "full" and load.trains:
        numbers += 2 * at_once + 2 * head  # the head's gradient, and once more, weighed
    elif settings.all_logits:
        numbers += head  # in float32
    return 4 * numbers
