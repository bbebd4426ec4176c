"""Among which tokens each target token is chosen, in groups that one matrix product can score.

Half of a catalog's decisions are made at few nodes with many children (the root above all), the
others at many nodes with few. Decisions at a wide node share its children, so they are one dense
product; the others are padded to the next power of two of children and scored together.

Shapes: M decisions, G decisions of a group, C tokens to choose among.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genrec_cli.decoding.trie import TokenTrie

Ints = NDArray[np.int64]
_WIDE: Final = 64  # children from which a node's decisions are scored by themselves


@dataclass(frozen=True, eq=False)
class Group:
    """Decisions that are scored together, on the CPU.

    Attributes:
        places: int64 [G]; positions of the hidden states at which they are made.
        tokens: int64; what is chosen among: [C] for all decisions alike, [G, C] for each its own,
            where -1 is no token; None: the whole vocabulary.
        picked: int64 [G]; which of these C the target is.
        weights: float32 [G]; what each -log p counts.
        allowed: which of the whole vocabulary counts; None: all of it.
    """

    places: Tensor
    tokens: Tensor | None
    picked: Tensor
    weights: Tensor
    allowed: "Allowed | None" = None


class Choices(Protocol):
    """Finds the decisions among target tokens."""

    def __call__(self, nodes: Tensor, tokens: Tensor, weights: Tensor) -> list[Group]:
        """Groups of decisions.

        Args:
            nodes: int64 [T]; the node at which each token is chosen, -1 where it is no target.
            tokens: int64 [T].
            weights: float32 [T].
        """


class TrieChoices:
    """Tokens are chosen among the children of their trie node; forced ones are no decision."""

    def __init__(self, trie: TokenTrie) -> None:
        self._trie = trie

    def __call__(self, nodes: Tensor, tokens: Tensor, weights: Tensor) -> list[Group]:
        """See `Choices`."""
        trie, all_nodes = self._trie, nodes.numpy()
        places = np.flatnonzero((all_nodes >= 0) & (trie.n_children(all_nodes) > 1))
        at = all_nodes[places]
        picked = trie.step(at, tokens.numpy()[places]) - trie.first_child[at]
        groups = []
        for part in self._parts(at):
            groups.append(
                Group(
                    places=torch.from_numpy(places[part]),
                    tokens=torch.from_numpy(self._children(at[part])),
                    picked=torch.from_numpy(picked[part]),
                    weights=weights[torch.from_numpy(places[part])],
                )
            )
        return groups

    def _parts(self, at: Ints) -> Iterator[Ints]:
        """Decisions (numbers of `at`) that belong together."""
        children = self._trie.n_children(at)
        # Wide nodes by their own number, the others by the power of two above their children.
        width = -np.ceil(np.log2(children)).astype(np.int64)
        key = np.where(children > _WIDE, at, width)
        order = np.argsort(key, kind="stable")
        bounds = np.flatnonzero(np.diff(key[order])) + 1
        yield from (part for part in np.split(order, bounds) if part.size)

    def _children(self, at: Ints) -> Ints:
        """Tokens at one wide node, [C], or at each of many narrow ones, [G, C]."""
        trie = self._trie
        if (at == at[0]).all():
            return trie.allowed(int(at[0])).astype(np.int64)
        counts = trie.n_children(at)
        columns = np.arange(counts.max())
        child = np.minimum(trie.first_child[at][:, None] + columns, len(trie.token) - 1)
        return np.where(columns < counts[:, None], trie.token[child], -1).astype(np.int64)


class VocabularyChoices:
    """Tokens are scored among the whole vocabulary.

    Args:
        trie: mask what it does not allow, for comparison; None: every token counts.
    """

    def __init__(self, trie: TokenTrie | None = None) -> None:
        self._trie = trie

    def __call__(self, nodes: Tensor, tokens: Tensor, weights: Tensor) -> list[Group]:
        """See `Choices`."""
        places = torch.nonzero(nodes >= 0).flatten()
        allowed = Allowed(self._trie, nodes[places].numpy()) if self._trie else None
        return [Group(places, None, tokens[places], weights[places], allowed)]


@dataclass(frozen=True, eq=False)
class Allowed:
    """Which tokens a trie allows at each decision.

    Attributes:
        trie: the catalog.
        nodes: int64 [G].
    """

    trie: TokenTrie
    nodes: Ints

    def mask(self, vocabulary: int) -> Tensor:
        """Bool [G, vocabulary]."""
        mask = torch.zeros((len(self.nodes), vocabulary), dtype=torch.bool)
        for row, node in enumerate(self.nodes):
            mask[row, torch.from_numpy(self.trie.allowed(int(node)).astype(np.int64))] = True
        return mask
