"""What a base model is made of, as its config alone tells: nothing is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from genrec_cli.core.settings import FinetuneSettings

Size = tuple[int, int]
"""Inputs and outputs of a linear layer."""


@dataclass(frozen=True)
class Anatomy:
    """Sizes of a decoder.

    Attributes:
        config: what the rest was read from.
        layers: how many.
        width: of the hidden states.
        inner: of the feed-forward part.
        queries: heads times their width.
        keys: key heads times their width; values are as wide.
        heads: of the queries.
        embedded: parameters of embeddings, and of the head if it has its own.
        parameters: of the whole model.
        linear: name -> size of each linear layer but the head.
    """

    config: Any
    layers: int
    width: int
    inner: int
    queries: int
    keys: int
    heads: int
    embedded: int
    parameters: int
    linear: Mapping[str, Size]

    @classmethod
    def of(cls, config: Any) -> "Anatomy":
        """Build the model without memory, and look at it."""
        with torch.device("meta"):
            skeleton: Any = AutoModelForCausalLM.from_config(config)
        heads, width = config.num_attention_heads, config.hidden_size
        wide = getattr(config, "head_dim", None) or width // heads
        ends = {skeleton.get_input_embeddings().weight, skeleton.get_output_embeddings().weight}
        return cls(
            config=config,
            layers=config.num_hidden_layers,
            width=width,
            inner=getattr(config, "intermediate_size", None) or 4 * width,
            queries=heads * wide,
            keys=(getattr(config, "num_key_value_heads", None) or heads) * wide,
            heads=heads,
            embedded=sum(weight.numel() for weight in ends),
            parameters=sum(p.numel() for p in skeleton.parameters()),
            linear={
                name: (module.in_features, module.out_features)
                for name, module in skeleton.named_modules()
                if isinstance(module, torch.nn.Linear) and name != "lm_head"
            },
        )

    @property
    def weights(self) -> int:
        """Parameters of the linear layers: what is quantised, and what takes the time."""
        return sum(inputs * outputs for inputs, outputs in self.linear.values())

    def adapted(self, settings: FinetuneSettings) -> list[Size]:
        """Layers that get an adapter; none when every weight is trained."""
        if settings.train == "full":
            return []
        targets = settings.lora_targets
        everything = targets == ("all-linear",)
        return [
            size
            for name, size in self.linear.items()
            if everything or any(f".{name}".endswith(f".{target}") for target in targets)
        ]

    def trainable(self, settings: FinetuneSettings) -> int:
        """Parameters that are trained."""
        if settings.train == "full":
            return self.parameters
        return sum(settings.lora_rank * sum(size) for size in self.adapted(settings))
