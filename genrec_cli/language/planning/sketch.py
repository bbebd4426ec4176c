"""A few layers of a model with random weights, to see how fast they are trained."""

import copy
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.language.backbones.adapt import prepared
from genrec_cli.language.backbones.load import dropout_name
from genrec_cli.language.backbones.wholewords import WHOLE_WORDS
from genrec_cli.language.hardware import Place
from genrec_cli.language.planning.anatomy import Anatomy


class Sketch(NamedTuple):
    """What is timed.

    Attributes:
        anatomy: of the model.
        settings: of the run, with its micro-batch and checkpointing decided.
        place: device and dtype.
    """

    anatomy: Anatomy
    settings: FinetuneSettings
    place: Place


def random_model(sketch: Sketch, stacks: Mapping[str, int]) -> Any:
    """A trainable model of the same width, with so many layers and with random weights.

    Args:
        sketch: what is timed.
        stacks: layers, by their name in the config; see `Anatomy`.
    """
    anatomy, settings, place = sketch
    config = copy.deepcopy(anatomy.config)
    config.update(stacks)
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[: config.num_hidden_layers]
    setattr(config, dropout_name(config), settings.dropout)
    kind: Any = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    dtype = torch.float32 if settings.train == "full" else place.dtype
    with torch.device("meta"):
        model = kind.from_config(config).to(dtype)
        if anatomy.whole_words:
            table = torch.nn.Embedding(anatomy.whole_words, anatomy.width, 0, dtype=dtype)
            setattr(model, WHOLE_WORDS, table)
    model.to_empty(device=place.device)
    model.tie_weights()
    with torch.no_grad():
        for buffer in model.buffers():
            buffer.zero_()
        for weight in model.parameters():
            # One random row for all: drawing each weight would take longer than the passes.
            row = torch.randn(weight.shape[-1], device=place.device)
            weight.copy_(row / math.sqrt(len(weight)))
    return prepared(model, settings.model_copy(update={"quantize": "none"}))
