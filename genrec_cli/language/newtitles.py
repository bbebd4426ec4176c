"""Titles that a model never saw, ready to be written by it."""

from collections.abc import Sequence

import numpy as np

from genrec_cli.core.errors import DataError
from genrec_cli.language.prompt import Encoder, TitleTokens, Tokenizer, tokenise_titles


def tokenise_new_titles(
    encoder: Encoder, tokenizer: Tokenizer, titles: Sequence[str]
) -> TitleTokens:
    """Tokenise a new catalog with a run's tokenizer.

    Args:
        encoder: writes the histories that the titles will follow.
        tokenizer: the run's.
        titles: unique.

    Raises:
        DataError: a title is too long for the window in which the model was trained, or the
            tokenizer cannot tell it from another.
    """
    tokens = tokenise_titles(tokenizer, titles)
    history = int(encoder.titles.lengths.max())
    longest = int(np.argmax(tokens.lengths))
    if history + tokens.lengths[longest] > encoder.room:
        raise DataError(
            f"title {titles[longest]!r} takes {tokens.lengths[longest]} tokens; with the "
            f"instruction's {encoder.max_length - encoder.room} and a history title's {history} "
            f"that is more than the max_length of {encoder.max_length} that the run was trained "
            "with",
            "give the item a shorter title",
        )
    return tokens
