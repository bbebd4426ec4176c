"""What linear layers keep of their inputs for the backward pass."""

from collections.abc import Callable
from typing import Final

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.language.hardware import Place
from genrec_cli.language.planning.anatomy import Anatomy

MASK_BYTES: Final = {"cpu": 4, "cuda": 1}
"""Of a dropout's mask in float32, for a number; PyTorch has a fused dropout on GPUs alone."""
# Last names of layers that read what a layer before them reads.
_SECOND: Final = {"k_proj", "v_proj", "up_proj", "k", "v", "wi_1"}


def input_bytes(
    anatomy: Anatomy,
    settings: FinetuneSettings,
    place: Place,
    wanted: Callable[[str], bool] = lambda name: True,
) -> float:
    """Bytes a token that linear layers, or their adapters, keep of inputs.

    Args:
        anatomy: of the model.
        settings: of the run.
        place: device and dtype.
        wanted: whether a layer, by its name, is one of those asked for.
    """
    itemsize = place.dtype.itemsize
    inputs = {name: size[0] for name, size in anatomy.linear.items() if wanted(name)}
    if settings.train == "full":  # 16 bits are cast to by each layer anew
        return itemsize * sum(
            width
            for name, width in inputs.items()
            if itemsize < 4 or name.rpartition(".")[2] not in _SECOND
        )
    mask = MASK_BYTES[place.device.type] if settings.lora_dropout else 0
    adapted = [width for name, (width, _) in anatomy.adapted(settings).items() if wanted(name)]
    bytes_ = (itemsize + mask) * sum(adapted) + itemsize * settings.lora_rank * len(adapted)
    if settings.quantize == "int8":  # bitsandbytes keeps the inputs of its products
        bytes_ += itemsize * sum(inputs.values())
    return bytes_
