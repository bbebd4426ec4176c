"""How the trie narrows one title down: what it leaves open, token by token."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np

from genrec_cli.data.dataset import Dataset
from genrec_cli.language.corpus import Corpus
from genrec_cli.language.prompt import Tokenizer
from genrec_cli.language.readback import Line, pieces

_WIDEST: Final = 8  # beginnings of titles that are named


@dataclass(frozen=True)
class Stretch:
    """A stretch of a title, and how many tokens it was chosen among; 1: it was forced."""

    text: str
    choices: int


@dataclass(frozen=True)
class Beginning:
    """A first token of titles or ids, and how many of them begin with it."""

    text: str
    titles: int


@dataclass(frozen=True)
class TitleChoices:
    """How the trie narrows one title down.

    Attributes:
        title: in the catalog.
        stretches: of the title or its id, one for each choice and each run of forced tokens.
        beginnings: first tokens that most titles of the catalog share, or their ids.
        id: that stands for the title; None: it is written as it is.
    """

    title: str
    stretches: list[Stretch]
    beginnings: list[Beginning]
    id: str | None = None


def title_choices(
    line: Line,
    dataset: Dataset,
    corpus: Corpus,
    tokenizer: Tokenizer,
    names: Sequence[str] | None = None,
) -> TitleChoices:
    """Follow a target through the trie, whatever the loss makes of it.

    Args:
        line: an item that is predicted.
        dataset: that it is of.
        corpus: that is made of the dataset.
        tokenizer: of the line's tokens.
        names: ids that stand for items; None: their titles do.
    """
    assert line.item is not None
    trie, ids = corpus.trie, np.array([token.id for token in line.tokens])
    among = trie.n_children(trie.walk(ids, np.array([0, len(ids)]))).tolist()
    numbered = enumerate(zip((token.text for token in line.tokens), among, strict=True))
    # Each choice is a group of its own; forced tokens that follow each other are one.
    groups = groupby(numbered, key=lambda entry: -1 if entry[1][1] == 1 else entry[0])
    parts = [[pair for _, pair in group] for _, group in groups]
    stretches = [Stretch("".join(text for text, _ in part), part[0][1]) for part in parts]
    return TitleChoices(
        title=dataset.titles[line.item],
        stretches=stretches,
        beginnings=_beginnings(corpus, tokenizer),
        id=None if names is None else names[line.item],
    )


def _beginnings(corpus: Corpus, tokenizer: Tokenizer) -> list[Beginning]:
    trie = corpus.trie
    first = np.arange(trie.first_child[0], trie.first_child[1])
    titles = (trie.leaf_hi - trie.leaf_lo)[first]
    found = []
    for place in np.argsort(-titles, kind="stable")[:_WIDEST]:
        (text,) = pieces(tokenizer, [int(trie.token[first[place]])])
        if text.isprintable() and "\ufffd" not in text:  # else it is a part of a character
            found.append(Beginning(text, int(titles[place])))
    return found
