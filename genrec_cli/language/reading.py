"""What an encoder reads before a decoder writes a title."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genrec_cli.language.prompt import TokenIds


@dataclass(frozen=True, eq=False)
class Reading:
    """A text for the encoder of an encoder-decoder.

    Attributes:
        tokens: int32 [length].
        words: int32 [length]; the number of the word that each token is of, for whole-word
            embeddings; 0: of none.
    """

    tokens: TokenIds
    words: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.tokens)
