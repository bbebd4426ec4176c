"""What the two methods share: histories become readings, windows become readings with an answer."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from genrec_cli.language.prompt import TokenIds
from genrec_cli.language.reading import Reading
from genrec_cli.language.windows import Window


class Phrased(NamedTuple):
    """A text to train on.

    Attributes:
        reading: what the encoder reads.
        answer: the item that the decoder writes.
        hidden: whether that is a hidden item of the text, not the next one.
    """

    reading: Reading
    answer: int
    hidden: bool = False


class Phrasing(Protocol):
    """How one method puts histories into words."""

    @property
    def overhead(self) -> int:
        """Most tokens that a reading has beside its items."""

    @property
    def words(self) -> int:
        """Rows of the table of whole words."""

    def asked(self, history: NDArray[np.int32], user: int | None) -> Reading:
        """What is read when the next item is wanted; None: of an unknown user."""

    def trained(self, window: Window, user: int, hidden: bool, rng: np.random.Generator) -> Phrased:
        """What is read of a window in training; `hidden`: only hidden items are to be written."""


def joined(pieces: Sequence[tuple[TokenIds, int]]) -> Reading:
    """Pieces, each of one word with its number, as one reading."""
    tokens = np.concatenate([piece for piece, _ in pieces])
    numbers = np.array([word for _, word in pieces], dtype=np.int32)
    return Reading(tokens, numbers.repeat([len(piece) for piece, _ in pieces]))


def asked_as(user: int | None, anonymous: float) -> int | None:
    """Who is named when the next item is wanted: nobody, if training never named anybody."""
    return None if anonymous == 1 else user


def known(user: int, anonymous: float, rng: np.random.Generator) -> int | None:
    """The user, or nobody in a share of all cases."""
    return None if rng.random() < anonymous else user
