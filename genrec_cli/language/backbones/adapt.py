"""Make a base model trainable: LoRA adapters through PEFT, or every weight."""

from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from genrec_cli.core.errors import ModelError
from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.language.backbones import built
from genrec_cli.language.backbones.choose import default_preset
from genrec_cli.language.backbones.load import load_model, quiet
from genrec_cli.language.backbones.lora import checkpoint_activations, with_lora
from genrec_cli.language.backbones.names import Source
from genrec_cli.language.backbones.vocabulary import make_room
from genrec_cli.language.backbones.wholewords import attach_whole_words, saved_whole_words
from genrec_cli.language.hardware import Place
from genrec_cli.language.prompt import Tokenizer


def require_trainable(source: Source, settings: FinetuneSettings) -> None:
    """Refuse what cannot be trained, before anything is loaded or written.

    Raises:
        ModelError: quantised weights cannot be trained themselves; what is built cannot take LoRA;
            or tokens would be added whose embeddings stay as they are.
    """
    frozen = settings.train == "lora" or settings.quantize != "none"
    if source.kind == "nano" and frozen:
        raise ModelError(
            f"{source.name} has no pretrained weights, so there is nothing to adapt or quantise",
            "set train: full and quantize: none, or leave both to the preset "
            f"{default_preset(source.name)}",
        )
    if settings.adds_tokens and frozen:
        raise ModelError(
            f"items: {settings.items} adds a token for every item, and LoRA or quantised weights "
            "would never train its embedding",
            "set train: full and quantize: none, or write items otherwise (items: random)",
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


def require_family(source: Source, config: Any, settings: FinetuneSettings) -> None:
    """Refuse a base model that the method cannot train, or that cannot read so far.

    Args:
        source: the base model.
        config: of it, see `load_config`.
        settings: of the run.

    Raises:
        ModelError: genrec is to train an encoder-decoder, or p5 or masked a causal model; or an
            encoder-decoder has fewer positions than max_length.
    """
    causal = settings.method == "genrec"
    if causal != bool(config.is_encoder_decoder):
        _require_positions(source, config, settings)
        return
    if causal:
        raise ModelError(
            f"base model '{source.name}' is an encoder-decoder, and --method genrec goes on with a "
            "list, as causal models such as LLaMA do",
            "use --method p5 or --method masked, or --base-model nano, smollm2 or llama-7b",
        )
    raise ModelError(
        f"base model '{source.name}' is no encoder-decoder, as --method {settings.method} needs",
        "use --base-model nano-t5, nano-bart, t5-small or bart-base, or --method genrec",
    )


def _require_positions(source: Source, config: Any, settings: FinetuneSettings) -> None:
    # T5 has none, and LLaMA's are computed, but BART looks its positions up in a table.
    positions = getattr(config, "max_position_embeddings", None)
    if config.is_encoder_decoder and positions is not None and positions < settings.max_length:
        raise ModelError(
            f"base model '{source.name}' reads at most {positions} tokens, fewer than max_length "
            f"{settings.max_length}",
            f"set max_length to {positions} or less",
        )


def trainable_model(
    source: Source,
    tokenizer: Tokenizer,
    settings: FinetuneSettings,
    place: Place,
    whole_words: int = 0,
) -> Any:
    """Load or build the base model and prepare it for training as the settings say.

    Args:
        source: the base model.
        tokenizer: its tokenizer; tokens that were added to it get embeddings.
        settings: of the run.
        place: device and dtype.
        whole_words: rows of a table of whole words, see `wholewords`; 0: there is none.

    Raises:
        ModelError: see `require_trainable`; or the weights cannot be had.
    """
    require_trainable(source, settings)
    if source.kind == "nano":
        model = built.build(
            source,
            len(tokenizer),
            settings.max_length,
            settings.dropout,
            settings.seed,
            noise=not settings.places_tokens,
        ).to(place.device)
    else:
        model = load_model(source, place, settings.quantize, settings.dropout)
        with quiet():
            make_room(model, len(tokenizer), settings.seed)
    if whole_words:
        attach_whole_words(model, whole_words, settings.seed)
    return prepared(model, settings)


def prepared(model: Any, settings: FinetuneSettings) -> Any:
    """Make a loaded base model trainable: every weight of it, or LoRA adapters.

    Raises:
        ModelError: no module can take an adapter.
    """
    # Updates of 1e-5 vanish in bfloat16's 8 bits; autocast keeps the arithmetic fast.
    model = model.float() if settings.train == "full" else with_lora(model, settings)
    if settings.gradient_checkpointing == "on":
        checkpoint_activations(model)
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
        model = load_model(Source(source.name, "folder", str(folder)), place, "none", 0.0)
        _attach_saved(model, folder)
        return model
    # A quantised base is served quantised, on a CPU too: dequantising it gives the same bits, at
    # most 1.4 times the speed (measured on SmolLM2, 20 tokens at a time) and four times the memory.
    model = load_model(source, place, settings.quantize, 0.0)
    _attach_saved(model, folder)
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


def _attach_saved(model: Any, folder: Path) -> None:
    """Give a model the table of whole words that was saved in a folder, if there is one."""
    saved = saved_whole_words(folder)
    if saved is None:
        return
    attach_whole_words(model, len(saved))
    model.whole_words.to(model.dtype)
    with torch.no_grad():
        model.whole_words.weight.copy_(saved)
