import numpy as np
import pytest

from genrec_cli.core.errors import DataError
from genrec_cli.language.backbones.nano import train_tokenizer
from genrec_cli.language.newtitles import tokenise_new_titles
from genrec_cli.language.prompt import Encoder, Prompt, tokenise_titles

TITLES = ["The Matrix (1999)", "Heat (1995)"]
INSTRUCTION = "Titles, in order:\n"
TOKENIZER = train_tokenizer([*TITLES, INSTRUCTION])
HEAD, TAIL = Prompt(INSTRUCTION, "Output:\n").around(TOKENIZER)
AROUND = len(HEAD) + len(TAIL)
OLD = tokenise_titles(TOKENIZER, TITLES)


def encoder(room: int) -> Encoder:
    """An encoder that has room for a new title of so many tokens."""
    return Encoder(HEAD, OLD, AROUND + int(OLD.lengths.max()) + room, TAIL)


def test_new_titles_are_tokenised_as_the_old_ones_are() -> None:
    tokens = tokenise_new_titles(encoder(20), TOKENIZER, [TITLES[1], "Ran"])
    assert np.array_equal(tokens[0], OLD[1])
    assert tokens.lengths.tolist() == [len(OLD[1]), 4]


def test_a_title_beyond_the_window_is_refused() -> None:
    titles = ["Ran", "Seven Samurai"]
    needed = int(tokenise_titles(TOKENIZER, titles).lengths.max())
    assert tokenise_new_titles(encoder(needed), TOKENIZER, titles).lengths.max() == needed
    with pytest.raises(DataError) as caught:
        tokenise_new_titles(encoder(needed - 1), TOKENIZER, titles)
    longest = int(OLD.lengths.max())
    assert caught.value.message == (
        f"title 'Seven Samurai' takes {needed} tokens; with the instruction's {AROUND} and a "
        f"history title's {longest} that is more than the max_length of "
        f"{AROUND + longest + needed - 1} that the run was trained with"
    )
