"""New tokens in a pretrained tokenizer, and their rows in the model."""

from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import AddedToken

from genrec_cli.language.prompt import Tokenizer
from genrec_cli.language.seeding import seeded


def add_words(tokenizer: Tokenizer, words: Sequence[str]) -> None:
    """Make each word one token, wherever it stands."""
    if words:
        tokenizer.add_tokens([AddedToken(word, normalized=False) for word in words])


def make_room(model: Any, tokens: int, seed: int) -> None:
    """Give a model's embeddings and head as many rows as a tokenizer has tokens, at least.

    New rows are drawn as the old ones are spread. (Those that transformers offers are all but
    equal, so that no item could be told from another before much training.)

    Args:
        model: a transformers model; models often have more rows than tokens, which stay.
        tokens: of the tokenizer.
        seed: of the new rows.
    """
    rows = model.get_input_embeddings().num_embeddings
    if tokens <= rows:
        return
    tied = _has_tied_head(model)
    with seeded(seed), torch.no_grad():
        model.resize_token_embeddings(tokens, mean_resizing=False)
        modules = [model.get_input_embeddings(), *([] if tied else [model.get_output_embeddings()])]
        for weight in (module.weight for module in modules):
            old = weight[:rows].float()
            drawn = torch.randn(tokens - rows, old.shape[1]).to(old.device)
            weight[rows:] = (old.mean(0) + old.std(0) * drawn).to(weight.dtype)


def keep_head(model: Any) -> None:
    """Say of a head of its own that it is one.

    Transformers 5 says of every T5 that its head is the embeddings, although it loads a Flan-T5
    with another one, which it would drop when there are new tokens.
    """
    if not _has_tied_head(model):
        model.config.tie_word_embeddings = False


def _has_tied_head(model: Any) -> bool:
    return model.get_output_embeddings().weight is model.get_input_embeddings().weight
