"""New tokens in a pretrained tokenizer, and their rows in the model."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
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
    with seeded(seed), torch.no_grad():
        model.resize_token_embeddings(tokens, mean_resizing=False)
        for weight in _tables(model):
            old = weight[:rows].float()
            drawn = torch.randn(tokens - rows, old.shape[1]).to(old.device)
            weight[rows:] = (old.mean(0) + old.std(0) * drawn).to(weight.dtype)


def place_words(
    model: Any, tokenizer: Tokenizer, words: Sequence[str], directions: NDArray[np.float32]
) -> None:
    """Let words that are one token each begin in given directions, as long as others are.

    Args:
        model: a transformers model.
        tokenizer: of it.
        words: that it has tokens for.
        directions: [words, D], rows of length 1; zeros leave a word where it is.
    """
    known = np.flatnonzero(directions.any(axis=1))
    rows = tokenizer.convert_tokens_to_ids([words[place] for place in known.tolist()])
    for weight in _tables(model):
        with torch.no_grad():
            length = weight.float().norm(dim=1).mean()
            weight[rows] = (length * torch.from_numpy(directions[known]).to(length)).to(weight)


def keep_head(model: Any) -> None:
    """Say of a head of its own that it is one.

    Transformers 5 says of every T5 that its head is the embeddings, although it loads a Flan-T5
    with another one, which it would drop when there are new tokens.
    """
    if len(_tables(model)) > 1:
        model.config.tie_word_embeddings = False


def _tables(model: Any) -> list[torch.Tensor]:
    """Its embeddings, and its head if that is another table, [tokens, D] each."""
    read, written = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    return [read] if written is read else [read, written]
