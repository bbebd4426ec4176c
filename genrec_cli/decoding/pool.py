"""What a search over the trie keeps for each user: hypotheses, in flat arrays over all users.

Sizes: B users, P hypotheses, I items, k places in a ranking.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from genrec_cli.decoding.ragged import BoolArray, Float64, Int32, Int64, IntArray, positions
from genrec_cli.decoding.trie import TokenTrie

Exclude: TypeAlias = Sequence[Sequence[int] | IntArray]


class Ranking(NamedTuple):
    """The best items of each user, best first.

    Attributes:
        items: int32 [B, k], -1 where fewer than k items are allowed.
        scores: float32 [B, k], natural log-probabilities, -inf where there is no item.
    """

    items: Int32
    scores: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Hypotheses:
    """Title beginnings that end in a choice, not yet run through the model; P of them.

    Attributes:
        user: int64 [P].
        edge: int64 [P], the node that was chosen; forced tokens may follow it.
        slot: int64 [P], slot in the session of the token before `edge`, -1 if it is the prompt's
            last.
        score: float64 [P], log-probability of the path to `edge`, hence also to its `branch`.
    """

    user: Int64
    edge: Int64
    slot: Int64
    score: Float64

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: Int64 | BoolArray) -> "Hypotheses":
        """Those at some rows, or where a mask is true."""
        return Hypotheses(self.user[rows], self.edge[rows], self.slot[rows], self.score[rows])

    def join(self, other: "Hypotheses") -> "Hypotheses":
        """These, then the others."""
        return Hypotheses(
            np.append(self.user, other.user),
            np.append(self.edge, other.edge),
            np.append(self.slot, other.slot),
            np.append(self.score, other.score),
        )

    def finished(self, trie: TokenTrie) -> BoolArray:
        """Where only forced tokens are left, so that the score is the title's."""
        return np.equal(trie.n_children(trie.branch[self.edge]), 0)


class Allowed:
    """Tells which hypotheses can still become a title that their user may be shown.

    Args:
        trie: the catalog.
        exclude: items of each user that may not be shown, in any order.

    Raises:
        ValueError: an excluded item is not in the catalog.
    """

    def __init__(self, trie: TokenTrie, exclude: Exclude) -> None:
        self._trie = trie
        lists = [np.asarray(items, dtype=np.int64) for items in exclude]
        items = np.concatenate([np.zeros(0, dtype=np.int64), *lists])
        outside = (items < 0) | (items >= trie.n_items)
        if outside.any():
            raise ValueError(
                f"no item {items[outside][0]} in a catalog of {trie.n_items} to exclude"
            )
        user = np.repeat(np.arange(len(lists)), [len(x) for x in lists])
        # One sorted array for all users: user u's leaf p is u * I + p.
        self._keys = np.unique(user * trie.n_items + trie.item_leaf[items])

    def among(self, pool: Hypotheses) -> Hypotheses:
        """Drop the hypotheses whose titles are all excluded."""
        low, high = self._trie.leaf_lo[pool.edge], self._trie.leaf_hi[pool.edge]
        start = pool.user * self._trie.n_items
        excluded = np.searchsorted(self._keys, start + high) - np.searchsorted(
            self._keys, start + low
        )
        return pool.take(high - low > excluded)


def keep_best(trie: TokenTrie, pool: Hypotheses, width: int) -> Hypotheses:
    """The `width` best hypotheses of each user, by user, best first.

    Of equal scores, finished titles go first, by item number: what a beginning may become scores
    no higher. Beginnings go by the first item below them, for want of a better order.
    """
    pool = pool.take(_contenders(pool, width))
    tie = trie.leaf_item[trie.leaf_lo[pool.edge]]
    pool = pool.take(np.lexsort((tie, ~pool.finished(trie), -pool.score, pool.user)))
    return pool.take(_places(pool.user) < width)


def drop_beaten(trie: TokenTrie, pool: Hypotheses, k: int) -> Hypotheses:
    """Drop the beginnings that k finished titles of their user beat.

    Log-probabilities only fall along a path, so no title below can come into the ranking.

    Args:
        trie: the catalog.
        pool: sorted as `keep_best` does.
        k: places in the ranking.
    """
    finished = pool.finished(trie)
    titles = pool.take(finished)
    kth = titles.take(_places(titles.user) == k - 1)
    bound = np.full(int(pool.user.max(initial=-1)) + 1, -np.inf)
    bound[kth.user] = kth.score
    return pool.take(finished | (pool.score >= bound[pool.user]))


def to_ranking(trie: TokenTrie, pool: Hypotheses, n_users: int, k: int) -> Ranking:
    """Lay out a pool of finished titles as `keep_best` sorted them."""
    items = np.full((n_users, k), -1, dtype=np.int32)
    scores = np.full((n_users, k), -np.inf, dtype=np.float32)
    place = _places(pool.user)
    shown, place = pool.take(place < k), place[place < k]
    items[shown.user, place] = trie.leaf_item[trie.leaf_lo[shown.edge]]
    scores[shown.user, place] = shown.score
    return Ranking(items, scores)


def _places(user: Int64) -> Int64:
    """Place of each row among those of its user, for rows sorted by user."""
    return positions(np.bincount(user))


def _contenders(pool: Hypotheses, width: int) -> Int64:
    """Rows that reach the `width`-th best score of their user, ties included, sorted by user.

    Sorting all children of a root with thousands would cost more than this partition.
    """
    row = np.argsort(pool.user, kind="stable")
    user, score = pool.user[row], pool.score[row]
    place = _places(user)
    if not row.size or place.max() < width:
        return row
    scores_BP = np.full((int(user[-1]) + 1, int(place.max()) + 1), -np.inf)
    scores_BP[user, place] = score
    column = scores_BP.shape[1] - width
    threshold_B = np.partition(scores_BP, column, axis=1)[:, column]
    return row[score >= threshold_B[user]]
