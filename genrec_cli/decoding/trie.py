"""The catalog as a token trie in flat arrays.

Every title is a path of token ids from the root to a leaf of its own (De Cao et al. 2021, GENRE,
arXiv 2010.00904, constrain generation to such a trie). Nodes are numbered breadth-first, so the
children of a node are consecutive and two arrays hold the whole tree; leaves are also numbered in
lexicographic order, so that the items below a node are an interval. Most nodes of a catalog have
one child: `branch` leads over such forced tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from genrec_cli.decoding.ragged import (
    Flat,
    Int32,
    Int64,
    IntArray,
    check_prefix_free,
    check_titles,
    flatten,
)


@dataclass(frozen=True, eq=False)
class TokenTrie:
    """A prefix-free set of token sequences; node 0 is the root, N nodes, I items.

    Attributes:
        first_child: int32 [N + 1]; the children of `v` are `first_child[v]:first_child[v + 1]`.
        token: int32 [N], the token that leads to a node, rising among siblings; -1 at the root.
        depth: int32 [N], tokens from the root.
        leaf_lo: int32 [N]; the items below `v` are `leaf_item[leaf_lo[v]:leaf_hi[v]]`.
        leaf_hi: int32 [N], see `leaf_lo`.
        leaf_item: int32 [I], items in the lexicographic order of their tokens.
        branch: int32 [N], where the forced tokens after a node end: the first node at or below it
            that has no child or several.

    Example:
        >>> trie = build_trie([[5, 7, 9], [5, 8, 9], [6, 9]])
        >>> trie.allowed(0).tolist(), trie.allowed(1).tolist()
        ([5, 6], [7, 8])
        >>> trie.items(1).tolist(), trie.is_leaf(2), trie.is_leaf(int(trie.branch[2]))
        ([0, 1], False, True)
    """

    first_child: Int32
    token: Int32
    depth: Int32
    leaf_lo: Int32
    leaf_hi: Int32
    leaf_item: Int32
    branch: Int32

    @property
    def n_items(self) -> int:
        """Number of titles."""
        return len(self.leaf_item)

    @cached_property
    def item_leaf(self) -> Int32:
        """Position of every item in `leaf_item`, int32 [I]."""
        positions = np.empty_like(self.leaf_item)
        positions[self.leaf_item] = np.arange(self.n_items, dtype=np.int32)
        return positions

    def allowed(self, node: int) -> Int32:
        """Tokens that may follow at a node, rising; none at a leaf."""
        return self.token[self.first_child[node] : self.first_child[node + 1]]

    def items(self, node: int) -> Int32:
        """Items whose title passes through a node."""
        return self.leaf_item[self.leaf_lo[node] : self.leaf_hi[node]]

    def is_leaf(self, node: int) -> bool:
        """Whether a title ends at a node."""
        return bool(self.first_child[node] == self.first_child[node + 1])

    def n_children(self, nodes: IntArray) -> Int32:
        """Number of children of each node, 0 at leaves."""
        return self.first_child[nodes + 1] - self.first_child[nodes]

    def parent(self, nodes: IntArray) -> Int64:
        """Parent of each node, -1 of the root.

        Example:
            >>> build_trie([[5, 7, 9], [6, 9]]).parent(np.array([0, 1, 2, 3])).tolist()
            [-1, 0, 0, 1]
        """
        # Of equal types: searchsorted would copy all of `first_child` to compare it with int64.
        return np.searchsorted(self.first_child[:-1], _int32(nodes), side="right") - 1

    def step(self, nodes: IntArray, tokens: IntArray) -> Int64:
        """Child of each node by a token, -1 where the token is not allowed (both [M])."""
        low = self.first_child[nodes].astype(np.int64)
        end = self.first_child[nodes + 1].astype(np.int64)
        high = end.copy()
        last = len(self.token) - 1
        while (searching := low < high).any():  # bisection among siblings, all rows at once
            middle = (low + high) // 2
            before = self.token[np.minimum(middle, last)] < tokens
            low = np.where(searching & before, middle + 1, low)
            high = np.where(searching & ~before, middle, high)
        found = (low < end) & (self.token[np.minimum(low, last)] == tokens)
        return np.where(found, low, -1)

    def walk(self, flat: IntArray, offsets: IntArray) -> Int32:
        """Node at which each token of each title is chosen, that is, the node before it.

        Args:
            flat: tokens of all titles, one after the other, [T].
            offsets: [titles + 1]; title i is `flat[offsets[i]:offsets[i + 1]]`. It may stop
                before a leaf.

        Returns:
            int32 [T]; the tokens allowed at position t are `allowed(result[t])`.

        Raises:
            ValueError: a title leaves the trie.

        Example:
            >>> trie = build_trie([[5, 7, 9], [6, 9]])
            >>> trie.walk(np.array([6, 9, 5, 7, 9]), np.array([0, 2, 5])).tolist()
            [0, 2, 0, 1, 3]
        """
        before = np.empty(len(flat), dtype=np.int32)
        title = np.flatnonzero(np.diff(offsets) > 0)
        at, node = offsets[title], np.zeros(len(title), dtype=np.int64)
        while title.size:
            before[at] = node
            node = self.step(node, flat[at])
            if (node < 0).any():
                bad = int(np.argmax(node < 0))
                raise ValueError(f"title {title[bad]} leaves the trie at token {flat[at[bad]]}")
            going = at + 1 < offsets[title + 1]
            title, at, node = title[going], at[going] + 1, node[going]
        return before


def build_trie(sequences: Sequence[Sequence[int]] | Flat) -> TokenTrie:
    """Build the trie of a catalog, level by level.

    Args:
        sequences: token ids of item i in row i, each ending in an end-of-title token; or, as a
            tuple of two arrays, the flat tokens and their offsets [items + 1].

    Returns:
        The trie; measured: 0.03 s for 62,000 titles, 1.4 s for a million.

    Raises:
        ValueError: no sequences, an empty one, a negative token, or sequences of which one equals
            or begins another; the message names the items.
    """
    flat, offsets = flatten(sequences)
    check_titles(flat, offsets)
    starts, lengths = offsets[:-1], np.diff(offsets)
    vocabulary = int(flat.max()) + 1
    order = np.arange(len(starts))  # the item at each leaf position, refined at every level
    at = np.arange(len(starts))  # leaf positions of the titles that go on
    parent = np.zeros(len(starts), dtype=np.int64)
    levels = [(parent[:1], np.array([-1]), at[:1], at[-1:] + 1)]  # parent, token, leaf_lo, leaf_hi
    nodes = depth = 1
    while at.size:
        token = flat[starts[order[at]] + depth - 1]
        # `parent` never falls, so sorting moves titles only within their parent's interval.
        sort = np.argsort(parent * vocabulary + token, kind="stable")
        order[at], token = order[at[sort]], token[sort]
        new = np.append(True, (parent[1:] != parent[:-1]) | (token[1:] != token[:-1]))
        first, group = np.flatnonzero(new), np.cumsum(new) - 1
        last = np.append(first[1:], at.size) - 1
        levels.append((parent[first], token[first], at[first], at[last] + 1))
        ends = lengths[order[at]] == depth
        check_prefix_free(order[at], ends, group)
        at, parent = at[~ends], nodes + group[~ends]
        nodes, depth = nodes + first.size, depth + 1
    return _assemble(levels, order)


def _assemble(levels: Sequence[tuple[IntArray, ...]], order: IntArray) -> TokenTrie:
    parent, token, low, high = (_int32(np.concatenate(x)) for x in zip(*levels, strict=True))
    n_children = np.bincount(parent[1:], minlength=len(parent))
    first_child = _int32(np.append(1, 1 + np.cumsum(n_children)))
    branch = np.where(n_children == 1, first_child[:-1], np.arange(len(parent), dtype=np.int32))
    for _ in range((len(levels) - 1).bit_length()):  # each round doubles the jumps
        branch = branch[branch]
    depth = np.repeat(np.arange(len(levels), dtype=np.int32), [len(x[0]) for x in levels])
    return TokenTrie(first_child, token, depth, low, high, _int32(order), branch)


def _int32(array: IntArray) -> Int32:
    return array.astype(np.int32)
