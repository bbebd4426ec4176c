"""Top titles of a language model by a beam search over the branching nodes of a token trie.

Scores are normalised over the tokens that the trie allows, so the probabilities of all titles sum
to one and a forced token costs nothing: only branching nodes need the model's logits. The prompt
runs once a user; the tokens of all hypotheses are appended behind it as a tree.

Shapes: B users, N new tokens a user, D width of the model, M rows of hidden states, T flat entries
(tokens of edges, or children), I items. A slot is a token appended behind the prompt.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from genrec_cli.core.errors import ModelError
from genrec_cli.decoding.pool import (
    Allowed,
    Exclude,
    Hypotheses,
    Ranking,
    drop_beaten,
    keep_best,
    to_ranking,
)
from genrec_cli.decoding.ragged import Int64, IntArray, log_softmax, positions
from genrec_cli.decoding.trie import TokenTrie


class Session(Protocol):
    """A batch of prompts that the model has read, and a growing tree of tokens behind each."""

    @property
    def root(self) -> Tensor:
        """Hidden state at each prompt's end, [B, D]."""

    def extend(self, tokens_BN: Tensor, parents_BN: Tensor) -> Tensor:
        """Append N tokens for each user, where each sees the prompt, its ancestors and itself.

        Args:
            tokens_BN: int64; -1 is padding.
            parents_BN: int64, slots of the preceding tokens; -1 is the end of the prompt. Slots
                are numbered 0, 1, 2, … in order of appending, padding included, and a parent may
                be an earlier column of the same call.

        Returns:
            Hidden states, [B, N, D]; anything at padding.
        """

    def logits(self, hidden_MD: Tensor, rows_T: Tensor, tokens_T: Tensor) -> Tensor:
        """Logit of token `tokens_T[i]` at row `rows_T[i]` of the hidden states, float32 [T]."""


class StepModel(Protocol):
    """A language model that can be asked for a few logits at a time."""

    def start(self, prompts: Sequence[Sequence[int]]) -> Session:
        """Run every prompt once."""


class Expander:
    """Runs hypotheses through the model and returns their children; counts the slots used.

    Args:
        session: prompts that have been run.
        trie: the catalog.
    """

    def __init__(self, session: Session, trie: TokenTrie) -> None:
        self._session = session
        self._trie = trie
        self._slots = 0

    def first(self) -> Hypotheses:
        """The first hypotheses of every user: one for each token that may begin a title."""
        users = np.arange(len(self._session.root))
        root, prompt = np.zeros_like(users), np.full_like(users, -1)
        if self._trie.n_children(root[:1]) == 1:  # all titles begin alike
            return Hypotheses(users, root + 1, prompt, np.zeros(len(users)))
        beginnings = Hypotheses(users, root, prompt, np.zeros(len(users)))
        return self._children(beginnings, root, prompt, self._session.root)

    def expand(self, pool: Hypotheses) -> Hypotheses:
        """Children of unfinished hypotheses, in one pass of the model over all of them.

        Args:
            pool: hypotheses of any users, in any order; at least one, none of them finished.

        Returns:
            Their children with scores, sorted by user; a finished child needs no expansion.
        """
        pool = pool.take(np.argsort(pool.user, kind="stable"))
        nodes_T, lengths_M = self._forced(pool.edge)
        start_M = np.cumsum(lengths_M) - lengths_M
        start_M -= start_M[np.searchsorted(pool.user, pool.user)]  # each user's columns begin at 0
        user_T = np.repeat(pool.user, lengths_M)
        column_T = np.repeat(start_M, lengths_M) + positions(lengths_M)
        parent_T = self._slots + column_T - 1
        first_M = np.cumsum(lengths_M) - lengths_M
        parent_T[first_M] = pool.slot

        shape = (len(self._session.root), int(column_T.max()) + 1)
        tokens_BN, parents_BN = np.full(shape, -1), np.full(shape, -1)
        tokens_BN[user_T, column_T] = self._trie.token[nodes_T]
        parents_BN[user_T, column_T] = parent_T
        hidden_BND = self._session.extend(self._tensor(tokens_BN), self._tensor(parents_BN))

        last_M = start_M + lengths_M - 1
        slot_M = self._slots + last_M
        self._slots += shape[1]
        hidden_MD = hidden_BND[self._tensor(pool.user), self._tensor(last_M)]
        return self._children(pool, self._trie.branch[pool.edge], slot_M, hidden_MD)

    def _forced(self, edges: Int64) -> tuple[Int64, Int64]:
        """Nodes from each edge to its branch, one edge after the other, and how many each has."""
        lengths = self._trie.depth[self._trie.branch[edges]] - self._trie.depth[edges] + 1
        nodes = np.repeat(edges, lengths)
        step = positions(lengths)
        for depth in range(1, int(lengths.max())):
            here = np.flatnonzero(step == depth)
            nodes[here] = self._trie.first_child[nodes[here - 1]]
        return nodes, lengths.astype(np.int64)

    def _children(
        self, pool: Hypotheses, nodes_M: IntArray, slots_M: Int64, hidden_MD: Tensor
    ) -> Hypotheses:
        """Children of the nodes that hypotheses have reached, where the model's state is known."""
        counts_M = self._trie.n_children(nodes_M)
        rows_T = np.repeat(np.arange(len(pool)), counts_M)
        child_T = self._trie.first_child[nodes_M][rows_T] + positions(counts_M)
        tokens_T = self._tensor(self._trie.token[child_T].astype(np.int64))
        logits = self._session.logits(hidden_MD, self._tensor(rows_T), tokens_T)
        logits_T = logits.cpu().double().numpy()
        if not np.isfinite(logits_T).all():
            raise ModelError("the model's logits are not all finite", "try another precision")
        score_T = pool.score[rows_T] + log_softmax(logits_T, counts_M)
        return Hypotheses(pool.user[rows_T], child_T, slots_M[rows_T], score_T)

    def _tensor(self, array: Int64) -> Tensor:
        return torch.from_numpy(array).to(self._session.root.device)


def beam_search(
    model: StepModel,
    trie: TokenTrie,
    prompts: Sequence[Sequence[int]],
    k: int,
    exclude: Exclude,
    beams: int,
) -> Ranking:
    """The k best titles of each user that a beam over branching nodes finds.

    It always returns k different allowed items where so many exist: a beginning is kept only while
    an allowed title lies below it. The items are the model's true top k if `beams` is at least the
    number of allowed items; a narrow beam may miss some, but their scores are exact.

    Args:
        model: the language model.
        trie: the catalog.
        prompts: token ids for each user, [B] rows.
        k: items wanted, at least 1; may exceed the catalog.
        exclude: items never to return, for each user.
        beams: hypotheses kept at each step, finished titles included; at least k.

    Returns:
        Items by falling score, equal scores by item number, padded where fewer than k are allowed.

    Raises:
        ValueError: k or beams out of range, not one list of excluded items a prompt, or an
            excluded item that is not in the catalog.
    """
    if not 1 <= k <= beams:
        raise ValueError(f"need 1 <= k <= beams, not k={k}, beams={beams}")
    if len(exclude) != len(prompts):
        raise ValueError(f"{len(prompts)} prompts, but {len(exclude)} lists of excluded items")
    allowed = Allowed(trie, exclude)
    with torch.inference_mode():
        expander = Expander(model.start(prompts), trie)
        grown = allowed.among(expander.first())
        while True:
            pool = drop_beaten(trie, keep_best(trie, grown, beams), k)
            done = pool.finished(trie)
            if done.all():
                return to_ranking(trie, pool, len(prompts), k)
            children = expander.expand(pool.take(~done))
            grown = pool.take(done).join(allowed.among(children))
