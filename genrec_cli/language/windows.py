"""Training examples: windows over a user's titles in which nearly every title is a target.

One pass over a window trains all its next-item predictions at once: for n titles it costs about
n times less than n prompts with one target each.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import Cases, training_part
from genrec_cli.language.prompt import Encoder, TitleTokens, TokenIds

# Share of a window that repeats the end of the one before, as context for its first targets.
_OVERLAP = 0.125
NO_TARGET = -1


@dataclass(frozen=True, eq=False)
class Window:
    """A run of one user's items; those from `first_target` on are predicted."""

    items: NDArray[np.int32]
    first_target: int

    @property
    def targets(self) -> int:
        """How many titles are predicted."""
        return len(self.items) - self.first_target


def training_windows(dataset: Dataset, encoder: Encoder, context_titles: int) -> list[Window]:
    """Windows over the training parts; each item after the context is a target exactly once."""
    return [
        window
        for row in range(len(dataset.user_ids))
        for window in split_windows(training_part(dataset, row), encoder, context_titles)
    ]


def held_out_windows(cases: Cases, encoder: Encoder) -> list[Window]:
    """One window a case: the history that fits, and the held-out item as the only target."""
    windows = []
    for history, target in zip(cases.histories, cases.targets, strict=True):
        kept = encoder.newest(history)
        windows.append(Window(np.append(kept, target).astype(np.int32), len(kept)))
    return windows


def split_windows(
    items: NDArray[np.int32], encoder: Encoder, context_titles: int
) -> Iterator[Window]:
    """Cut one sequence into windows of at most `encoder.max_length` tokens, each with a target."""
    room = encoder.max_length - len(encoder.head)
    begins = np.concatenate([[0], np.cumsum(encoder.titles.lengths[items])])
    first_target, repeated = context_titles, float(room)
    while first_target < len(items):
        wanted = np.searchsorted(begins, begins[first_target] - repeated, side="right") - 1
        # Long titles: the repeated ones may leave no room for a target.
        oldest = np.searchsorted(begins, begins[first_target + 1] - room)
        start = int(max(wanted, oldest))
        stop = int(np.searchsorted(begins, begins[start] + room, side="right")) - 1
        yield Window(items[start:stop], first_target - start)
        first_target, repeated = stop, _OVERLAP * room


@dataclass(frozen=True, eq=False)
class Example:
    """A window as token ids.

    Attributes:
        tokens: int32, [length].
        nodes: int32, [length]; the trie node at which a target's token is chosen, else -1.
    """

    tokens: TokenIds
    nodes: NDArray[np.int32]


class WindowDataset(torch.utils.data.Dataset[Example]):
    """Windows, written as token ids when they are asked for."""

    def __init__(
        self, windows: Sequence[Window], encoder: Encoder, title_nodes: NDArray[np.int32]
    ) -> None:
        """Keep the windows.

        Args:
            windows: what to write.
            encoder: how to write it.
            title_nodes: int32, as long as `encoder.titles.flat`; the node before each token.
        """
        self.windows = windows
        self.encoder = encoder
        self._nodes = TitleTokens(title_nodes, encoder.titles.offsets)
        lengths = encoder.titles.lengths
        self.token_counts = np.array(
            [len(encoder.head) + int(lengths[window.items].sum()) for window in windows]
        )

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> Example:
        window = self.windows[index]
        head, titles = self.encoder.head, self.encoder.titles
        context = int(titles.lengths[window.items[: window.first_target]].sum())
        targets = window.items[window.first_target :]
        return Example(
            tokens=np.concatenate([head, *(titles[int(item)] for item in window.items)]),
            nodes=np.concatenate(
                [
                    np.full(len(head) + context, NO_TARGET, dtype=np.int32),
                    *(self._nodes[int(item)] for item in targets),
                ]
            ),
        )


def collate(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    """Pad examples on the right into one batch.

    Returns:
        `input_ids` and `nodes`, int64 [B, L]; `lengths`, int64 [B].
    """
    lengths = np.array([len(example.tokens) for example in examples])
    shape = (len(examples), int(lengths.max()))
    tokens = np.zeros(shape, dtype=np.int64)
    nodes = np.full(shape, NO_TARGET, dtype=np.int64)
    for row, example in enumerate(examples):
        tokens[row, : lengths[row]] = example.tokens
        nodes[row, : lengths[row]] = example.nodes
    return {
        "input_ids": torch.from_numpy(tokens),
        "nodes": torch.from_numpy(nodes),
        "lengths": torch.from_numpy(lengths),
    }


def count_targets(nodes: torch.Tensor) -> torch.Tensor:
    """How many titles a batch predicts: each begins at the root, which is node 0."""
    return (nodes == 0).sum()
