"""What the tokens of a pass see, made of the slot table's numbers.

Shapes: T tokens, B users of the pass, N queries of a user, S places of a user, H heads.
"""

from dataclasses import dataclass

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
        seen = int((table.prompt + table.grown)[users].max())
        shape = (len(users), queries, seen)
        return TreePass(
            cache=cache,
            users=self.tensor(users),
            written=self.tensor(table.user[slots] * cache.places + table.places[slots]),
            cells=Cells(self.tensor(cell), queries),
            bias=self._bias(_visible(table, slots, users, cell, shape)),
            distances=self.tensor(_distances(table, slots, users, cell, shape))
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


def _visible(
    table: SlotTable, slots: Int64, users: Int64, cell: Int64, shape: tuple[int, int, int]
) -> NDArray[np.bool_]:
    """Which places the padded queries see: prompt, ancestors, themselves; bool [B, N, S]."""
    count, queries, seen = shape
    prompt = np.arange(seen) < table.prompt[users][:, None]
    visible = np.repeat(prompt, queries, axis=0)
    ancestors = table.ancestors[slots]
    rows, columns = np.nonzero(ancestors > 0)
    start = table.prompt[table.user[slots]] - 1
    visible[cell[rows], start[rows] + ancestors[rows, columns]] = True
    return visible.reshape(count, queries, seen)


def _distances(
    table: SlotTable, slots: Int64, users: Int64, cell: Int64, shape: tuple[int, int, int]
) -> Int64:
    """Position of what is at each place, less that of the query; int64 [B, N, S]."""
    count, queries, seen = shape
    at = np.zeros(count * queries, dtype=np.int64)
    at[cell] = table.positions[slots]
    distances: Int64 = table.positions_by_place(seen)[users][:, None] - at.reshape(
        count, queries, 1
    )
    return distances
