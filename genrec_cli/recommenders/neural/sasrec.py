"""SASRec: self-attention over the history, trained by the cross-entropy of all items."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from genrec_cli.recommenders.neural.sequences import SequenceModel, SequenceNetwork, Shape

_HEADS = 2
_BLOCKS = 2


class SASRec(SequenceModel):
    """Kang & McAuley 2018 (ICDM), with the loss that Klenitskiy & Vasilev 2023 (RecSys) gave it."""

    name = "sasrec"
    source = (
        "Kang & McAuley 2018 (ICDM); loss: cross-entropy over all items instead of one negative "
        "(Klenitskiy & Vasilev 2023, RecSys), sampled above 20,000 items; normalisation before "
        "each part, GELU and four times the width inside; all targets of long histories"
    )

    def _build(self, shape: Shape) -> SequenceNetwork:
        return _Transformer(shape)


class _Transformer(SequenceNetwork):
    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.places = nn.Embedding(shape.length, shape.width)
        nn.init.normal_(self.places.weight, std=0.02)
        self.dropout = nn.Dropout(shape.dropout)
        self.blocks = nn.ModuleList(_Block(shape) for _ in range(_BLOCKS))
        self.norm = nn.LayerNorm(shape.width)

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """What is expected after each event, [B, T, width]; places behind the ends are noise."""
        # The latest event always has the last place, as in the paper, which fills up on the left.
        ages = lengths[:, None] - 1 - torch.arange(inputs.shape[1], device=inputs.device)
        places = self.places(self.shape.length - 1 - ages.clamp(min=0))
        hidden = self.dropout(self.items(inputs) * self.shape.width**0.5 + places)
        for block in self.blocks:
            hidden = block(hidden)
        result: Tensor = self.norm(hidden)
        return result


class _Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.before_attention = nn.LayerNorm(shape.width)
        self.queries_keys_values = nn.Linear(shape.width, 3 * shape.width)
        self.merge = nn.Linear(shape.width, shape.width)
        self.before_thought = nn.LayerNorm(shape.width)
        self.widen = nn.Linear(shape.width, 4 * shape.width)
        self.narrow = nn.Linear(4 * shape.width, shape.width)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        """One round of attention and thought, [B, T, width] each way."""
        batch, length, width = hidden.shape
        joint = self.queries_keys_values(self.before_attention(hidden))
        heads = joint.view(batch, length, 3, _HEADS, width // _HEADS).permute(2, 0, 3, 1, 4)
        queries, keys, values = heads
        # Windows are filled up on the right, where a causal mask hides what fills them.
        seen = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        seen = seen.transpose(1, 2).reshape(batch, length, width)
        hidden = hidden + self.dropout(self.merge(seen))
        thought = self.narrow(functional.gelu(self.widen(self.before_thought(hidden))))
        result: Tensor = hidden + self.dropout(thought)
        return result
