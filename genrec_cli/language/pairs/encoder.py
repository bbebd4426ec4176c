"""Histories as readings of at most so many tokens: the encoder-decoder's `prompt.Encoder`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genrec_cli.core.errors import DataError
from genrec_cli.language.pairs.lexicon import Lexicon
from genrec_cli.language.pairs.phrasing import Phrasing
from genrec_cli.language.prompt import TitleTokens
from genrec_cli.language.reading import Reading

_Items = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class PairEncoder:
    """Writes histories as readings, and never more than `max_length` tokens of them.

    Attributes:
        lexicon: items and users.
        phrasing: how they are put into words.
        max_length: most tokens of a reading.
    """

    lexicon: Lexicon
    phrasing: Phrasing
    max_length: int

    def __post_init__(self) -> None:
        longest = int(self.lexicon.read_lengths.max())
        if self.room < longest:
            needed = self.phrasing.overhead + 2 * longest
            raise DataError(
                f"max_length {self.max_length} is too short: what stands around a history takes "
                f"{self.phrasing.overhead} tokens, the longest item {longest}",
                f"set max_length to {needed} or more",
            )

    @property
    def titles(self) -> TitleTokens:
        """Items as they are written."""
        return self.lexicon.items

    @property
    def room(self) -> int:
        """Tokens that the items of a history may take; one more is read where another is hidden."""
        longest = int(self.lexicon.read_lengths.max())
        return self.max_length - self.phrasing.overhead - longest

    def newest(self, history: _Items) -> _Items:
        """The part of a history that fits: the oldest items are cut."""
        from_newest = np.cumsum(self.lexicon.read_lengths[history[::-1]])
        fits = int(np.searchsorted(from_newest, self.room, side="right"))
        return history[len(history) - fits :]

    def prompts(self, histories: Sequence[_Items], rows: Sequence[int | None]) -> list[Reading]:
        """What is read when the next items are wanted.

        Args:
            histories: of some people, oldest item first.
            rows: of these in the dataset; None: unknown.
        """
        return [
            self.phrasing.asked(self.newest(np.asarray(history, dtype=np.int32)), row)
            for history, row in zip(histories, rows, strict=True)
        ]
