"""Readings with their answers, as token ids with the trie nodes at which these are chosen."""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from genrec_cli.language.examples import NO_TARGET, Example, Nodes
from genrec_cli.language.pairs.encoder import PairEncoder
from genrec_cli.language.pairs.targets import TargetWindows
from genrec_cli.language.prompt import TitleTokens
from genrec_cli.language.reading import Reading
from genrec_cli.language.sampler import Draw

_START: Final = np.zeros(1, dtype=np.int32)


class PairWriter:
    """Writes readings and answers as examples.

    Args:
        encoder: how items are written.
        item_nodes: int32, as long as `encoder.titles.flat`; the node before each token.
    """

    def __init__(self, encoder: PairEncoder, item_nodes: Nodes) -> None:
        self.encoder = encoder
        self._nodes = TitleTokens(item_nodes, encoder.titles.offsets)

    def example(self, reading: Reading, answer: int, *, hidden: bool = False) -> Example:
        """A reading; behind a place for the token that its decoder begins with, the answer."""
        nodes = np.concatenate([np.array([NO_TARGET], dtype=np.int32), self._nodes[answer]])
        tokens = np.concatenate([_START, self.encoder.titles[answer]])
        return Example(tokens, nodes, hidden, reading)


class PairExamples(torch.utils.data.Dataset[list[Example]]):
    """Targets with what is read for them, written when they are drawn; see `TrainingExamples`.

    Args:
        windows: the targets.
        writer: writes them.
        seed: of what a draw chooses.
    """

    texts = 1
    """Examples of a window."""

    def __init__(self, windows: TargetWindows, writer: PairWriter, seed: int) -> None:
        self.windows = windows
        self.writer = writer
        self._seed = seed

    @property
    def token_counts(self) -> NDArray[np.int64]:
        """Tokens of each example, about."""
        overhead = self.writer.encoder.phrasing.overhead
        answers = self.writer.encoder.titles.lengths[self.windows.targets]
        counts: NDArray[np.int64] = overhead + self.windows.read + 1 + answers
        return counts

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, draw: Draw) -> list[Example]:
        rng = np.random.default_rng([self._seed, draw.epoch, draw.window])
        phrasing = self.writer.encoder.phrasing
        window, user = self.windows[draw.window], int(self.windows.rows[draw.window])
        reading, answer, hidden = phrasing.trained(window, user, draw.masked, rng)
        return [self.writer.example(reading, answer, hidden=hidden)]

    @property
    def targets(self) -> int:
        """Items predicted in one epoch."""
        return len(self.windows)

    @property
    def tokens(self) -> int:
        """Tokens read and written in one epoch, about."""
        return int(self.token_counts.sum())
