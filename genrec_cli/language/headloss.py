"""The language-model head and its cross-entropy in one step, a chunk of decisions at a time.

Gradients are computed beside the loss, chunk by chunk, so that logits never fill memory and are
never computed twice (as Liger's fused linear cross-entropy does, Hsu et al. 2024, section 3.2).

Shapes: T positions, D width, V vocabulary, G decisions of a chunk, C tokens to choose among.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor

from genrec_cli.language.choices import Group

_NUMBERS_AT_ONCE: Final = 1 << 24  # logits or gathered head rows: 64 MB of float32


class HeadLoss(torch.autograd.Function):
    """Weighted sum of -log softmax over groups of decisions; in float32, whatever comes in."""

    @staticmethod
    def forward(ctx: Any, hidden_TD: Tensor, head_VD: Tensor, groups: list[Group]) -> Tensor:
        """The loss; gradients are kept for `backward`."""
        for_hidden, for_head = ctx.needs_input_grad[:2]
        total = torch.zeros((), device=hidden_TD.device)
        grad_hidden = torch.zeros_like(hidden_TD, dtype=torch.float32) if for_hidden else None
        grad_head = torch.zeros_like(head_VD, dtype=torch.float32) if for_head else None
        with torch.autocast(hidden_TD.device.type, enabled=False):
            for group in groups:
                for part in _chunks(group, head_VD):
                    total += _Chunk(part, hidden_TD, head_VD).add(grad_hidden, grad_head)
        ctx.grads = grad_hidden, grad_head
        ctx.dtypes = hidden_TD.dtype, head_VD.dtype
        return total

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        """Gradients of the hidden states and of the head."""
        grads = [
            None if grad is None else (grad * outer[0]).to(dtype)
            for grad, dtype in zip(ctx.grads, ctx.dtypes, strict=True)
        ]
        return grads[0], grads[1], None


class _Chunk:
    """Some decisions, and the head rows that they need."""

    def __init__(self, group: Group, hidden_TD: Tensor, head_VD: Tensor) -> None:
        device = hidden_TD.device
        self._places = group.places.to(device)
        self._picked = group.picked.to(device)
        self._weights = group.weights.to(device)
        self._tokens = None if group.tokens is None else group.tokens.to(device)
        self._hidden_GD = hidden_TD[self._places].float()
        rows = head_VD if self._tokens is None else head_VD[self._tokens.clamp(min=0)]
        self._rows = rows.float()
        self._barred: Tensor | None = None
        if group.allowed is not None:
            self._barred = ~group.allowed.mask(len(head_VD)).to(device)
        elif self._tokens is not None and self._each:
            self._barred = self._tokens < 0

    @property
    def _each(self) -> bool:
        """Whether each decision has tokens of its own."""
        return self._rows.ndim == 3

    def add(self, grad_hidden: Tensor | None, grad_head: Tensor | None) -> Tensor:
        """The loss; its gradients are added to those given."""
        each = self._each
        if each:
            logits = torch.bmm(self._rows, self._hidden_GD[:, :, None])[:, :, 0]
        else:
            logits = self._hidden_GD @ self._rows.T
        if self._barred is not None:
            logits = logits.masked_fill(self._barred, -torch.inf)
        log_p = logits.log_softmax(1)
        loss = -(log_p.gather(1, self._picked[:, None])[:, 0] * self._weights).sum()
        if grad_hidden is None and grad_head is None:
            return loss
        grad_GC = log_p.exp()
        one_each = torch.ones_like(self._picked, dtype=grad_GC.dtype)[:, None]
        grad_GC.scatter_add_(1, self._picked[:, None], -one_each)
        grad_GC *= self._weights[:, None]
        if grad_hidden is not None:
            part = torch.bmm(grad_GC[:, None], self._rows)[:, 0] if each else grad_GC @ self._rows
            grad_hidden.index_add_(0, self._places, part)
        if grad_head is not None:
            self._add_to_head(grad_GC, grad_head)
        return loss

    def _add_to_head(self, grad_GC: Tensor, grad_head: Tensor) -> None:
        if self._tokens is None:
            grad_head.addmm_(grad_GC.T, self._hidden_GD)
        elif self._each:
            real = self._tokens >= 0
            parts = (grad_GC[:, :, None] * self._hidden_GD[:, None])[real]
            grad_head.index_add_(0, self._tokens[real], parts)
        else:
            grad_head.index_add_(0, self._tokens, grad_GC.T @ self._hidden_GD)


def _chunks(group: Group, head_VD: Tensor) -> Iterator[Group]:
    """Parts of a group whose logits, or whose gathered head rows, are few enough."""
    vocabulary, width = head_VD.shape
    if group.tokens is None:
        each = vocabulary
    else:
        each = group.tokens.shape[-1] * (width if group.tokens.ndim == 2 else 1)
    step = max(1, _NUMBERS_AT_ONCE // each)
    for start in range(0, len(group.places), step):
        yield _part(group, slice(start, start + step))


def _part(group: Group, part: slice) -> Group:
    tokens, allowed = group.tokens, group.allowed
    return replace(
        group,
        places=group.places[part],
        tokens=tokens[part] if tokens is not None and tokens.ndim == 2 else tokens,
        picked=group.picked[part],
        weights=group.weights[part],
        allowed=None if allowed is None else replace(allowed, nodes=allowed.nodes[part]),
    )
