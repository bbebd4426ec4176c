"""Base models with a short name, from the largest to the smallest of each family."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import torch
from transformers import BartConfig, LlamaConfig, PretrainedConfig, T5Config

from genrec_cli.language.backbones.built import build
from genrec_cli.language.backbones.names import find_source
from genrec_cli.language.backbones.nano import VOCABULARY

# Sizes from their configs.
_LLAMAS: Final[Mapping[str, Mapping[str, Any]]] = {
    "llama-3.2-3b": {
        "vocab_size": 128256,
        "hidden_size": 3072,
        "intermediate_size": 8192,
        "num_hidden_layers": 28,
        "num_attention_heads": 24,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "tie_word_embeddings": True,
    },
    "llama-3.2-1b": {
        "vocab_size": 128256,
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "tie_word_embeddings": True,
    },
    "smollm2": {
        "vocab_size": 49152,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "tie_word_embeddings": True,
    },
}
_T5S: Final[Mapping[str, Mapping[str, Any]]] = {
    "t5-base": {
        "vocab_size": 32128,
        "d_model": 768,
        "d_kv": 64,
        "d_ff": 3072,
        "num_layers": 12,
        "num_heads": 12,
    },
    "t5-small": {
        "vocab_size": 32128,
        "d_model": 512,
        "d_kv": 64,
        "d_ff": 2048,
        "num_layers": 6,
        "num_heads": 8,
    },
}
_BARTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "bart-base": {
        "vocab_size": 50265,
        "d_model": 768,
        "encoder_layers": 6,
        "decoder_layers": 6,
        "encoder_attention_heads": 12,
        "decoder_attention_heads": 12,
        "encoder_ffn_dim": 3072,
        "decoder_ffn_dim": 3072,
        "attention_dropout": 0.1,
        "activation_dropout": 0.1,
    },
}


def family(config: Any, max_length: int) -> Iterator[tuple[str, Any]]:
    """Names and configs of base models like one, the largest first.

    Args:
        config: of the one; a BART, else a T5 if it is an encoder-decoder, else a LLaMA.
        max_length: most tokens that are read.
    """
    if not config.is_encoder_decoder:
        yield from _configs(LlamaConfig, _LLAMAS)
    elif config.model_type == "bart":
        yield from _configs(BartConfig, _BARTS)
        yield _built("nano-bart", max_length)
    else:
        yield from _configs(T5Config, _T5S)
        yield _built("nano-t5", max_length)


def _configs(
    kind: type[PretrainedConfig], sizes: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, Any]]:
    return ((name, kind(**values)) for name, values in sizes.items())


def _built(name: str, max_length: int) -> tuple[str, Any]:
    with torch.device("meta"):
        return name, build(find_source(name), VOCABULARY, max_length, 0.0, 0).config
