"""The language-model head, asked for as few logits as will do.

Shapes: M rows of hidden states, D width, V vocabulary, T entries.
"""

from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from genrec_cli.decoding.ragged import Float64, Int64
from genrec_cli.language.networks import base_model, head_scale, head_weight

_LOGITS_AT_ONCE: Final = 1 << 24  # 64 MB of float32


@dataclass(frozen=True, eq=False)
class Head:
    """Turns hidden states into logits.

    Attributes:
        weight: [V, D].
        bias: [V], added to the logits (BART has one); None: nothing.
        scale: of the hidden states (T5 with tied embeddings has one).
    """

    weight: Tensor
    bias: Tensor | None = None
    scale: float = 1.0

    @classmethod
    def of(cls, model: Any) -> "Head":
        """A model's head."""
        base = base_model(model)
        bias = getattr(base, "final_logits_bias", None)
        return cls(
            weight=head_weight(model),
            bias=None if bias is None else bias[0],
            scale=head_scale(model),
        )

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """In what."""
        return self.weight.dtype

    def logits(self, hidden_MD: Tensor, rows: Int64, tokens: Int64) -> Float64:
        """`hidden[rows] · weight[tokens]`, entry by entry, without the whole product.

        Rows with many tokens (the root has thousands) share one matrix product over the tokens
        that any of them asks for, which is far less than the vocabulary.
        """
        tokens_T = torch.from_numpy(tokens).to(self.device)
        rows_T = torch.from_numpy(rows).to(self.device)
        asked, columns_T = torch.unique(tokens_T, return_inverse=True)
        logits_MV = self.scale * (hidden_MD.float() @ self.weight[asked].float().T)
        if self.bias is not None:
            logits_MV += self.bias[asked]
        logits_T: Float64 = logits_MV[rows_T, columns_T].cpu().double().numpy()
        return logits_T

    def log_totals(self, hidden_MD: Tensor) -> Float64:
        """Log of the summed exponentials of all logits, [M]."""
        rows = max(1, _LOGITS_AT_ONCE // len(self.weight))
        parts = [self._all(part).logsumexp(1) for part in hidden_MD.split(rows)]
        totals: Float64 = torch.cat(parts).cpu().double().numpy()
        return totals

    def _all(self, hidden_MD: Tensor) -> Tensor:
        """All logits, float32 [M, V]."""
        logits = self.scale * (hidden_MD @ self.weight.T).float()
        return logits if self.bias is None else logits + self.bias
