"""A run's weights on the disk, as PEFT, transformers and llama.cpp's converter load them."""

import shutil
from pathlib import Path
from typing import Any, Final

import torch
from peft.utils import CONFIG_NAME, SAFETENSORS_WEIGHTS_NAME
from transformers import GenerationConfig

from genrec_cli.core.workspace import read_json, write_json
from genrec_cli.language.backbones.adapt import load_trained, save_trained
from genrec_cli.language.backbones.load import quiet
from genrec_cli.language.handover.trained import ModelFormat, Trained
from genrec_cli.language.hardware import Place
from genrec_cli.language.prompt import end_of_title

# llama.cpp computes with float16, on CPUs without bfloat16 too.
DTYPES: Final = {"merged": torch.bfloat16, "gguf-ready": torch.float16}


def write_weights(run: Trained, kind: ModelFormat, longest: int, folder: Path) -> None:
    """Write weights, configuration and tokenizer.

    Args:
        run: to hand over.
        kind: an adapter, or whole weights in 16 bits.
        longest: tokens of the longest title, its end included.
        folder: an empty one.

    Raises:
        ModelError: the base model cannot be had any more, or the adapter is damaged.
    """
    if kind == "adapter":
        _write_adapter(run, folder)
    else:
        _write_merged(run, DTYPES[kind], longest, folder)


def _write_adapter(run: Trained, folder: Path) -> None:
    """The adapter as it was saved; only the name of its base model is put right."""
    shutil.copyfile(run.folder / SAFETENSORS_WEIGHTS_NAME, folder / SAFETENSORS_WEIGHTS_NAME)
    config = read_json(run.folder / CONFIG_NAME)
    base = {"base_model_name_or_path": run.base, "revision": run.source.revision}
    write_json(folder / CONFIG_NAME, config | base)
    with quiet():
        run.tokenizer.save_pretrained(folder)


def _write_merged(run: Trained, dtype: torch.dtype, longest: int, folder: Path) -> None:
    """Whole weights, rounded once: PEFT adds its float32 products to the base model's 16 bits.

    The base model is never quantised here: sums in 4 or 8 bits would lose what the adapter says.
    """
    settings = run.settings.model_copy(update={"quantize": "none"})
    place = Place(torch.device("cpu"), dtype)  # main memory holds what a GPU might not
    model = load_trained(run.source, settings, place, run.folder)
    model.generation_config = _greedy(run, longest)
    model.config.use_cache = True  # training turns it off
    save_trained(model, run.tokenizer, folder)
    for weights in folder.glob("*.safetensors"):  # saved for their owner alone
        weights.chmod((folder / "config.json").stat().st_mode)


def _greedy(run: Trained, longest: int) -> Any:
    """Write one title, the likeliest token each time; nothing is inherited from the base model."""
    end = end_of_title(run.tokenizer)
    pad = run.tokenizer.pad_token_id
    return GenerationConfig(
        do_sample=False,
        max_new_tokens=longest,
        bos_token_id=run.tokenizer.bos_token_id,
        eos_token_id=end,
        pad_token_id=end if pad is None else pad,
    )
