"""What the parts of a reading and of its answer are, and how many tokens each takes."""

from collections.abc import Iterator

import numpy as np

from genrec_cli.language.examples import Example
from genrec_cli.language.pairs.lexicon import Lexicon
from genrec_cli.language.reading import Reading
from genrec_cli.language.spans import Role, Span
from genrec_cli.language.windows import Window

_MASK = 0  # as a whole word; no other piece of a reading has this number


def pair_spans(example: Example, window: Window, lexicon: Lexicon) -> list[Span]:
    """Parts of what is read and, last, of what is written; not of the place before that.

    Args:
        example: of an encoder-decoder.
        window: that it is of.
        lexicon: that it was written with.
    """
    assert example.reading is not None
    answer = example.tokens[1:]
    items: list[int] = window.items.tolist()
    written = next(item for item in items if np.array_equal(lexicon.items[item], answer))
    role: Role = "answer" if example.masked else "target"
    return [*_joined(_parts(example.reading, items, lexicon)), Span(role, len(answer), written)]


def _parts(reading: Reading, items: list[int], lexicon: Lexicon) -> Iterator[Span]:
    """Each word of a reading: the window's items stand in their order, if they are told at all."""
    left, place = list(items), 0
    while place < len(reading):
        item = lexicon.item(left[0]) if left else None
        if reading.words[place] == _MASK:
            part = Span("hidden", _word(reading, place))
            left.pop(0)
        elif item is not None and np.array_equal(reading.tokens[place : place + len(item)], item):
            part = Span("history", len(item), left.pop(0))
        else:
            part = Span("prompt", _word(reading, place))
        yield part
        place += part.length


def _word(reading: Reading, place: int) -> int:
    """Tokens of the word that begins at a place."""
    others = np.flatnonzero(reading.words[place:] != reading.words[place])
    return int(others[0]) if others.size else len(reading) - place


def _joined(parts: Iterator[Span]) -> Iterator[Span]:
    """The same parts, words around items that follow each other as one."""
    words = 0
    for part in parts:
        if part.role == "prompt":
            words += part.length
            continue
        yield Span("prompt", words)
        words = 0
        yield part
    yield Span("prompt", words)
