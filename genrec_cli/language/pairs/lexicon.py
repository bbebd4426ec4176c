"""Items, users and plain words as an encoder reads them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.data.dataset import Dataset
from genrec_cli.language.itemwords.words import user_words
from genrec_cli.language.prompt import TitleTokens, TokenIds, Tokenizer, tokenise_titles


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Token ids of all that a text is put together from.

    Attributes:
        items: as they are written, each with its end.
        users: by row of the dataset, each with such an end.
        ends: whether what is read keeps its end, as titles must to be told apart.
    """

    items: TitleTokens
    users: TitleTokens
    ends: bool

    @classmethod
    def of(
        cls, dataset: Dataset, items: TitleTokens, tokenizer: Tokenizer, settings: FinetuneSettings
    ) -> "Lexicon":
        """The lexicon of a dataset, its items tokenised before."""
        words = [spaced(word) for word in user_words(len(dataset.user_ids), settings.seed)]
        return cls(items, tokenise_titles(tokenizer, words), settings.item_words == "titles")

    def item(self, item: int) -> TokenIds:
        """An item as it is read."""
        return self.read(self.items[item])

    def user(self, row: int) -> TokenIds:
        """A user as she is read."""
        return self.read(self.users[row])

    def read(self, tokens: TokenIds) -> TokenIds:
        """Tokens with an end, as they are read."""
        return tokens if self.ends else tokens[:-1]

    @property
    def read_lengths(self) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
        """Tokens of each item as it is read, [items]."""
        return self.items.lengths if self.ends else self.items.lengths - 1

    @property
    def longest_user(self) -> int:
        """Most tokens of a user."""
        return int(self.users.lengths.max())


def spaced(word: str) -> str:
    """A word as it stands behind others: with a blank, unless it is a token by itself."""
    return word if word.startswith("<") else f" {word}"


def word_ids(tokenizer: Tokenizer, text: str) -> list[TokenIds]:
    """A plain text word by word."""
    words: Sequence[str] = text.split()
    encoded = (tokenizer.encode(spaced(word), add_special_tokens=False) for word in words)
    return [np.array(ids, dtype=np.int32) for ids in encoded]
