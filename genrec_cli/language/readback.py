"""Training examples read back token by token: what each is, and what the loss sees of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal, TypeAlias

import numpy as np

from genrec_cli.core.settings import Normaliser
from genrec_cli.language.corpus import Corpus
from genrec_cli.language.examples import Example, Writer
from genrec_cli.language.masking import Masking
from genrec_cli.language.prompt import Encoder, TokenIds, Tokenizer
from genrec_cli.language.sampler import Draw
from genrec_cli.language.windows import Window

Role: TypeAlias = Literal["prompt", "history", "hidden", "target", "answer"]
_Span: TypeAlias = tuple[Role, int]  # of how many tokens

_HALF_CHARACTER: Final = "\ufffd"


@dataclass(frozen=True)
class Token:
    """One token of an example.

    Attributes:
        id: in the tokenizer.
        text: what it adds to the text; nothing if the character that it is of goes on.
        role: the text around titles, a title that is read, the mark of a hidden one, a next title
            to write, or a hidden title to write.
        choices: tokens that share a probability of one in the loss; 1: it costs nothing; None: it
            is not predicted.
    """

    id: int
    text: str
    role: Role
    choices: int | None


Line: TypeAlias = tuple[Token, ...]
"""Tokens of one title, or of a text around titles."""


@dataclass(frozen=True)
class ReadExample:
    """An example as the model reads it.

    Attributes:
        masked: whether its targets are hidden titles, not next ones.
        lines: whose texts, joined, are what the example's ids decode to.
    """

    masked: bool
    lines: tuple[Line, ...]

    @property
    def tokens(self) -> list[Token]:
        """All of them, in order."""
        return [token for line in self.lines for token in line]

    @property
    def targets(self) -> list[Line]:
        """Titles that are predicted."""
        return [line for line in self.lines if line[0].choices is not None]

    @property
    def titles(self) -> int:
        """Titles in the window; a hidden one counts at its place, not again where it is written."""
        return sum(line[0].role in ("history", "hidden", "target") for line in self.lines)

    @property
    def decisions(self) -> int:
        """Tokens that carry loss: those chosen among several."""
        return sum((token.choices or 0) > 1 for token in self.tokens)

    @property
    def forced(self) -> int:
        """Tokens of targets that the trie leaves no choice at, so that they cost nothing."""
        return sum(token.choices == 1 for token in self.tokens)


class Reader:
    """Reads draws of a corpus back.

    Args:
        corpus: what is trained on.
        tokenizer: that it is written with.
        normaliser: of the loss.
    """

    def __init__(self, corpus: Corpus, tokenizer: Tokenizer, normaliser: Normaliser) -> None:
        self._training = corpus.training
        self._trie = corpus.trie
        self._tokenizer = tokenizer
        self._vocabulary = len(tokenizer) if normaliser == "vocabulary" else None

    def read(self, draw: Draw) -> list[ReadExample]:
        """The texts of a draw: a window's next titles, and its hidden ones if there are."""
        window, examples = self._training.windows[draw.window], self._training[draw]
        encoder = _writer_of(examples[0], window, self._training.writers).encoder
        return [self._read(example, self._spans(example, window, encoder)) for example in examples]

    def _spans(self, example: Example, window: Window, encoder: Encoder) -> list[_Span]:
        if example.masked:
            assert self._training.masking is not None
            return hidden_spans(example, window, encoder, self._training.masking)
        return next_spans(window, encoder)

    def _read(self, example: Example, spans: Sequence[_Span]) -> ReadExample:
        texts = pieces(self._tokenizer, example.tokens.tolist())
        bounds = np.cumsum([0, *(length for _, length in spans)]).tolist()
        assert bounds[-1] == len(texts)
        choices = self._choices(example)
        tokens = list(zip(example.tokens.tolist(), texts, choices, strict=True))
        lines = (
            tuple(Token(number, text, role, among) for number, text, among in tokens[begin:end])
            for (begin, end), (role, _) in zip(pairwise(bounds), spans, strict=True)
        )
        return ReadExample(example.masked, tuple(line for line in lines if line))

    def _choices(self, example: Example) -> list[int | None]:
        targets = example.nodes >= 0
        children = self._trie.n_children(np.where(targets, example.nodes, 0))
        return [
            (self._vocabulary or among) if is_target else None
            for among, is_target in zip(children.tolist(), targets.tolist(), strict=True)
        ]


def pieces(tokenizer: Tokenizer, ids: Sequence[int]) -> list[str]:
    """What each token adds to the text; joined they are what the ids decode to.

    A character may take several tokens: it counts to the one that completes it. Each token is
    decoded behind the ones before it, for tokenizers drop blanks that begin a text; not behind all
    of them, which would take the square of their number.
    """
    texts: list[str] = []
    begin = told = 0  # `ids[:told]` have been written; they are decoded from `begin` on
    for end in range(1, len(ids) + 1):
        text = _decoded(tokenizer, ids[begin:end])
        if text.endswith(_HALF_CHARACTER) and end < len(ids):
            texts.append("")
            continue
        texts.append(text[len(_decoded(tokenizer, ids[begin:told])) :])
        begin, told = told, end
    return texts


def _decoded(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    text: str = tokenizer.decode(list(ids), clean_up_tokenization_spaces=False)
    return text


def _writer_of(example: Example, window: Window, writers: Sequence[Writer]) -> Writer:
    """The writer, and thus the wording, by which an example of next titles was written."""
    return next(
        writer
        for writer in writers
        if np.array_equal(writer.next_titles(window).tokens, example.tokens)
    )


def next_spans(window: Window, encoder: Encoder) -> list[_Span]:
    """Parts of an example of next titles; some may have no tokens."""
    lengths = encoder.titles.lengths[window.items].tolist()
    split = window.first_target
    return [
        ("prompt", len(encoder.head)),
        *(("history", length) for length in lengths[:split]),
        ("prompt", len(encoder.tail)),
        *(("target", length) for length in lengths[split:]),
    ]


def hidden_spans(
    example: Example, window: Window, encoder: Encoder, masking: Masking
) -> list[_Span]:
    """Parts of an example of hidden titles, of which each answer begins at the trie's root."""
    begins = np.flatnonzero(example.nodes == 0)
    answers = np.diff([*begins, len(example.tokens)]).tolist()
    text = example.tokens[: begins[0] - len(masking.answers)]
    return [
        ("prompt", len(encoder.head)),
        *reversed(list(_places(text, window, encoder, masking))),
        ("prompt", len(masking.answers)),
        *(("answer", length) for length in answers),
    ]


def _places(text: TokenIds, window: Window, encoder: Encoder, masking: Masking) -> Iterator[_Span]:
    """Titles and marks of hidden ones, from the newest to the oldest that had room."""
    end, head = len(text), len(encoder.head)
    for item in window.items[::-1]:
        if end == head:
            return
        title = encoder.titles[int(item)]
        is_read = np.array_equal(text[max(head, end - len(title)) : end], title)
        place: _Span = ("history", len(title)) if is_read else ("hidden", len(masking.line))
        yield place
        end -= place[1]
