"""Which titles of a window are hidden in masked-item prediction."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genrec_cli.language.prompt import Encoder, TokenIds, Tokenizer
from genrec_cli.language.templates import ANSWERS, HIDDEN

# BERT4Rec's share on ML-1M and ML-20M (Sun et al. 2019).
_SHARE: Final = 0.2


@dataclass(frozen=True, eq=False)
class Masking:
    """How hidden titles are written.

    Attributes:
        line: ids that stand for a hidden title.
        answers: ids that stand before what was hidden.
    """

    line: TokenIds
    answers: TokenIds

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "Masking":
        """In the ids of a tokenizer."""
        ids = (tokenizer.encode(text, add_special_tokens=False) for text in (HIDDEN, ANSWERS))
        return cls(*(np.array(part, dtype=np.int32) for part in ids))


def masked_items(
    items: NDArray[np.int32], encoder: Encoder, masking: Masking, rng: np.random.Generator
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """The newest items that fit with their masks, and which of them are hidden, at least one.

    Args:
        items: of a window.
        encoder: how they are written.
        masking: how masks are written.
        rng: draws them.

    Returns:
        int32 [N] and bool [N]: one in five of N is hidden.
    """
    from_newest = np.cumsum(encoder.titles.lengths[items[::-1]])
    masks = len(masking.line) * _hidden(np.arange(1, len(items) + 1))
    room = encoder.max_length - len(encoder.head) - len(masking.answers)
    # The newest title fits in any case, however long the lines around it are.
    fits = max(1, int(np.searchsorted(from_newest + masks, room, side="right")))
    kept = items[len(items) - fits :]
    hidden = np.zeros(fits, dtype=bool)
    hidden[rng.choice(fits, size=int(_hidden(np.array(fits))), replace=False)] = True
    return kept, hidden


def _hidden(items: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of so many items are hidden."""
    hidden: NDArray[np.int64] = np.ceil(_SHARE * items).astype(np.int64)
    return hidden
