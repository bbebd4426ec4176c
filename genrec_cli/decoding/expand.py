"""Hypotheses through the model: forced tokens in one go, then the choices behind them.

Over the catalog, probabilities are shared by the tokens that the trie allows: a forced token is
free, only branching nodes are asked, and a title is finished when nothing but forced tokens is
left. Over the vocabulary, every token costs, the forced ones too.

Shapes: M hypotheses, T flat entries (tokens to run, or children).
"""

import numpy as np

from genrec_cli.core.errors import ModelError
from genrec_cli.core.settings import Normaliser
from genrec_cli.decoding.pool import Hypotheses
from genrec_cli.decoding.ragged import (
    BoolArray,
    Float64,
    Int64,
    IntArray,
    log_softmax,
    positions,
)
from genrec_cli.decoding.steps import Session
from genrec_cli.decoding.trie import TokenTrie

LOST = -1


class Expander:
    """Runs hypotheses through the model and returns their children.

    Args:
        session: prompts that have been read.
        trie: the catalog.
        over: what shares a probability of one.
        chunk: over the vocabulary, forced tokens run at a time; the first of many may already
            rule a title out.
        room: tokens kept behind a prompt, beside those of the latest pass; when there are more,
            they are forgotten, and run again if they are needed.

    Attributes:
        run: int64 [B], tokens run behind each prompt so far.
    """

    def __init__(
        self, session: Session, trie: TokenTrie, over: Normaliser, chunk: int, room: int
    ) -> None:
        self._session = session
        self._trie = trie
        self._over = over
        self._chunk = chunk
        self._room = room
        self._kept = np.zeros(session.users, dtype=np.int64)
        self.run = np.zeros(session.users, dtype=np.int64)

    def finished(self, pool: Hypotheses) -> BoolArray:
        """Where the score is a title's."""
        end = self._trie.branch[pool.node] if self._over == "catalog" else pool.node
        return np.equal(self._trie.n_children(end), 0)

    def first(self) -> Hypotheses:
        """The first hypotheses of every user: one for each token that may begin a title."""
        users = np.arange(self._session.users)
        zeros = np.zeros(len(users))
        prompts = Hypotheses(users, np.zeros_like(users), users, zeros, zeros)
        return self._children(prompts, prompts.node, users)

    def expand(self, pool: Hypotheses) -> Hypotheses:
        """Children of unfinished hypotheses, in one pass of the model over all of them.

        Args:
            pool: hypotheses of any users; at least one, none finished.

        Returns:
            Their children with scores, in the order of their parents.
        """
        slot = pool.slot.copy()
        lost = np.flatnonzero(slot == LOST)
        if lost.size:
            slot[lost] = self._replay(pool.user[lost], pool.node[lost])
        nodes_T, lengths = self._chains(pool.node)
        last = np.cumsum(lengths) - 1
        parents_T = self._session.size + np.arange(len(nodes_T)) - 1
        parents_T[last + 1 - lengths] = slot
        slots_T = self._extend(np.repeat(pool.user, lengths), nodes_T, parents_T)
        scored = pool
        if self._over == "vocabulary":
            scored = self._with_forced(pool, nodes_T, slots_T, lengths)
        return self._children(scored, nodes_T[last], slots_T[last])

    def make_room(self, pool: Hypotheses, rest: Hypotheses) -> tuple[Hypotheses, Hypotheses]:
        """Forget the trees that have no room for the tokens of a pool.

        Args:
            pool: to be expanded next.
            rest: of the same users, to be expanded later, or never.

        Returns:
            Both, without the slots that were forgotten.
        """
        _, lengths = self._chains(pool.node)
        again = np.where(pool.slot == LOST, self._trie.depth[pool.node] - 1, 0)
        needed = np.bincount(pool.user, lengths + again, minlength=len(self._kept))
        full = (self._kept + needed > self._room) & (self._kept > 0)
        for user in np.flatnonzero(full):
            self._session.forget(int(user))
        self._kept[full] = 0
        return _without_slots(pool, full), _without_slots(rest, full)

    def _extend(self, user_T: Int64, nodes_T: Int64, parents_T: Int64) -> Int64:
        tokens = self._trie.token[nodes_T].astype(np.int64)
        slots = self._session.extend(parents_T, tokens)
        counts = np.bincount(user_T, minlength=len(self.run))
        self.run += counts
        self._kept += counts
        return slots

    def _chains(self, nodes: Int64) -> tuple[Int64, Int64]:
        """Nodes to run from each one on, one chain after the other, and how many each has."""
        trie = self._trie
        end = trie.branch[nodes]
        lengths = (trie.depth[end] - trie.depth[nodes] + 1).astype(np.int64)
        if self._over == "vocabulary":  # nothing is asked at a leaf
            lengths = np.minimum(lengths - (trie.n_children(end) == 0), self._chunk)
        chain = np.repeat(nodes, lengths)
        step = positions(lengths)
        for place in range(1, int(lengths.max(initial=0))):
            here = np.flatnonzero(step == place)
            chain[here] = trie.first_child[chain[here - 1]]
        return chain, lengths

    def _with_forced(
        self, pool: Hypotheses, nodes_T: Int64, slots_T: Int64, lengths: Int64
    ) -> Hypotheses:
        """The hypotheses at the ends of their chains: each forced token has its probability."""
        row_T = np.repeat(np.arange(len(pool)), lengths)
        within = np.flatnonzero(positions(lengths) > 0)
        tokens = self._trie.token[nodes_T[within]].astype(np.int64)
        before = slots_T[within - 1]
        log_probs = self._log_probs(before, np.arange(len(within)), tokens)
        score = pool.score + np.bincount(row_T[within], log_probs, minlength=len(pool))
        return Hypotheses(pool.user, pool.node, pool.slot, score, score)

    def _children(self, pool: Hypotheses, nodes: IntArray, slots: Int64) -> Hypotheses:
        """Children of the nodes that hypotheses have reached, where the model's state is known."""
        counts = self._trie.n_children(nodes)
        rows_T = np.repeat(np.arange(len(pool)), counts)
        child_T = self._trie.first_child[nodes][rows_T] + positions(counts)
        tokens_T = self._trie.token[child_T].astype(np.int64)
        if self._over == "catalog":
            log_probs = log_softmax(self._logits(slots, rows_T, tokens_T), counts)
        else:
            log_probs = self._log_probs(slots, rows_T, tokens_T)
        score = pool.score[rows_T] + log_probs
        return Hypotheses(pool.user[rows_T], child_T, slots[rows_T], score, score)

    def _log_probs(self, slots: Int64, rows: Int64, tokens: Int64) -> Float64:
        """Log-probabilities over the vocabulary."""
        if not slots.size:
            return np.zeros(0)
        logits = self._logits(slots, rows, tokens)
        # Rounding must not raise a path above its beginning: the bound would not hold.
        return np.minimum(logits - self._session.log_totals(slots)[rows], 0.0)

    def _logits(self, slots: Int64, rows: Int64, tokens: Int64) -> Float64:
        logits = self._session.logits(slots, rows, tokens)
        if not np.isfinite(logits).all():
            raise ModelError("the model's logits are not all finite", "try another precision")
        return logits

    def _replay(self, users: Int64, nodes: Int64) -> Int64:
        """Run forgotten paths again, shared beginnings once; slots of the tokens before nodes."""
        width = len(self._trie.token)
        found = []
        node = self._trie.parent(nodes)
        user = users
        while (inside := node > 0).any():
            user, node = user[inside], node[inside]
            found.append(user * width + node)
            node = self._trie.parent(node)
        if not found:
            return users
        keys = np.unique(np.concatenate(found))  # nodes rise with depth: parents come first
        user_T, nodes_T = keys // width, keys % width
        first = self._session.size
        before = self._slots_of(keys, first, user_T, self._trie.parent(nodes_T), width)
        self._extend(user_T, nodes_T, before)
        return self._slots_of(keys, first, users, self._trie.parent(nodes), width)

    def _slots_of(self, keys: Int64, first: int, users: Int64, nodes: Int64, width: int) -> Int64:
        """Slots of replayed nodes; the root's is the prompt's end."""
        slots: Int64 = np.where(
            nodes > 0, first + np.searchsorted(keys, users * width + nodes), users
        )
        return slots


def _without_slots(pool: Hypotheses, forgotten: BoolArray) -> Hypotheses:
    # The root's children stand behind the prompt, which is never forgotten; replaying finds that.
    slot = np.where(forgotten[pool.user], LOST, pool.slot)
    return Hypotheses(pool.user, pool.node, slot, pool.score, pool.bound)
