"""Make a base model trainable: LoRA adapters through PEFT, or every weight."""

from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training

from genrec_cli.core.errors import ModelError
from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.language.backbones import nano
from genrec_cli.language.backbones.load import load_model, quiet
from genrec_cli.language.backbones.names import Source
from genrec_cli.language.hardware import Place
from genrec_cli.language.prompt import Tokenizer
from genrec_cli.language.seeding import seeded


def require_trainable(source: Source, settings: FinetuneSettings) -> None:
    """Refuse what cannot be trained, before anything is loaded or written.

    Raises:
        ModelError: quantised weights cannot be trained themselves, or nano cannot take LoRA.
    """
    if source.kind == "nano" and (settings.train == "lora" or settings.quantize != "none"):
        raise ModelError(
            "nano has no pretrained weights, so there is nothing to adapt or quantise",
            "set train: full and quantize: none, or leave both to the preset nano",
        )
    if any(target.rpartition(".")[2] == "lm_head" for target in settings.lora_targets):
        raise ModelError(
            "lora_targets names lm_head, whose adapter the loss would not see: it computes only "
            "those rows of the head that a title needs",
            "leave lm_head out of lora_targets",
        )
    if settings.train == "full" and settings.quantize != "none":
        raise ModelError(
            f"quantised weights ({settings.quantize}) cannot be trained themselves",
            "train LoRA adapters (train: lora), or load full weights (--quantize none)",
        )


def trainable_model(
    source: Source, tokenizer: Tokenizer, settings: FinetuneSettings, place: Place
) -> Any:
    """Load or build the base model and prepare it for training as the settings say.

    Raises:
        ModelError: see `require_trainable`; or the weights cannot be had.
    """
    require_trainable(source, settings)
    if source.kind == "nano":
        return prepared(_nano(tokenizer, settings, place), settings)
    return prepared(load_model(source, place, settings.quantize, settings.dropout), settings)


def prepared(model: Any, settings: FinetuneSettings) -> Any:
    """Make a loaded base model trainable: every weight of it, or LoRA adapters.

    Raises:
        ModelError: no module can take an adapter.
    """
    # Updates of 1e-5 vanish in bfloat16's 8 bits; autocast keeps the arithmetic fast.
    model = model.float() if settings.train == "full" else _with_lora(model, settings)
    if settings.gradient_checkpointing == "on":
        _checkpoint(model)
    return model


def load_trained(source: Source, settings: FinetuneSettings, place: Place, folder: Path) -> Any:
    """The model of a finished run, in evaluation mode.

    Args:
        source: the base model that was trained.
        settings: of the run.
        place: device and dtype.
        folder: what `save_trained` wrote.

    Raises:
        ModelError: the base model cannot be had any more, or the folder is damaged.
    """
    if settings.train == "full":
        return load_model(Source(source.name, "folder", str(folder)), place, "none", 0.0)
    # A quantised base is served quantised, on a CPU too: dequantising it gives the same bits, at
    # most 1.4 times the speed (measured on SmolLM2, 20 tokens at a time) and four times the memory.
    model = load_model(source, place, settings.quantize, 0.0)
    try:
        adapted = PeftModel.from_pretrained(model, folder)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"the adapter in {folder} cannot be loaded: {reason}") from error
    # Adapters in the weights cost nothing at serving; 4 or 8 bits would lose what they say.
    return adapted.eval() if settings.quantize != "none" else adapted.merge_and_unload().eval()


def save_trained(model: Any, tokenizer: Tokenizer, folder: Path) -> None:
    """Save an adapter, or all weights, with the tokenizer beside them (safetensors only)."""
    with quiet():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _nano(tokenizer: Tokenizer, settings: FinetuneSettings, place: Place) -> Any:
    model: Any = nano.build(len(tokenizer), settings.max_length, settings.dropout, settings.seed)
    return model.to(place.device)


def _checkpoint(model: Any) -> None:
    """Compute activations again in the backward pass instead of keeping them."""
    network: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    # transformers 5.23 has renamed it. Reentrant checkpoints would need inputs with gradients.
    if hasattr(network, "activation_checkpointing_enable"):
        network.activation_checkpointing_enable({"use_reentrant": False})
    else:
        network.gradient_checkpointing_enable({"use_reentrant": False})


def _with_lora(model: Any, settings: FinetuneSettings) -> Any:
    if settings.quantize != "none":
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    targets = settings.lora_targets
    config = LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        # A lone string would be a pattern for PEFT, except for this one.
        target_modules="all-linear" if targets == ("all-linear",) else list(targets),
        task_type="CAUSAL_LM",
    )
    try:
        with seeded(settings.seed):
            return get_peft_model(model, config)
    except ValueError as error:
        raise ModelError(
            f"no module of the base model can take a LoRA adapter by lora_targets {list(targets)}",
            "name modules such as q_proj and v_proj, or set lora_targets: [all-linear]",
        ) from error
