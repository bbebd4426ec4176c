"""A few layers of a model with random weights, to see how fast they are trained."""

import copy
import math
from typing import Any, NamedTuple

import torch
from transformers import AutoModelForCausalLM

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.language.backbones.adapt import prepared
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


def random_model(sketch: Sketch, layers: int) -> Any:
    """A trainable model of the same width, with so many layers and with random weights."""
    anatomy, settings, place = sketch
    config = copy.deepcopy(anatomy.config)
    config.num_hidden_layers = layers
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:layers]
    config.attention_dropout = settings.dropout
    dtype = torch.float32 if settings.train == "full" else place.dtype
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config).to(dtype)
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
