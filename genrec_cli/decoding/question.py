"""What a search is asked, and what it answers.

Sizes: B users, I items, k places in a ranking.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from genrec_cli.decoding.ragged import BoolArray, Int32, IntArray

Exclude: TypeAlias = Sequence[Sequence[int] | IntArray]
Float32: TypeAlias = npt.NDArray[np.float32]


class Ranking(NamedTuple):
    """The best items of each user, best first.

    Attributes:
        items: int32 [B, k], -1 where there is no item: at the end, if fewer than k are allowed; or
            where a title that was written freely names none.
        scores: float32 [B, k], natural logs, -inf where there is no item.
        exact: [B], whether no other allowed item can have a place.
    """

    items: Int32
    scores: Float32
    exact: BoolArray


@dataclass(frozen=True, eq=False)
class Question:
    """Which items are wanted.

    Attributes:
        k: how many, at least 1; may exceed the catalog.
        exclude: items that each of the B users must not get.
        only: bool [I], items that anybody may get; None: all.
        prior: float32 [B, I], added to each item's log-probability; -inf means never. None: zero.
    """

    k: int
    exclude: Exclude
    only: BoolArray | None = None
    prior: Float32 | None = None

    def check(self, users: int, items: int) -> None:
        """Raise `ValueError` unless the question fits a number of users and a catalog."""
        if self.k < 1:
            raise ValueError(f"k must be at least 1, not {self.k}")
        if len(self.exclude) != users:
            raise ValueError(f"{users} prompts, but {len(self.exclude)} lists of excluded items")
        if self.only is not None and self.only.shape != (items,):
            raise ValueError(f"a mask of shape {self.only.shape} for {items} items")
        if self.prior is not None and self.prior.shape != (users, items):
            raise ValueError(f"a prior of shape {self.prior.shape}, not {(users, items)}")
        if self.prior is not None and not (self.prior < np.inf).all():
            raise ValueError("a prior must be below infinity, and a number")
