"""Parts of a transformers model, PEFT or not."""

from typing import Any

from torch import Tensor


def base_model(model: Any) -> Any:
    """The transformers model inside a PEFT model, adapters in place; else the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def head_weight(model: Any) -> Tensor:
    """Weight of the language-model head, [vocabulary, D]."""
    weight: Tensor = base_model(model).get_output_embeddings().weight
    return weight


def head_scale(model: Any) -> float:
    """What hidden states are multiplied by before the head: T5's with tied embeddings are."""
    config = base_model(model).config
    scaled = getattr(config, "scale_decoder_outputs", False)
    return float(config.d_model**-0.5) if scaled else 1.0


def is_pair_model(model: Any) -> bool:
    """Whether it is an encoder-decoder."""
    return bool(base_model(model).config.is_encoder_decoder)
