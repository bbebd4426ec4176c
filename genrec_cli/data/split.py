"""Leave-one-out: a reading of a dataset's sequences, not a copy.

With n items a user's training part is `items[:-2]`, her validation target `items[-2]`, her test
target `items[-1]`; at test time the history includes the validation item (design.md, section 1).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genrec_cli.core.settings import Split
from genrec_cli.data.dataset import Dataset

Items = NDArray[np.int32]

_HELD_OUT: dict[Split, int] = {"test": 1, "validation": 2}


@dataclass(frozen=True)
class Cases:
    """Questions to a recommender, with their answers.

    Attributes:
        rows: int64, [cases]; rows of the dataset.
        histories: what each user had touched before, oldest first.
        targets: int32, [cases]; what she touched next.
    """

    rows: NDArray[np.int64]
    histories: list[Items]
    targets: Items

    def __len__(self) -> int:
        return len(self.rows)


def training_part(dataset: Dataset, row: int) -> Items:
    """Items that a model may learn from."""
    return dataset.sequence(row)[:-2]


def held_out(dataset: Dataset, split: Split, rows: NDArray[np.int64] | None = None) -> Cases:
    """The held-out item of each user, and her history before it.

    Args:
        dataset: a prepared dataset.
        split: which of the two held-out items.
        rows: rows to ask about; None means all.
    """
    rows = np.arange(len(dataset.user_ids)) if rows is None else rows
    before = _HELD_OUT[split]
    sequences = [dataset.sequence(int(row)) for row in rows]
    return Cases(
        rows=rows,
        histories=[sequence[:-before] for sequence in sequences],
        targets=np.array([sequence[-before] for sequence in sequences], dtype=np.int32),
    )


def sample_rows(dataset: Dataset, count: int | None, seed: int) -> NDArray[np.int64]:
    """Rows of `count` users drawn by the seed, in dataset order; None or too many: all rows."""
    total = len(dataset.user_ids)
    if count is None or count >= total:
        return np.arange(total)
    return np.sort(np.random.default_rng(seed).choice(total, count, replace=False))
