"""Cross-entropy of the next item over all items, or over a sample of them where they are many."""

import math
from typing import Any, Final

import torch
from torch import Tensor

_ALL: Final = 20_000  # items up to which all are scored
_SAMPLED: Final = 4096
_ROWS_AT_ONCE: Final = 1024  # logits of so many rows stay near the processor


def next_item_loss(hidden: Tensor, catalog: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy in nats.

    Above 20,000 items it is a softmax over the target and 4,096 items that are drawn uniformly for
    the whole batch, each weighted for those that were not drawn (Jean et al. 2015, ACL, section 3).

    Args:
        hidden: float32, [N, width]; what is expected.
        catalog: float32, [items, width]; the items' vectors.
        targets: int64, [N]; what came.
    """
    if len(catalog) <= _ALL:
        loss: Tensor = _AllItems.apply(hidden, catalog, targets)  # type: ignore[no-untyped-call]
        return loss
    drawn = torch.randint(len(catalog), (_SAMPLED,), device=hidden.device)
    others = hidden @ catalog[drawn].T + math.log((len(catalog) - 1) / _SAMPLED)
    others = others.masked_fill(drawn == targets[:, None], -torch.inf)
    own = (hidden * catalog[targets]).sum(dim=1, keepdim=True)
    return (torch.logsumexp(torch.cat([own, others], dim=1), dim=1) - own[:, 0]).mean()


class _AllItems(torch.autograd.Function):
    """Product and cross-entropy in one step, a few rows at a time, with gradients beside the loss.

    torch's own two steps write and read all logits six times; on a CPU that took 3.7 times as long.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, catalog: Tensor, targets: Tensor) -> Tensor:
        """The mean loss; gradients are kept for `backward`."""
        columns = catalog.T.contiguous()
        to_hidden, to_catalog = torch.empty_like(hidden), torch.zeros_like(catalog)
        total = hidden.new_zeros(())
        for start in range(0, len(hidden), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            places = torch.arange(len(targets[part]), device=hidden.device), targets[part]
            logits = hidden[part] @ columns
            logits -= logits.amax(dim=1, keepdim=True)
            total -= logits[places].sum()
            logits.exp_()
            sums = logits.sum(dim=1, keepdim=True)
            total += sums.log().sum()
            logits /= sums  # shares; less one at the target they are the gradient
            logits[places] -= 1
            to_hidden[part] = logits @ catalog
            to_catalog.addmm_(logits.T, hidden[part])
        ctx.save_for_backward(to_hidden / len(hidden), to_catalog / len(hidden))
        return total / len(hidden)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, Tensor, None]:
        """Gradients of what is expected and of the items' vectors."""
        to_hidden, to_catalog = ctx.saved_tensors
        return outer[0] * to_hidden, outer[0] * to_catalog, None
