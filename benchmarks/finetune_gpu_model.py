"""A LLaMA of any shape in NF4, made of nothing; a part of `finetune_gpu.py`."""

from typing import Any

import torch
from bitsandbytes.nn.modules import Linear4bit, Params4bit
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding
from transformers.utils.quantization_config import QuantizationMethod

from genrec_cli.language.hardware import Place

SHAPES: dict[str, dict[str, Any]] = {
    "7b": {
        "vocab_size": 32_000,
        "hidden_size": 4096,
        "intermediate_size": 11_008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
    },
    "small": {
        "vocab_size": 4000,
        "hidden_size": 256,
        "intermediate_size": 688,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    },
}


def config_of(shape: str, vocabulary: int, length: int) -> LlamaConfig:
    """A shape for a tokenizer of no more tokens than it has room for, and windows of a length."""
    sizes = SHAPES[shape]
    if vocabulary > sizes["vocab_size"]:
        raise SystemExit(f"{vocabulary} tokens do not fit the shape's {sizes['vocab_size']}")
    return LlamaConfig(
        **sizes,
        max_position_embeddings=length,
        use_cache=False,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
    )


def made_model(config: LlamaConfig, place: Place) -> Any:
    """A LLaMA of random weights; linear layers in NF4, quantised as they are made, one by one.

    Args:
        config: its shape.
        place: device, and dtype of what is not quantised.
    """
    with torch.device("meta"):
        model: Any = LlamaForCausalLM(config)
    model.model.rotary_emb = LlamaRotaryEmbedding(config=config).to(place.device)
    generator = torch.Generator(place.device).manual_seed(0)

    def made(like: Tensor) -> Tensor:
        values = torch.ones(like.shape, dtype=place.dtype, device=place.device)
        # Vectors are scales of norms.
        return values if like.ndim == 1 else values.normal_(0, 0.02, generator=generator)

    for name, module in list(model.model.named_modules()):
        if isinstance(module, nn.Linear):
            model.model.set_submodule(name, _nf4(made(module.weight), place))
    for module in model.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            if weight.is_meta:
                setattr(module, name, nn.Parameter(made(weight)))
    # What `from_pretrained` notes, and PEFT and the Trainer look at.
    model.is_loaded_in_4bit = True
    model.quantization_method = QuantizationMethod.BITS_AND_BYTES
    return model


def _nf4(values: Tensor, place: Place) -> Linear4bit:
    """A linear layer with double quantisation, which is bitsandbytes' default."""
    linear = Linear4bit(  # type: ignore[no-untyped-call]
        values.shape[1],
        values.shape[0],
        bias=False,
        compute_dtype=place.dtype,
        quant_type="nf4",
        device="meta",
    )
    weight: Any = Params4bit(values, quant_type="nf4", module=linear)
    linear.weight = weight.to(place.device)  # which quantises it
    return linear
