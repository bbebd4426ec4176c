"""Training examples read back token by token: what each is, and what the loss sees of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Final

import numpy as np

from genrec_cli.core.settings import Normaliser
from genrec_cli.language.corpus import Corpus
from genrec_cli.language.examples import Example
from genrec_cli.language.pairs.examples import PairExamples
from genrec_cli.language.pairs.readback import pair_spans
from genrec_cli.language.prompt import TokenIds, Tokenizer
from genrec_cli.language.sampler import Draw
from genrec_cli.language.spans import Role, Span, title_spans

_HALF_CHARACTER: Final = "\ufffd"


@dataclass(frozen=True)
class Token:
    """One token of an example.

    Attributes:
        id: in the tokenizer.
        text: what it adds to the text; nothing if the character that it is of goes on.
        role: of the line that it is on.
        choices: tokens that share a probability of one in the loss; 1: it costs nothing; None: it
            is not predicted.
    """

    id: int
    text: str
    role: Role
    choices: int | None


@dataclass(frozen=True)
class Line:
    """Tokens of one item, or of a text around items.

    Attributes:
        role: what it is.
        tokens: at least one.
        item: that it is of; None: of no item.
    """

    role: Role
    tokens: tuple[Token, ...]
    item: int | None = None

    @property
    def text(self) -> str:
        """Of all tokens."""
        return "".join(token.text for token in self.tokens)

    @property
    def is_written(self) -> bool:
        """Whether the model is to write it."""
        return self.role in ("target", "answer")


@dataclass(frozen=True)
class ReadExample:
    """An example as the model reads and writes it.

    Attributes:
        masked: whether its targets are hidden items, not next ones.
        lines: whose texts, joined, are what the example's ids decode to; of an encoder-decoder
            the last one is what the decoder writes.
    """

    masked: bool
    lines: tuple[Line, ...]

    @property
    def tokens(self) -> list[Token]:
        """All of them, in order."""
        return [token for line in self.lines for token in line.tokens]

    @property
    def targets(self) -> list[Line]:
        """Items that are predicted."""
        return [line for line in self.lines if line.is_written]

    @property
    def titles(self) -> int:
        """Items in the window; what has a mark at its place counts once."""
        lines = Counter(line.role for line in self.lines)
        return lines["history"] + max(lines["hidden"], lines["target"])

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
        """The texts of a draw: a window's next items, its hidden ones, or both."""
        window, examples = self._training.windows[draw.window], self._training[draw]
        if isinstance(self._training, PairExamples):
            lexicon = self._training.writer.encoder.lexicon
            spans = [pair_spans(example, window, lexicon) for example in examples]
        else:
            spans = title_spans(examples, window, self._training)
        return [self._read(*pair) for pair in zip(examples, spans, strict=True)]

    def _read(self, example: Example, spans: Sequence[Span]) -> ReadExample:
        ids = [text.tolist() for text in _texts(example)]
        texts = chain.from_iterable(pieces(self._tokenizer, text) for text in ids)
        tokens = list(zip(chain(*ids), texts, self._choices(example), strict=True))
        bounds = np.cumsum([0, *(span.length for span in spans)]).tolist()
        assert bounds[-1] == len(tokens)
        lines = tuple(
            Line(span.role, tuple(Token(n, t, span.role, c) for n, t, c in tokens[a:b]), span.item)
            for (a, b), span in zip(pairwise(bounds), spans, strict=True)
            if span.length
        )
        return ReadExample(example.masked, lines)

    def _choices(self, example: Example) -> list[int | None]:
        """Of each token of all texts, those of the last one being predicted."""
        nodes = example.nodes[-len(_texts(example)[-1]) :]
        targets = nodes >= 0
        children = self._trie.n_children(np.where(targets, nodes, 0))
        read: list[int | None] = [None] * (0 if example.reading is None else len(example.reading))
        return read + [
            (self._vocabulary or among) if is_target else None
            for among, is_target in zip(children.tolist(), targets.tolist(), strict=True)
        ]


def _texts(example: Example) -> list[TokenIds]:
    """What is read and what is written; a decoder's first token, its start, is no text."""
    if example.reading is None:
        return [example.tokens]
    return [example.reading.tokens, example.tokens[1:]]


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
