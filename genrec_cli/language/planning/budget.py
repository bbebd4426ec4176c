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
alone (Chen et al. 2016). `SLACK` is what allocators need besides. Of encoder-decoders see
`pairbudget`.
"""

from typing import Final, NamedTuple

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.language.hardware import Place
from genrec_cli.language.headloss import _NUMBERS_AT_ONCE
from genrec_cli.language.planning.anatomy import Anatomy
from genrec_cli.language.planning.inputs import input_bytes
from genrec_cli.language.planning.pairbudget import PairBytes, Tokens

WEIGHT_BYTES: Final = {"nf4": 0.52, "int8": 1.0}
SLACK: Final = {"cpu": 1.4, "cuda": 1.1}
"""What is taken for activations, against what they hold.

Measured on a CPU (glibc's heap, SmolLM2 and nano: 1.3 to 1.7; T5 and BART: 1.2 to 1.9); on a GPU
PyTorch's caching allocator loses about a tenth.
"""
# Of an encoder-decoder, numbers of its width for each token: embeddings with their dropout, and
# last norms.
_ENDS: Final = 20


class Load(NamedTuple):
    """What is in memory at a time.

    Attributes:
        tokens: of a micro-batch.
        checkpointing: whether activations are computed twice instead of kept.
        choices: most tokens that a target is chosen among.
        devices: processes that train together.
        trains: whether anything is trained at all.
        longest: the longest reading and answer, padded; of what a decoder alone reads, nothing.
    """

    tokens: int
    checkpointing: bool
    choices: int
    devices: int = 1
    trains: bool = True
    longest: Tokens = Tokens(0, 0)

    @property
    def targets(self) -> float:
        """Most tokens that are predicted: all, or those that are written."""
        share = self.longest.written / sum(self.longest) if sum(self.longest) else 1
        return self.tokens * share


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
    kept = _pair_bytes if anatomy.config.is_encoder_decoder else _decoder_bytes
    copies = 0
    if full and itemsize < 4:
        copies = anatomy.weights * itemsize  # autocast keeps them until the backward pass ends
    elif settings.quantize != "none":
        copies = max((i * o for i, o in anatomy.linear.values()), default=0) * itemsize
    return SLACK[place.device.type] * kept(anatomy, settings, place, load) + copies


def _decoder_bytes(anatomy: Anatomy, settings: FinetuneSettings, place: Place, load: Load) -> float:
    full = settings.train == "full"
    layer = layer_bytes(anatomy, settings, place)
    in_float32 = full or settings.quantize != "none"
    stream = (4 if in_float32 else place.dtype.itemsize) * anatomy.width
    kept = (anatomy.layers + 1) * layer
    if load.checkpointing:
        kept = anatomy.layers * stream + 2 * layer
    if not load.trains:
        kept = layer
    ends = (12 if full else 8) * anatomy.width  # of the last norm, and the loss's gradient
    return load.tokens * (kept + ends)


def _pair_bytes(anatomy: Anatomy, settings: FinetuneSettings, place: Place, load: Load) -> float:
    kept = PairBytes(anatomy, settings, place, load.longest)
    ends = _ENDS * anatomy.width
    layers = kept.kept(load.tokens, checkpointing=load.checkpointing, trains=load.trains)
    return layers + load.tokens * ends


def layer_bytes(anatomy: Anatomy, settings: FinetuneSettings, place: Place) -> float:
    """Bytes a token that one layer of a decoder keeps for the backward pass."""
    itemsize, full = place.dtype.itemsize, settings.train == "full"
    norms = 2 * 4 * anatomy.width * (2 if full else 1)
    attending = 4 if place.device.type == "cpu" else itemsize  # see `Pack.attend`
    attention = 2 * (anatomy.queries + anatomy.keys) * attending + 4 * anatomy.heads
    inner = 3 * anatomy.inner * itemsize
    inputs = input_bytes(anatomy, settings, place) / anatomy.layers
    return norms + attention + inner + inputs


def _logit_bytes(anatomy: Anatomy, settings: FinetuneSettings, load: Load) -> float:
    """Of the loss, which works through some of its logits, or gathered head rows, at a time."""
    at_once = min(_NUMBERS_AT_ONCE, load.targets * max(load.choices, 2 * anatomy.width))
    numbers = 3 * at_once
    head = anatomy.config.vocab_size * anatomy.width
    if settings.train == "full" and load.trains:
        numbers += 2 * at_once + 2 * head  # the head's gradient, and once more, weighed
    elif settings.all_logits:
        numbers += head  # in float32
    return 4 * numbers
