"""What the tokens of a pass see, made of the slot table's numbers.

Shapes: T tokens, B users of the pass, N queries of a user, S places of a user, H heads.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genrec_cli.decoding.ragged import Int64, positions
from genrec_cli.language.serving.layout import Cells, KeyValues, PromptPass, TreePass
from genrec_cli.language.serving.slots import SlotTable


@dataclass(frozen=True)
class PassMaker:
    """Lays out passes for one model.

    Attributes:
        groups: heads that share one head of keys.
        relative: whether attention depends on the distances between tokens.
        device: where the model is.
        dtype: what it attends in.
    """

    groups: int
    relative: bool
    device: torch.device
    dtype: torch.dtype

    def prompts(self, cache: KeyValues, shared: int, lengths: list[int]) -> PromptPass:
        """The first pass.

        Args:
            cache: of the batch.
            shared: tokens that all prompts begin with.
            lengths: of the rests.
        """
        masks: dict[int, Tensor] = {}
        if shared:  # without anything before it, a prompt's attention is just causal
            ones = {n: torch.ones((n, shared + n), dtype=torch.bool) for n in set(lengths)}
            masks = {n: mask.tril(shared).to(self.device) for n, mask in ones.items()}
        return PromptPass(cache, shared, lengths, masks)

    def tree(self, cache: KeyValues, table: SlotTable, slots: Int64) -> TreePass:
        """The pass of some new slots."""
        users, row = np.unique(table.user[slots], return_inverse=True)
        counts = np.bincount(row)
        order = np.argsort(row, kind="stable")
        column = np.empty_like(row)
        column[order] = positions(counts)
        queries = int(counts.max())
        cell = row * queries + column
        view = _view(table, slots, users, row)
        visible = _visible(table, view, users, cell, queries)
        return TreePass(
            cache=cache,
            users=self.tensor(users),
            written=self.tensor(table.user[slots] * cache.places + table.places[slots]),
            seen=self.tensor(users[:, None] * cache.places + view.places),
            cells=Cells(self.tensor(cell), queries),
            bias=self._bias(visible),
            distances=self.tensor(_distances(table, slots, users, cell, view, queries))
            if self.relative
            else None,
        )

    def tensor(self, array: NDArray[np.int64]) -> Tensor:
        """Numbers where the model is."""
        return torch.from_numpy(array).to(self.device)

    def _bias(self, visible: NDArray[np.bool_]) -> Tensor:
        """Nothing where a query sees, the lowest number where not; [B, 1, groups * N, S]."""
        unseen = torch.from_numpy(~visible)[:, None].to(self.device)
        bias = torch.zeros(unseen.shape, dtype=self.dtype, device=self.device)
        bias.masked_fill_(unseen, torch.finfo(self.dtype).min)
        return bias.repeat(1, 1, self.groups, 1)


class _View(NamedTuple):
    """The places that some user's tokens of a pass see: prompts, and ancestors of these tokens.

    Attributes:
        places: int64 [B, S]; a user's prompt, then what is seen of her tree; 0 where there is less.
        token: int64 [seen], rows of the tokens that see a place of a tree.
        column: int64 [seen], where that place is in `places`.
    """

    places: Int64
    token: Int64
    column: Int64


def _view(table: SlotTable, slots: Int64, users: Int64, row: Int64) -> _View:
    """Gather what is seen: a tree may be many times larger than what its newest tokens see."""
    ancestors = table.ancestors[slots]
    token, depth = np.nonzero(ancestors > 0)
    width = int(table.grown.max()) + 1
    keys, which = np.unique(row[token] * width + ancestors[token, depth], return_inverse=True)
    owner, index = keys // width, keys % width
    counts = np.bincount(owner, minlength=len(users))
    column = table.prompt[users][owner] + positions(counts)
    places = np.tile(np.arange(int((table.prompt[users] + counts).max())), (len(users), 1))
    places[places >= table.prompt[users][:, None]] = 0
    places[owner, column] = table.prompt[users][owner] - 1 + index
    return _View(places, token, column[which])


def _visible(
    table: SlotTable, view: _View, users: Int64, cell: Int64, queries: int
) -> NDArray[np.bool_]:
    """Which of the gathered places the padded queries see; bool [B, N, S]."""
    count, seen = view.places.shape
    prompt = np.arange(seen) < table.prompt[users][:, None]
    visible = np.repeat(prompt, queries, axis=0)
    visible[cell[view.token], view.column] = True
    return visible.reshape(count, queries, seen)


def _distances(
    table: SlotTable, slots: Int64, users: Int64, cell: Int64, view: _View, queries: int
) -> Int64:
    """Position of what is at each gathered place, less that of the query; int64 [B, N, S]."""
    count = len(users)
    at = np.zeros(count * queries, dtype=np.int64)
    at[cell] = table.positions[slots]
    there = table.positions_by_place(int(view.places.max()) + 1)[users]
    found = np.take_along_axis(there, view.places, axis=1)
    distances: Int64 = found[:, None] - at.reshape(count, queries, 1)
    return distances
