"""Where the prompts and trees of a batch lie: slots, their places, and who sees whom.

Shapes: B users, T new tokens, A ancestors, S places of a user. A user's places hold her prompt,
then her tree in the order of appending. Numbers only; the tensors are elsewhere.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from genrec_cli.decoding.ragged import Int32, Int64

_NOBODY = -1


class SlotTable:
    """What is known of every slot.

    Attributes:
        prompt: int64 [B], tokens of each prompt.
        grown: int64 [B], tokens in each user's tree.
        user: int64 [slots].
        index: int64 [slots]; 0 is the prompt's end, then the order in the user's tree.
        depth: int64 [slots], tokens from the prompt's end.
        ancestors: int32 [slots, A], places in the tree that a slot sees, its own last; -1 after.
    """

    def __init__(self, lengths: Sequence[int]) -> None:
        users = len(lengths)
        self.prompt: Int64 = np.asarray(lengths, dtype=np.int64)
        self.grown: Int64 = np.zeros(users, dtype=np.int64)
        self.user: Int64 = np.arange(users)
        self.index: Int64 = np.zeros(users, dtype=np.int64)
        self.depth: Int64 = np.zeros(users, dtype=np.int64)
        self.ancestors: Int32 = np.zeros((users, 0), dtype=np.int32)

    @property
    def positions(self) -> Int64:
        """Position of each slot in its user's text, from 0."""
        return self.prompt[self.user] - 1 + self.depth

    @property
    def places(self) -> Int64:
        """Place of each slot among its user's keys and values."""
        return self.prompt[self.user] - 1 + self.index

    def positions_by_place(self, seen: int) -> Int64:
        """Position of what each user has at each place, [B, seen]."""
        result = np.tile(np.arange(seen), (len(self.prompt), 1))
        here = self.places < seen  # forgotten slots come earlier, and are overwritten
        result[self.user[here], self.places[here]] = self.positions[here]
        return result

    def append(self, parents: Int64) -> Int64:
        """Give slots to new tokens behind their parents, which may be of the same call.

        Returns:
            The new slots.
        """
        first, count = len(self.user), len(parents)
        slots = np.arange(first, first + count)
        self.user = np.append(self.user, np.full(count, _NOBODY))
        self.depth = np.append(self.depth, np.zeros(count, dtype=np.int64))
        generations = []
        waiting = np.arange(count)
        while waiting.size:
            ready = self.user[parents[waiting]] != _NOBODY
            generations.append(waiting[ready])
            now, before = slots[generations[-1]], parents[generations[-1]]
            self.user[now] = self.user[before]
            self.depth[now] = self.depth[before] + 1
            waiting = waiting[~ready]
        self._number(self.user[first:])
        self._descend(slots, parents, generations)
        return slots

    def forget(self, user: int) -> None:
        """Let the next tokens of a user overwrite her tree."""
        self.grown[user] = 0

    def _number(self, user: Int64) -> None:
        """Count on within every user, in the order of the call."""
        order = np.argsort(user, kind="stable")
        ranked = user[order]
        within = np.arange(len(user)) - np.searchsorted(ranked, ranked)
        index = np.empty(len(user), dtype=np.int64)
        index[order] = within + 1 + self.grown[ranked]
        self.index = np.append(self.index, index)
        self.grown += np.bincount(user, minlength=len(self.grown))

    def _descend(self, slots: Int64, parents: Int64, generations: list[NDArray[np.int64]]) -> None:
        """Ancestors of new slots: those of the parent, and itself."""
        deepest = int(self.depth[slots].max(initial=0))
        wider = max(0, deepest - self.ancestors.shape[1])
        self.ancestors = np.pad(
            self.ancestors, ((0, len(slots)), (0, wider)), constant_values=_NOBODY
        )
        for rows in generations:
            now = slots[rows]
            self.ancestors[now] = self.ancestors[parents[rows]]
            self.ancestors[now, self.depth[now] - 1] = self.index[now]
