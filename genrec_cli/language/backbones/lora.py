"""What a base model gets for training: LoRA adapters, and activations that are computed twice."""

from typing import Any

from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

from genrec_cli.core.errors import ModelError
from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.language.backbones.wholewords import WHOLE_WORDS, whole_words_of
from genrec_cli.language.networks import base_model
from genrec_cli.language.seeding import seeded


def checkpoint_activations(model: Any) -> None:
    """Compute activations again in the backward pass instead of keeping them."""
    network = base_model(model)
    # transformers 5.23 has renamed it. Reentrant checkpoints would need inputs with gradients.
    if hasattr(network, "activation_checkpointing_enable"):
        network.activation_checkpointing_enable({"use_reentrant": False})
    else:
        network.gradient_checkpointing_enable({"use_reentrant": False})


def with_lora(model: Any, settings: FinetuneSettings) -> Any:
    """Freeze a model under LoRA adapters; its table of whole words, if any, is trained itself.

    Raises:
        ModelError: no module can take an adapter.
    """
    if settings.quantize != "none":
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    targets = settings.lora_targets
    config = LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        # A lone string would be a pattern for PEFT, except for this one.
        target_modules="all-linear" if targets == ("all-linear",) else list(targets),
        task_type="SEQ_2_SEQ_LM" if model.config.is_encoder_decoder else "CAUSAL_LM",
        modules_to_save=None if whole_words_of(model) is None else [WHOLE_WORDS],
    )
    try:
        with seeded(settings.seed):
            return get_peft_model(model, config)
    except ValueError as error:
        raise ModelError(
            f"no module of the base model can take a LoRA adapter by lora_targets {list(targets)}",
            "name modules such as q_proj and v_proj, or set lora_targets: [all-linear]",
        ) from error
