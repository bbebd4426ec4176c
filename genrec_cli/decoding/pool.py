"""What a search keeps for each user: hypotheses, in flat arrays over all users.

Sizes: B users, P hypotheses, k places in a ranking.
"""

from dataclasses import dataclass

import numpy as np

from genrec_cli.decoding.question import Ranking
from genrec_cli.decoding.ragged import BoolArray, Float64, Int64, positions
from genrec_cli.decoding.trie import TokenTrie


@dataclass(frozen=True, eq=False)
class Hypotheses:
    """Title beginnings that end in a node not yet run through the model; P of them.

    Attributes:
        user: int64 [P].
        node: int64 [P], the last node of the beginning; forced tokens may follow it.
        slot: int64 [P], slot in the session of the token before `node`; -1 if it was forgotten.
        score: float64 [P], log-probability of the path to `node`.
        bound: float64 [P], `score` and the best prior below: no title below can score higher.
    """

    user: Int64
    node: Int64
    slot: Int64
    score: Float64
    bound: Float64

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: Int64 | BoolArray) -> "Hypotheses":
        """Those at some rows, or where a mask is true."""
        return Hypotheses(
            self.user[rows], self.node[rows], self.slot[rows], self.score[rows], self.bound[rows]
        )

    def join(self, other: "Hypotheses") -> "Hypotheses":
        """These, then the others."""
        return Hypotheses(
            np.append(self.user, other.user),
            np.append(self.node, other.node),
            np.append(self.slot, other.slot),
            np.append(self.score, other.score),
            np.append(self.bound, other.bound),
        )


def none() -> Hypotheses:
    """No hypotheses."""
    whole, real = np.zeros(0, dtype=np.int64), np.zeros(0)
    return Hypotheses(whole, whole, whole, real, real)


def best(trie: TokenTrie, pool: Hypotheses, width: int, finished: BoolArray) -> Int64:
    """Rows of the `width` best hypotheses of each user, by user, best first.

    Of equal bounds, finished titles go first, by item number: what a beginning may become scores
    no higher. Beginnings go by the first item below them, for want of a better order.

    Args:
        trie: the catalog.
        pool: of any users, in any order.
        width: how many of each user.
        finished: bool [P], where a hypothesis is a title.
    """
    rows = _contenders(pool, width)
    few = pool.take(rows)
    tie = trie.leaf_item[trie.leaf_lo[few.node]]
    order = np.lexsort((tie, ~finished[rows], -few.bound, few.user))
    return rows[order[places(few.user[order]) < width]]


def places(user: Int64) -> Int64:
    """Place of each row among those of its user, for rows sorted by user."""
    return positions(np.bincount(user))


def kth_bounds(titles: Hypotheses, users: int, k: int) -> Float64:
    """What a title must reach to have a place, [B]; -inf where there is room.

    Args:
        titles: sorted by user, best first.
        users: B.
        k: places in the ranking.
    """
    bounds = np.full(users, -np.inf)
    kth = places(titles.user) == k - 1
    bounds[titles.user[kth]] = titles.bound[kth]
    return bounds


def to_ranking(trie: TokenTrie, titles: Hypotheses, exact: BoolArray, k: int) -> Ranking:
    """Lay out finished titles, sorted by user, best first."""
    items = np.full((len(exact), k), -1, dtype=np.int32)
    scores = np.full((len(exact), k), -np.inf, dtype=np.float32)
    place = places(titles.user)
    shown, place = titles.take(place < k), place[place < k]
    items[shown.user, place] = trie.leaf_item[trie.leaf_lo[shown.node]]
    scores[shown.user, place] = shown.bound
    return Ranking(items, scores, exact)


def _contenders(pool: Hypotheses, width: int) -> Int64:
    """Rows that reach the `width`-th best bound of their user, ties included, sorted by user.

    Sorting all children of a root with thousands would cost more than this partition.
    """
    row = np.argsort(pool.user, kind="stable")
    user, bound = pool.user[row], pool.bound[row]
    place = places(user)
    if not row.size or place.max() < width:
        return row
    bounds_BP = np.full((int(user[-1]) + 1, int(place.max()) + 1), -np.inf)
    bounds_BP[user, place] = bound
    column = bounds_BP.shape[1] - width
    threshold_B = np.partition(bounds_BP, column, axis=1)[:, column]
    return row[bound >= threshold_B[user]]
