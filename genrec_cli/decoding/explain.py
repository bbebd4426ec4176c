"""Why a title was found: the choices along it, how likely each was, and what else was likely.

A title is spelled by the choices at the trie's branching nodes; all tokens between two of them are
forced. The probabilities are those of training: softmaxes over the tokens that the trie allows.

Sizes: B users, M branching nodes, T flat entries.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from genrec_cli.decoding.ragged import Float64, Int64, IntArray, log_softmax
from genrec_cli.decoding.steps import Session
from genrec_cli.decoding.trie import TokenTrie

OTHERS: Final = 3  # runners-up of a choice that are named


class Edge(NamedTuple):
    """A chosen token and the forced ones behind it.

    Attributes:
        tokens: at least one.
        probability: of the chosen token among those that the trie allows.
        ends: whether a title ends here; the last token is then its end-of-title token.
    """

    tokens: tuple[int, ...]
    probability: float
    ends: bool


class Choice(NamedTuple):
    """What was chosen at a branching node, and the likeliest others, best first."""

    taken: Edge
    others: tuple[Edge, ...]


class _Fork(NamedTuple):
    """The children of a branching node: their probabilities, and the places of the best."""

    probabilities: Float64
    best: Int64


_Way: TypeAlias = list[tuple[int, int]]  # branching nodes, each with its child, to a title
_Key: TypeAlias = tuple[int, int]  # a user, and a node of the tree behind her prompt


def explain(
    session: Session, trie: TokenTrie, items: Sequence[IntArray]
) -> list[list[list[Choice]]]:
    """The choices along titles.

    The tokens of a title's choices, one after the other, are the title; the product of their
    probabilities is the title's. If all titles begin alike, that is a first choice of probability
    1 without others.

    Args:
        session: B prompts.
        trie: of the catalog.
        items: of each user; -1 for no item.

    Returns:
        For each user and each of her items the choices from first to last; none for -1.
    """
    ways = [[_way(trie, int(item)) for item in row] for row in items]
    slots = _run(session, trie, ways)
    asked = {(user, node): 0 for user, row in enumerate(ways) for way in row for node, _ in way}
    forks = _forks(session, trie, {key: slots[key] for key in asked})
    return [
        [
            _choices(trie, way, [forks[user, node] for node, _ in way]) if item >= 0 else []
            for way, item in zip(row, items[user], strict=True)
        ]
        for user, row in enumerate(ways)
    ]


def _way(trie: TokenTrie, item: int) -> _Way:
    """Every branching node on the way to an item, with the child that leads to it."""
    way: _Way = []
    node = int(trie.branch[0])
    while item >= 0 and not trie.is_leaf(node):
        children = slice(trie.first_child[node], trie.first_child[node + 1])
        place = np.searchsorted(trie.leaf_lo[children], trie.item_leaf[item], side="right") - 1
        child = int(children.start + place)
        way.append((node, child))
        node = int(trie.branch[child])
    return way


def _run(session: Session, trie: TokenTrie, ways: Sequence[Sequence[_Way]]) -> dict[_Key, int]:
    """Run what leads to a choice, shared beginnings once; the slot of every node that was run."""
    slots = {(user, 0): user for user in range(session.users)}
    parents: list[int] = []
    tokens: list[int] = []
    first = session.size
    for user, row in enumerate(ways):
        for way in row:
            for chain in _chains(trie, way):
                parent = slots[user, chain[0]]
                for node in chain[1:]:
                    if (user, node) not in slots:
                        slots[user, node] = first + len(tokens)
                        parents.append(parent)
                        tokens.append(int(trie.token[node]))
                    parent = slots[user, node]
    if tokens:
        session.extend(np.array(parents), np.array(tokens))
    return slots


def _chains(trie: TokenTrie, way: _Way) -> Iterator[list[int]]:
    """The nodes between a title's choices; what follows the last one need not be run."""
    if way:
        yield _forced(trie, 0)
    for node, child in way[:-1]:
        yield [node, *_forced(trie, child)]


def _forced(trie: TokenTrie, node: int) -> list[int]:
    """A node and the forced ones behind it, up to the next choice or the end of a title.

    Example:
        >>> from genrec_cli.decoding.trie import build_trie
        >>> _forced(build_trie([[5, 7, 9], [5, 8, 9], [6, 9]]), 2)
        [2, 5]
    """
    nodes = [node]
    while nodes[-1] != trie.branch[node]:
        nodes.append(int(trie.first_child[nodes[-1]]))
    return nodes


def _forks(session: Session, trie: TokenTrie, slots: dict[_Key, int]) -> dict[_Key, _Fork]:
    """Probabilities of the children of nodes that have been run."""
    if not slots:
        return {}
    nodes = np.array([node for _, node in slots])
    counts = trie.n_children(nodes)
    rows = np.repeat(np.arange(len(nodes)), counts)
    tokens = np.concatenate([trie.allowed(node) for node in nodes]).astype(np.int64)
    logits = session.logits(np.array(list(slots.values())), rows, tokens)
    shares = np.split(np.exp(log_softmax(logits, counts)), np.cumsum(counts)[:-1])
    return {
        key: _Fork(share, np.argsort(-share, kind="stable")[: OTHERS + 1])
        for key, share in zip(slots, shares, strict=True)
    }


def _choices(trie: TokenTrie, way: _Way, forks: Sequence[_Fork]) -> list[Choice]:
    choices = [_choice(trie, *step, fork) for step, fork in zip(way, forks, strict=True)]
    start = _forced(trie, 0)[1:]
    if start:
        choices.insert(0, Choice(_edge(trie, start[0], 1.0), ()))
    return choices


def _choice(trie: TokenTrie, node: int, child: int, fork: _Fork) -> Choice:
    first = int(trie.first_child[node])
    edges = [_edge(trie, first + place, float(fork.probabilities[place])) for place in fork.best]
    others = [edge for edge, place in zip(edges, fork.best, strict=True) if first + place != child]
    taken = _edge(trie, child, float(fork.probabilities[child - first]))
    return Choice(taken, tuple(others[:OTHERS]))


def _edge(trie: TokenTrie, child: int, probability: float) -> Edge:
    nodes = _forced(trie, child)
    return Edge(tuple(trie.token[nodes].tolist()), probability, trie.is_leaf(nodes[-1]))
