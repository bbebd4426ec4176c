"""The one prompt: training, evaluation and serving all read histories through it.

A history is written one title a line under an instruction, and the model writes the next line;
`Prompt.after` may stand between the two.
Titles are tokenised one by one, each with the end of its line, and joined as token ids: the ids
that the model is trained on, that it is asked with and that the trie holds are the same.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from genrec_cli.core.errors import DataError
from genrec_cli.core.workspace import read_json, write_json

TokenIds = NDArray[np.int32]
Tokenizer = Any  # transformers' tokenizers share no useful base type

_AT_ONCE: Final = 1024


@dataclass(frozen=True)
class TitleTokens:
    """Token ids of every title of a catalog, each with its end-of-title token.

    Attributes:
        flat: int32, [tokens]; all titles one after another.
        offsets: int64, [items + 1]; title i is `flat[offsets[i]:offsets[i + 1]]`.
    """

    flat: TokenIds
    offsets: NDArray[np.int64]

    def __getitem__(self, item: int) -> TokenIds:
        return self.flat[self.offsets[item] : self.offsets[item + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each title, its end included, [items]."""
        return np.diff(self.offsets)


@dataclass(frozen=True)
class Prompt:
    """What stands around a history.

    Attributes:
        before: text before the first title.
        after: text between the last title and the one to be written.
    """

    before: str
    after: str = ""

    def around(self, tokenizer: Tokenizer) -> tuple[TokenIds, TokenIds]:
        """Ids before and after a history; the tokenizer's own begin of a text is before it."""
        head = tokenizer.encode(self.before)
        while head and head[-1] == tokenizer.eos_token_id != end_of_title(tokenizer):
            head.pop()
        tail = tokenizer.encode(self.after, add_special_tokens=False) if self.after else []
        return np.array(head, dtype=np.int32), np.array(tail, dtype=np.int32)

    def save(self, folder: Path) -> None:
        """Write `prompt.json`."""
        write_json(folder / "prompt.json", asdict(self))

    @classmethod
    def load(cls, folder: Path) -> "Prompt":
        """Read `prompt.json`."""
        return cls(**read_json(folder / "prompt.json"))


def end_of_title(tokenizer: Tokenizer) -> int:
    """The token that ends a title: the last one of a line break, or the end of a text.

    The latter is for tokenizers that have no line breaks, such as T5's.
    """
    ids = tokenizer.encode("\n", add_special_tokens=False)
    if tokenizer.eos_token_id is not None and not (ids and "\n" in tokenizer.decode(ids[-1:])):
        return int(tokenizer.eos_token_id)
    return int(ids[-1])


def tokenise_titles(tokenizer: Tokenizer, titles: Sequence[str]) -> TitleTokens:
    r"""Tokenise a catalog once.

    A tokenizer that folds characters (NFKC, say) can give two titles the same ids. The later
    one is then written with its number, so that ids and items stay one to one.

    Raises:
        DataError: a title has no token of its own, or the token that ends titles.
    """
    end = end_of_title(tokenizer)
    flat, offsets = array("i"), [0]
    seen: set[bytes] = set()
    for number, ids in enumerate(_encoded(tokenizer, titles)):
        if ids.tobytes() in seen:
            ids = next(_encoded(tokenizer, [f"{titles[number]} #{number}"]))
        if not ids or end in ids or ids.tobytes() in seen:
            raise DataError(
                f"title {titles[number]!r} cannot be told apart by this base model's tokenizer",
                "use another --base-model, or give the item a plainer title",
            )
        seen.add(ids.tobytes())
        flat.extend(ids)
        flat.append(end)
        offsets.append(len(flat))
    return TitleTokens(np.array(flat, dtype=np.int32), np.array(offsets, dtype=np.int64))


def _encoded(tokenizer: Tokenizer, texts: Sequence[str]) -> "Iterator[array[int]]":
    """Ids of each text by itself.

    Encodings are kept for a part of the texts only: those of a million titles take 4 GB.
    """
    for start in range(0, len(texts), _AT_ONCE):
        part = list(texts[start : start + _AT_ONCE])
        if _adds_nothing(tokenizer):
            backend = tokenizer.backend_tokenizer
            encodings = backend.encode_batch_fast(part, add_special_tokens=False)
            yield from (array("i", encoding.ids) for encoding in encodings)
        else:
            rows = tokenizer(part, add_special_tokens=False)["input_ids"]
            yield from (array("i", row) for row in rows)


def _adds_nothing(tokenizer: Tokenizer) -> bool:
    """Whether ids are those of the Rust tokenizer inside; some classes (CodeLlama) edit the text.

    Asking it directly takes half the time: 16 s for a million titles.
    """
    encode = vars(PreTrainedTokenizerFast).get("_encode_plus")
    return encode is not None and getattr(type(tokenizer), "_encode_plus", None) is encode


def _nothing() -> TokenIds:
    return np.empty(0, dtype=np.int32)


@dataclass(frozen=True)
class Encoder:
    """Writes histories as token ids, and never more than `max_length` of them with a title.

    Attributes:
        head: ids before the first title.
        titles: the catalog's titles.
        max_length: tokens in one window, the title to be written included.
        tail: ids between the history and the title to be written.
    """

    head: TokenIds
    titles: TitleTokens
    max_length: int
    tail: TokenIds = field(default_factory=_nothing)

    def __post_init__(self) -> None:
        longest = int(self.titles.lengths.max())
        around = self.max_length - self.room
        if 2 * longest > self.room:
            raise DataError(
                f"max_length {self.max_length} is too short: the instruction takes "
                f"{around} tokens, the longest title {longest}",
                f"set max_length to {around + 2 * longest} or more",
            )

    @property
    def room(self) -> int:
        """Tokens that a history and the title after it may take."""
        return self.max_length - len(self.head) - len(self.tail)

    def prompt(self, history: Sequence[int] | NDArray[np.int32]) -> list[int]:
        """Ids of the newest titles that leave room for the longest one, and what is around them."""
        titles = (self.titles[int(item)] for item in self.newest(history))
        return [int(i) for part in (self.head, *titles, self.tail) for i in part]

    def prompts(
        self, histories: Sequence[NDArray[np.int32]], rows: Sequence[int | None]
    ) -> list[list[int]]:
        """Prompts of some people; whose they are makes no difference here."""
        return [self.prompt(history) for history in histories]

    def newest(self, history: Sequence[int] | NDArray[np.int32]) -> NDArray[np.int32]:
        """The part of a history that fits: the oldest items are cut."""
        items = np.asarray(history, dtype=np.int32)
        room = self.room - int(self.titles.lengths.max())
        from_newest = np.cumsum(self.titles.lengths[items[::-1]])
        fits = int(np.searchsorted(from_newest, room, side="right"))
        return items[len(items) - fits :]
