"""How many tokens are in memory at a time; the batch of an optimiser step stays what it is."""

from collections.abc import Callable
from typing import Final

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.language.planning.anatomy import Anatomy
from genrec_cli.language.planning.estimate import Estimate

# Micro-batches beyond these were no faster, measured on nano and SmolLM2 (CPU); on a GPU the
# products of this many tokens fill it.
_MOST_TOKENS: Final = {"cpu": 4096, "cuda": 16384}
_FEW_TOKENS: Final = 2048  # checkpoints are worth their time if they make room for so many
_SHARE: Final = 0.8  # of the memory left by the fixed parts, that a micro-batch may fill
_ROUND: Final = 64


def choose_micro_batch(
    estimate: Estimate, anatomy: Anatomy, settings: FinetuneSettings, available_gb: float
) -> tuple[int, bool]:
    """Tokens of a micro-batch, and whether activations are computed twice to make room for it."""
    fixed = estimate.parts(anatomy, settings, 0, False)
    room = available_gb - sum(
        size for part, size in fixed.items() if part not in ("total", "activations", "logits")
    )

    def fits(tokens: int, checkpointing: bool) -> bool:
        parts = estimate.parts(anatomy, settings, tokens, checkpointing)
        return parts["activations"] + parts["logits"] <= _SHARE * room

    longest = estimate.longest(settings)
    training = estimate.corpus.training
    batch = settings.batch_size * training.texts * longest // estimate.devices
    most = max(longest, min(_MOST_TOKENS[estimate.place.device.type], batch))
    given = settings.micro_batch_tokens
    checkpointing = settings.gradient_checkpointing == "on"
    if settings.gradient_checkpointing == "auto":
        wanted = given or min(most, max(longest, _FEW_TOKENS))
        checkpointing = choose_checkpointing(fits, longest, wanted)
    tokens = given or _largest(lambda tokens: fits(tokens, checkpointing), longest, most)
    return tokens, checkpointing


def choose_checkpointing(fits: Callable[[int, bool], bool], longest: int, wanted: int) -> bool:
    """Whether checkpoints are worth their time: a third more for the forward pass done again.

    Args:
        fits: whether so many tokens fit, with checkpoints or without.
        longest: fewest tokens that must fit.
        wanted: tokens from which a micro-batch is large enough.
    """
    if fits(wanted, False):
        return False
    return fits(wanted, True) or not fits(longest, False)


def _largest(fits: Callable[[int], bool], least: int, most: int) -> int:
    """Most tokens that fit, at least those that must, in round numbers."""
    low, high = 0, -(-(most - least) // _ROUND)
    while low < high:
        middle = (low + high + 1) // 2
        if fits(min(most, least + middle * _ROUND)):
            low = middle
        else:
            high = middle - 1
    return min(most, least + low * _ROUND)
