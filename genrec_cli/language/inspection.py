"""What a corpus amounts to, and what the trie leaves open at a title of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.data.dataset import Dataset
from genrec_cli.language.corpus import Corpus
from genrec_cli.language.prompt import Tokenizer
from genrec_cli.language.readback import Line, pieces
from genrec_cli.language.windows import Window

_LONGEST: Final = 3  # titles that are named
_WIDEST: Final = 8  # beginnings of titles that are named


@dataclass(frozen=True)
class LongTitle:
    """A title, and how many tokens it takes, its end included."""

    title: str
    tokens: int


@dataclass(frozen=True)
class CorpusFigures:
    """What one epoch reads.

    Attributes:
        windows: training windows; with masked-item prediction each is written twice.
        targets: next titles that are predicted.
        tokens: without padding.
        users: all of the dataset.
        users_trained_on: those with a target.
        users_with_longer_history: those whose training part does not fit one window.
        room: tokens of a window that titles may take.
        longest_titles: the longest first.
    """

    windows: int
    targets: int
    tokens: int
    users: int
    users_trained_on: int
    users_with_longer_history: int
    room: int
    longest_titles: list[LongTitle]


def corpus_figures(dataset: Dataset, corpus: Corpus, settings: FinetuneSettings) -> CorpusFigures:
    """Count what is trained on."""
    training, lengths = corpus.training, corpus.encoder.titles.lengths
    room = min(writer.encoder.room for writer in training.writers)
    so_far = np.concatenate([[0], np.cumsum(lengths[dataset.items])])
    histories = so_far[dataset.bounds.train_ends] - so_far[dataset.offsets[:-1]]
    longest = np.argsort(-lengths, kind="stable")[:_LONGEST]
    return CorpusFigures(
        windows=len(training),
        targets=training.targets,
        tokens=training.tokens,
        users=len(dataset.user_ids),
        users_trained_on=int((_targets(dataset, settings) > 0).sum()),
        users_with_longer_history=int((histories > room).sum()),
        room=room,
        longest_titles=[LongTitle(dataset.titles[item], int(lengths[item])) for item in longest],
    )


def rows_of_windows(
    dataset: Dataset, windows: Sequence[Window], settings: FinetuneSettings
) -> NDArray[np.int64]:
    """The row of each window's user, rising, [windows].

    Windows are cut in the order of rows, and each target lies in one of them.
    """
    so_far = np.cumsum([window.targets for window in windows])
    rows: NDArray[np.int64] = np.searchsorted(np.cumsum(_targets(dataset, settings)), so_far)
    return rows


def _targets(dataset: Dataset, settings: FinetuneSettings) -> NDArray[np.int64]:
    """Targets of each user in one epoch, [users]."""
    titles = dataset.bounds.train_ends - dataset.offsets[:-1]
    targets: NDArray[np.int64] = np.clip(
        titles - settings.context_titles, 0, settings.targets_per_user
    )
    return targets


@dataclass(frozen=True)
class Stretch:
    """A stretch of a title, and how many tokens it was chosen among; 1: it was forced."""

    text: str
    choices: int


@dataclass(frozen=True)
class Beginning:
    """A first token of titles, and how many titles begin with it."""

    text: str
    titles: int


@dataclass(frozen=True)
class TitleChoices:
    """How the trie narrows one title down.

    Attributes:
        title: that is written.
        stretches: of the title, one for each choice and each run of forced tokens.
        beginnings: first tokens that most titles of the catalog share.
    """

    title: str
    stretches: list[Stretch]
    beginnings: list[Beginning]


def title_choices(line: Line, corpus: Corpus, tokenizer: Tokenizer) -> TitleChoices:
    """Follow a target through the trie, whatever the loss makes of it.

    Args:
        line: a title that is predicted.
        corpus: that it is of.
        tokenizer: of its tokens.
    """
    trie, ids = corpus.trie, np.array([token.id for token in line])
    among = trie.n_children(trie.walk(ids, np.array([0, len(ids)]))).tolist()
    numbered = enumerate(zip((token.text for token in line), among, strict=True))
    # Each choice is a group of its own; forced tokens that follow each other are one.
    groups = groupby(numbered, key=lambda entry: -1 if entry[1][1] == 1 else entry[0])
    parts = [[pair for _, pair in group] for _, group in groups]
    stretches = [Stretch("".join(text for text, _ in part), part[0][1]) for part in parts]
    return TitleChoices(
        "".join(token.text for token in line).strip(), stretches, _beginnings(corpus, tokenizer)
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
