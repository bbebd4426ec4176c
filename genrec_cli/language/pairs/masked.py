"""Masked GenRec: a bare sequence of a user and her items, one of them a mask; no prompt.

Cao and Lio 2024 (GenRec: Generative Sequential Recommendation with Large Language Models): one
item is hidden and written by the decoder; first anywhere, then at the end, which is the next item.
Their whole-word embeddings name the user and the items; their published code looks items up in
the table of users, ours has rows for both. We hide no users, who are no answers of the catalog.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from genrec_cli.language.pairs.lexicon import Lexicon
from genrec_cli.language.pairs.phrasing import Phrased, asked_as, joined, known
from genrec_cli.language.prompt import TokenIds, Tokenizer, end_of_title
from genrec_cli.language.reading import Reading
from genrec_cli.language.windows import Window

_LAST: Final = 0.3  # of the texts with a hidden item hide the last one, as the published code does
_NOTHING: Final = 0


class Masked:
    """Phrases histories as sequences with a mask; see `Phrasing`.

    Args:
        lexicon: items and users.
        tokenizer: has a word for the mask.
        anonymous: share of training texts without a user.
    """

    def __init__(self, lexicon: Lexicon, tokenizer: Tokenizer, anonymous: float) -> None:
        self._anonymous = anonymous
        self._lexicon = lexicon
        self._mask = lexicon.read(mask_of(tokenizer))
        self._items = len(lexicon.items.lengths)
        self.words = 1 + self._items + len(lexicon.users.lengths)

    @property
    def overhead(self) -> int:
        """Most tokens that a reading has beside its items."""
        return self._lexicon.longest_user + len(self._mask)

    def asked(self, history: NDArray[np.int32], user: int | None) -> Reading:
        """The history, and a mask behind it."""
        named = asked_as(user, self._anonymous)
        return self._reading(np.append(history, _NOTHING), len(history), named)

    def trained(self, window: Window, user: int, hidden: bool, rng: np.random.Generator) -> Phrased:
        """The window with a mask at its end or, for hidden items, anywhere."""
        last = len(window.items) - 1
        place = int(rng.integers(last + 1)) if hidden and rng.random() >= _LAST else last
        reading = self._reading(window.items, place, known(user, self._anonymous, rng))
        return Phrased(reading, int(window.items[place]), hidden)

    def _reading(self, items: NDArray[np.int32], mask: int, user: int | None) -> Reading:
        """Items, of which that at the place `mask` is hidden."""
        pieces = [(self._lexicon.item(int(item)), 1 + int(item)) for item in items]
        pieces[mask] = (self._mask, _NOTHING)
        if user is not None:
            pieces.insert(0, (self._lexicon.user(user), 1 + self._items + user))
        return joined(pieces)


def mask_of(tokenizer: Tokenizer) -> TokenIds:
    """What stands for a hidden item, and an end: a mask (BART), or the first sentinel (T5)."""
    text = tokenizer.mask_token or "<extra_id_0>"
    ids = tokenizer.encode(text, add_special_tokens=False)
    return np.array([*ids, end_of_title(tokenizer)], dtype=np.int32)
