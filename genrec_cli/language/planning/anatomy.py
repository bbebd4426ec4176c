"""What a base model is made of, as its config alone tells: nothing is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from genrec_cli.core.settings import FinetuneSettings

Size = tuple[int, int]
"""Inputs and outputs of a linear layer."""

# What configs call the number of layers, of encoder and decoder, and the width of feed-forwards.
_STACKS: Final = (
    ("num_layers", "num_decoder_layers"),
    ("encoder_layers", "decoder_layers"),
    ("num_hidden_layers",),
)
_INNER: Final = ("d_ff", "encoder_ffn_dim", "intermediate_size")
# Names of cross-attentions' keys and values, which are made of what the encoder has read.
_STATES: Final = tuple(
    f"{attention}.{side}{end}"
    for attention, end in (("EncDecAttention", ""), ("encoder_attn", "_proj"))
    for side in "kv"
)


@dataclass(frozen=True)
class Anatomy:
    """Sizes of a decoder, or of an encoder with its decoder.

    Attributes:
        config: what the rest was read from.
        stacks: name in the config -> layers, of the decoder, or of encoder and decoder.
        width: of the hidden states.
        inner: of the feed-forward part.
        queries: heads times their width.
        keys: key heads times their width; values are as wide.
        heads: of the queries.
        embedded: parameters of embeddings, of the head if it has its own, and of whole words.
        parameters: of the whole model.
        linear: name -> size of each linear layer but the head.
        whole_words: rows of the table of whole words; 0: there is none.
    """

    config: Any
    stacks: Mapping[str, int]
    width: int
    inner: int
    queries: int
    keys: int
    heads: int
    embedded: int
    parameters: int
    linear: Mapping[str, Size]
    whole_words: int = 0

    @classmethod
    def of(cls, config: Any, whole_words: int = 0) -> "Anatomy":
        """Build the model without memory, and look at it.

        Args:
            config: of the model.
            whole_words: rows of its table of whole words; 0: it has none.
        """
        kind: Any = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        with torch.device("meta"):
            skeleton = kind.from_config(config)
        heads, width = config.num_attention_heads, config.hidden_size
        wide = getattr(config, "head_dim", None) or width // heads
        ends = {skeleton.get_input_embeddings().weight, skeleton.get_output_embeddings().weight}
        more = whole_words * width
        if _has_own_head(config):
            more += config.vocab_size * width
        return cls(
            config=config,
            stacks=_stacks(config),
            width=width,
            inner=_inner(config),
            queries=heads * wide,
            keys=(getattr(config, "num_key_value_heads", None) or heads) * wide,
            heads=heads,
            embedded=sum(weight.numel() for weight in ends) + more,
            parameters=sum(p.numel() for p in skeleton.parameters()) + more,
            linear={
                name: (module.in_features, module.out_features)
                for name, module in skeleton.named_modules()
                if isinstance(module, torch.nn.Linear) and name != "lm_head"
            },
            whole_words=whole_words,
        )

    @property
    def layers(self) -> int:
        """How many, in encoder and decoder together."""
        return sum(self.stacks.values())

    @property
    def weights(self) -> int:
        """Parameters of the linear layers: what is quantised, and what takes the time."""
        return sum(inputs * outputs for inputs, outputs in self.linear.values())

    @property
    def reading(self) -> int:
        """Of these weights those that each token that is read passes, not each that is written."""
        sizes = (size for name, size in self.linear.items() if sees_readings(name))
        return sum(inputs * outputs for inputs, outputs in sizes)

    def adapted(self, settings: FinetuneSettings) -> dict[str, Size]:
        """Layers that get an adapter; none when every weight is trained."""
        if settings.train == "full":
            return {}
        targets = settings.lora_targets
        everything = targets == ("all-linear",)
        return {
            name: size
            for name, size in self.linear.items()
            if everything or any(f".{name}".endswith(f".{target}") for target in targets)
        }

    def trainable(self, settings: FinetuneSettings) -> int:
        """Parameters that are trained."""
        if settings.train == "full":
            return self.parameters
        words = self.whole_words * self.width  # PEFT trains a copy of them
        adapted = self.adapted(settings).values()
        return words + settings.lora_rank * sum(inputs + outputs for inputs, outputs in adapted)


def in_encoder(name: str) -> bool:
    """Whether a layer is of the encoder, by its name."""
    return "encoder" in name.split(".")


def sees_readings(name: str) -> bool:
    """Whether a layer sees what is read: of the encoder, or a cross-attention's keys or values."""
    return in_encoder(name) or name.endswith(_STATES)


def _has_own_head(config: Any) -> bool:
    """Whether it is T5 1.1, or Flan-T5, with gates: transformers 5 says that its head is tied."""
    return not getattr(config, "scale_decoder_outputs", True) and bool(config.is_gated_act)


def _stacks(config: Any) -> dict[str, int]:
    names = next(names for names in _STACKS if all(hasattr(config, name) for name in names))
    return {name: int(getattr(config, name)) for name in names}


def _inner(config: Any) -> int:
    sizes = (getattr(config, name, None) for name in _INNER)
    return int(next((size for size in sizes if size), 4 * config.hidden_size))
