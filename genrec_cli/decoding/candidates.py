"""Which items each user may get, and the best that a prior says of those below a node.

Sizes: B users, P hypotheses, I items.
"""

from dataclasses import replace

import numpy as np

from genrec_cli.decoding.pool import Hypotheses
from genrec_cli.decoding.question import Question
from genrec_cli.decoding.ragged import BoolArray, Float64, Int64, IntArray, positions
from genrec_cli.decoding.trie import TokenTrie


class Candidates:
    """Bounds hypotheses, and drops those that can no longer become an item their user may get.

    Args:
        trie: the catalog.
        question: what may be returned.
        users: B.

    Raises:
        ValueError: the question does not fit, or an excluded item is not in the catalog.
    """

    def __init__(self, trie: TokenTrie, question: Question, users: int) -> None:
        question.check(users, trie.n_items)
        self._trie = trie
        keys = _leaves(trie, question)
        self._prior: Float64 | None = None
        if question.prior is None:
            self._counts = _LeafCounts(trie, question, keys)
            return
        prior = question.prior[:, trie.leaf_item].astype(np.float64)
        if question.only is not None:
            prior[:, ~question.only[trie.leaf_item]] = -np.inf
        self._prior = prior.ravel()
        self._prior[keys] = -np.inf

    def among(self, pool: Hypotheses) -> Hypotheses:
        """The hypotheses with an allowed title below, with their bounds."""
        low, high = self._trie.leaf_lo[pool.node], self._trie.leaf_hi[pool.node]
        if self._prior is None:
            return pool.take(self._counts.allowed(pool.user, low, high))
        best = self._best(pool.user * self._trie.n_items + low, high - low)
        bounded = replace(pool, bound=pool.score + best)
        return bounded.take(best > -np.inf)

    def _best(self, starts: Int64, lengths: IntArray) -> Float64:
        """Largest prior in each interval of leaves."""
        assert self._prior is not None
        if not starts.size:
            return np.zeros(0)
        leaves = np.repeat(starts, lengths) + positions(lengths)
        best: Float64 = np.maximum.reduceat(self._prior[leaves], np.cumsum(lengths) - lengths)
        return best


class _LeafCounts:
    """Counts allowed leaves in intervals, without an array of users times items."""

    def __init__(self, trie: TokenTrie, question: Question, keys: Int64) -> None:
        self._items = trie.n_items
        anybody = np.ones(trie.n_items, dtype=bool)
        if question.only is not None:
            anybody = question.only[trie.leaf_item]
        self._before = np.append(0, np.cumsum(anybody))
        self._keys = keys[anybody[keys % trie.n_items]]

    def allowed(self, user: Int64, low: IntArray, high: IntArray) -> BoolArray:
        start = user * self._items
        excluded = np.searchsorted(self._keys, start + high) - np.searchsorted(
            self._keys, start + low
        )
        allowed: BoolArray = self._before[high] - self._before[low] > excluded
        return allowed


def _leaves(trie: TokenTrie, question: Question) -> Int64:
    """Excluded leaves of all users in one rising array: user u's leaf p is u * I + p."""
    lists = [np.asarray(items, dtype=np.int64) for items in question.exclude]
    items = np.concatenate([np.zeros(0, dtype=np.int64), *lists])
    outside = (items < 0) | (items >= trie.n_items)
    if outside.any():
        raise ValueError(f"no item {items[outside][0]} in a catalog of {trie.n_items} to exclude")
    user = np.repeat(np.arange(len(lists)), [len(x) for x in lists])
    return np.unique(user * trie.n_items + trie.item_leaf[items])
