"""What the parts of a causal model's example are, and how many tokens each takes."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from genrec_cli.language.examples import Example, TrainingExamples, Writer
from genrec_cli.language.masking import Masking
from genrec_cli.language.prompt import Encoder, TokenIds
from genrec_cli.language.windows import Window

Role: TypeAlias = Literal["prompt", "history", "hidden", "target", "answer"]
"""The text around items, an item that is read, the mark of a hidden one, a next item to write, or a
hidden one to write."""


class Span(NamedTuple):
    """Tokens of an example that belong together.

    Attributes:
        role: what they are.
        length: how many; none at all, if a part is empty.
        item: whose title or id they are; None: of no item.
    """

    role: Role
    length: int
    item: int | None = None


def title_spans(
    examples: Sequence[Example], window: Window, training: TrainingExamples
) -> list[list[Span]]:
    """Parts of each text of a draw.

    Args:
        examples: that were drawn.
        window: that they are of.
        training: that drew them.
    """
    encoder = _writer_of(examples[0], window, training.writers).encoder
    found = []
    for example in examples:
        if example.masked:
            assert training.masking is not None
            found.append(hidden_spans(example, window, encoder, training.masking))
        else:
            found.append(next_spans(window, encoder))
    return found


def _writer_of(example: Example, window: Window, writers: Sequence[Writer]) -> Writer:
    """The writer, and thus the wording, by which the first text of a draw was written.

    Where there are several, this text is one of next titles.
    """
    if len(writers) == 1:
        return writers[0]
    return next(
        writer
        for writer in writers
        if np.array_equal(writer.next_titles(window).tokens, example.tokens)
    )


def next_spans(window: Window, encoder: Encoder) -> list[Span]:
    """Parts of an example of next titles."""
    split, lengths = window.first_target, encoder.titles.lengths
    titles = [(int(lengths[item]), item) for item in window.items.tolist()]
    return [
        Span("prompt", len(encoder.head)),
        *(Span("history", *title) for title in titles[:split]),
        Span("prompt", len(encoder.tail)),
        *(Span("target", *title) for title in titles[split:]),
    ]


def hidden_spans(
    example: Example, window: Window, encoder: Encoder, masking: Masking
) -> list[Span]:
    """Parts of an example of hidden titles, of which each answer begins at the trie's root."""
    begins = np.flatnonzero(example.nodes == 0)
    answers = np.split(example.tokens, begins)[1:]
    text = example.tokens[: begins[0] - len(masking.answers)]
    return [
        Span("prompt", len(encoder.head)),
        *reversed(list(_places(text, window, encoder, masking))),
        Span("prompt", len(masking.answers)),
        *(Span("answer", len(answer), _item_of(answer, window, encoder)) for answer in answers),
    ]


def _item_of(title: TokenIds, window: Window, encoder: Encoder) -> int:
    items: list[int] = window.items.tolist()
    return next(item for item in items if np.array_equal(encoder.titles[item], title))


def _places(text: TokenIds, window: Window, encoder: Encoder, masking: Masking) -> Iterator[Span]:
    """Titles and marks of hidden ones, from the newest to the oldest that had room."""
    end, head = len(text), len(encoder.head)
    for item in window.items[::-1].tolist():
        if end == head:
            return
        title = encoder.titles[item]
        is_read = np.array_equal(text[max(head, end - len(title)) : end], title)
        place = Span("history", len(title), item) if is_read else Span("hidden", len(masking.line))
        yield place
        end -= place.length
