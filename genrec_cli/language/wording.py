"""The choices along a title as text: tokens are cut anywhere, words and characters are not."""

from collections.abc import Sequence
from typing import Final, TypeAlias, TypedDict

from genrec_cli.decoding.explain import Choice, Edge
from genrec_cli.language.prompt import Tokenizer

GOES_ON: Final = "…"
_HALF_CHARACTER: Final = "\ufffd"


class Branch(TypedDict):
    """A stretch of a title that might have come, and how likely it was."""

    text: str
    probability: float


class Turn(Branch):
    """The stretch that did come, and the likeliest others."""

    others: list[Branch]


Explanation: TypeAlias = list[Turn]


def worded(tokenizer: Tokenizer, choices: Sequence[Choice]) -> Explanation:
    """Write a title's choices as text.

    The texts of the choices, one after the other, are the title. An other one ends in an ellipsis
    if several titles go on from there. A byte of a character that is not whole yet counts to the
    choice that completes it.
    """
    turns: Explanation = []
    before: tuple[int, ...] = ()
    for choice in choices:
        others: list[Branch] = [
            {
                "text": _text(tokenizer, before, edge) + ("" if edge.ends else GOES_ON),
                "probability": edge.probability,
            }
            for edge in choice.others
        ]
        text, probability = _text(tokenizer, before, choice.taken), choice.taken.probability
        turns.append({"text": text, "probability": probability, "others": others})
        before += choice.taken.tokens
    return turns


def _text(tokenizer: Tokenizer, before: tuple[int, ...], edge: Edge) -> str:
    """What a stretch adds to the text before it; tokenizers drop blanks that begin a text."""
    tokens = edge.tokens[:-1] if edge.ends else edge.tokens
    return _whole(tokenizer, before + tokens)[len(_whole(tokenizer, before)) :]


def _whole(tokenizer: Tokenizer, tokens: tuple[int, ...]) -> str:
    text: str = tokenizer.decode(list(tokens), clean_up_tokenization_spaces=False)
    return text.rstrip(_HALF_CHARACTER)
