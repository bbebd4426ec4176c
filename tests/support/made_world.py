"""Made datasets in which nobody meets an item twice, and encoders of their titles."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import bounds
from genrec_cli.decoding.trie import build_trie
from genrec_cli.language.examples import Example, Writer
from genrec_cli.language.prompt import Encoder, TitleTokens

END, HEAD, TAIL = 0, 3, 4


class World(NamedTuple):
    """Title i is written [10 + i, 5, …, 5, END], between HEADs and TAILs."""

    dataset: Dataset
    encoder: Encoder

    def size(self, items: NDArray[np.int32]) -> int:
        """Tokens of titles."""
        return int(self.encoder.titles.lengths[items].sum())

    def training(self, row: int) -> list[int]:
        """A user's items but the last two."""
        items: list[int] = self.dataset.sequence(row)[:-2].tolist()
        return items

    @property
    def users(self) -> range:
        """Rows of the dataset."""
        return range(len(self.dataset.user_ids))

    @property
    def nodes(self) -> NDArray[np.int32]:
        """The trie node at which each token of each title is chosen."""
        titles = self.encoder.titles
        return build_trie((titles.flat, titles.offsets)).walk(titles.flat, titles.offsets)

    @property
    def writer(self) -> Writer:
        """Writes windows of it."""
        return Writer(self.encoder, self.nodes)


def make_world(
    lengths: list[int], sequences: list[list[int]], around: tuple[int, int], slack: int
) -> World:
    """A world of titles of these lengths; `slack`: tokens of room beyond the least possible."""
    rows = [[10 + item, *[5] * (length - 2), END] for item, length in enumerate(lengths)]
    titles = TitleTokens(
        np.array([token for row in rows for token in row], dtype=np.int32),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
    )
    items = [item for sequence in sequences for item in sequence]
    offsets = np.concatenate([[0], np.cumsum([len(s) for s in sequences])]).astype(np.int64)
    dataset = Dataset(
        folder=Path("made"),
        manifest={"audit": {"repeats": {"share": 0.0}}},
        item_ids=[str(item) for item in range(len(lengths))],
        titles=[f"title {item}" for item in range(len(lengths))],
        train_counts=np.zeros(len(lengths), dtype=np.int64),
        user_ids=[str(user) for user in range(len(sequences))],
        offsets=offsets,
        items=np.array(items, dtype=np.int32),
        bounds=bounds(offsets, np.zeros(len(items), dtype=np.int64), None),
    )
    head, tail = (
        np.full(n, token, np.int32) for n, token in zip(around, (HEAD, TAIL), strict=True)
    )
    room = 2 * max(lengths) + slack
    return World(dataset, Encoder(head, titles, sum(around) + room, tail))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Up to four users and 25 titles."""
    lengths = draw(st.lists(st.integers(2, 9), min_size=3, max_size=25))
    everything = list(range(len(lengths)))
    sequences = [
        draw(st.permutations(everything))[: draw(st.integers(3, len(lengths)))]
        for _ in range(draw(st.integers(1, 4)))
    ]
    around = draw(st.integers(0, 5)), draw(st.integers(0, 3))
    return make_world(lengths, sequences, around, draw(st.integers(0, 60)))


def targets_of(example: Example) -> int:
    """How many titles an example predicts: each begins at the root."""
    return int((example.nodes == 0).sum())
