"""Whole-word embeddings: what word a token is of, added to the token's own embedding.

After P5 (Geng et al. 2022), where the number is the word's place in the text, and Cao & Liò (2024),
where it names the user or the item. The table lies in the transformers model, so that it is
trained, saved and loaded with it.
"""

from pathlib import Path
from typing import Any, Final

import torch
from peft.utils import ModulesToSaveWrapper
from safetensors import safe_open
from torch import nn

from genrec_cli.language.networks import base_model
from genrec_cli.language.seeding import seeded

WHOLE_WORDS: Final = "whole_words"
"""Name of the table in the model, and in what is saved."""


def attach_whole_words(model: Any, count: int, seed: int = 0) -> None:
    """Give an encoder-decoder a table of whole words, on its device and in float32.

    Args:
        model: a transformers model with `config.d_model`; its forward pass does not read the table.
        count: rows; row 0 is that of no word, which stays zero.
        seed: of the rows, which are a tenth as large as those of the tokens: a pretrained model
            must still read what it has learnt to read.
    """
    tokens = model.get_input_embeddings().weight
    with seeded(seed), torch.no_grad():
        table = nn.Embedding(count, model.config.d_model, padding_idx=0)
        table.weight.mul_(0.1 * tokens.detach().float().std().cpu())
    model.whole_words = table.to(tokens.device)


def whole_words_of(model: Any) -> nn.Embedding | None:
    """The table of whole words that is in use, under an adapter too; None: there is none."""
    table = getattr(base_model(model), WHOLE_WORDS, None)
    if isinstance(table, ModulesToSaveWrapper):
        table = table.modules_to_save[table.active_adapters[0]]
    return table if isinstance(table, nn.Embedding) else None


def saved_whole_words(folder: Path) -> torch.Tensor | None:
    """The table in a saved model or adapter, [count, d_model] in its dtype; None: there is none."""
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - no mapping
                if name.endswith(f"{WHOLE_WORDS}.weight"):
                    table: torch.Tensor = tensors.get_tensor(name)
                    return table
    return None
