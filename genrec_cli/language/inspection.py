"""What a corpus amounts to, and what a run draws of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.data.dataset import Dataset
from genrec_cli.language.arguments import planned_steps
from genrec_cli.language.corpus import Corpus
from genrec_cli.language.examples import TrainingExamples
from genrec_cli.language.pairs.examples import PairExamples
from genrec_cli.language.pairs.targets import TargetWindows
from genrec_cli.language.sampler import Draw, EndlessOrder
from genrec_cli.language.windows import Window

_LONGEST: Final = 3  # titles that are named


@dataclass(frozen=True)
class LongTitle:
    """A title, and how many tokens it takes, its end included.

    Attributes:
        title: in the catalog.
        tokens: of the title, or of the id that stands for it.
        id: this id; None: it is written as it is.
    """

    title: str
    tokens: int
    id: str | None = None


@dataclass(frozen=True)
class CorpusFigures:
    """What one epoch reads.

    Attributes:
        windows: training windows; with masked-item prediction each is written twice. Those of an
            encoder-decoder are targets with the history before them.
        targets: next items that are predicted.
        tokens: without padding; of an encoder-decoder about so many.
        users: all of the dataset.
        users_trained_on: those with a target.
        users_with_longer_history: those whose training part does not fit one window, or the
            history before one of whose targets does not.
        room: tokens of a window that items may take; of an encoder-decoder those before the target.
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


def corpus_figures(
    dataset: Dataset,
    corpus: Corpus,
    settings: FinetuneSettings,
    names: Sequence[str] | None = None,
) -> CorpusFigures:
    """Count what is trained on.

    Args:
        dataset: that it is of.
        corpus: what is made of it.
        settings: of the run.
        names: ids that stand for items; None: their titles do.
    """
    training = corpus.training
    room = _room(corpus)
    return CorpusFigures(
        windows=len(training),
        targets=training.targets,
        tokens=training.tokens,
        users=len(dataset.user_ids),
        users_trained_on=int((_targets(dataset, settings) > 0).sum()),
        users_with_longer_history=_longer(dataset, corpus, room),
        room=room,
        longest_titles=list(_longest(dataset, corpus, names)),
    )


def _room(corpus: Corpus) -> int:
    if isinstance(corpus.training, PairExamples):
        return corpus.training.writer.encoder.room
    return min(writer.encoder.room for writer in corpus.training.writers)


def _longer(dataset: Dataset, corpus: Corpus, room: int) -> int:
    """Users of whom something does not fit the room."""
    windows = corpus.training.windows
    if isinstance(windows, TargetWindows):
        return len(np.unique(windows.rows[windows.first > dataset.offsets[windows.rows]]))
    so_far = np.concatenate([[0], np.cumsum(corpus.encoder.titles.lengths[dataset.items])])
    histories = so_far[dataset.bounds.train_ends] - so_far[dataset.offsets[:-1]]
    return int((histories > room).sum())


def _longest(dataset: Dataset, corpus: Corpus, names: Sequence[str] | None) -> Iterator[LongTitle]:
    lengths = corpus.encoder.titles.lengths
    for item in np.argsort(-lengths, kind="stable")[:_LONGEST]:
        name = None if names is None else names[item]
        yield LongTitle(dataset.titles[item], int(lengths[item]), name)


def rows_of_windows(
    dataset: Dataset, windows: Sequence[Window], settings: FinetuneSettings
) -> NDArray[np.int64]:
    """The row of each window's user, rising, [windows].

    Windows are cut in the order of rows, and each target lies in one of them.
    """
    if isinstance(windows, TargetWindows):
        return windows.rows
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


def reseeded(corpus: Corpus, seed: int) -> Corpus:
    """The same corpus with other wordings and masks; users are called what they were."""
    training = corpus.training
    if isinstance(training, PairExamples):
        return replace(corpus, training=PairExamples(training.windows, training.writer, seed))
    windows, writers, masking = training.windows, training.writers, training.masking
    both = training.texts == 2
    return replace(corpus, training=TrainingExamples(windows, writers, seed, masking, both=both))


def draws_of(corpus: Corpus, settings: FinetuneSettings, epoch: int) -> Iterator[Draw]:
    """All that a run draws in an epoch, in its order, as if it had so many.

    Args:
        corpus: of the run.
        settings: of the run.
        epoch: from 1.
    """
    windows = len(corpus.training)
    masked = settings.masked_steps(planned_steps(windows, settings)) * settings.batch_size
    order = EndlessOrder(windows, epoch * windows, settings.seed, masked)
    return islice(order, (epoch - 1) * windows, None)
