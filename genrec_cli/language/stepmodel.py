"""A Hugging Face causal language model as the search sees it: prompts once, then a token tree.

The tree's tokens are appended to the cache of their user's prompt, and a mask lets each see the
prompt, its ancestors and itself. Nothing is copied from beam to beam and nothing is reordered.

Shapes: B users, P prompt positions, S slots so far, N new slots, D width, M rows, T flat entries.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache

from genrec_cli.language.objective import base_model, head_weight


class TreeModel:
    """Runs prompts; implements `decoding.search.StepModel`.

    Args:
        model: a causal language model in evaluation mode, PEFT or not.
    """

    def __init__(self, model: Any) -> None:
        self._decoder = base_model(model).get_decoder()
        self._head = head_weight(model)

    def start(self, prompts: Sequence[Sequence[int]]) -> "TreeSession":
        """Run every prompt once."""
        return TreeSession(self._decoder, self._head, prompts)


class TreeSession:
    """Prompts that have been run, and the tree behind each."""

    def __init__(self, decoder: Any, head: Tensor, prompts: Sequence[Sequence[int]]) -> None:
        self._decoder = decoder
        self._head = head
        self._device = head.device
        self._lengths = np.array([len(prompt) for prompt in prompts])
        width = int(self._lengths.max())
        ids_BP = np.zeros((len(prompts), width), dtype=np.int64)
        for row, prompt in enumerate(prompts):
            ids_BP[row, : len(prompt)] = prompt
        # [B, P] and [B, S, S]: what a new token may see. Padding is on the right of a prompt, so
        # positions need no shift and causal attention never looks at it.
        self._prompt_BP: NDArray[np.bool_] = np.arange(width) < self._lengths[:, None]
        self._tree_BSS: NDArray[np.bool_] = np.zeros((len(prompts), 0, 0), dtype=bool)
        self._cache = DynamicCache()
        hidden = self._run(torch.from_numpy(ids_BP), self._prompt_mask(), np.arange(width)[None])
        self.root = hidden[torch.arange(len(prompts)), torch.from_numpy(self._lengths - 1)]

    def extend(self, tokens_BN: Tensor, parents_BN: Tensor) -> Tensor:
        """Append tokens behind their parents; see `decoding.search.Session`."""
        new = tokens_BN.shape[1]
        first = self._tree_BSS.shape[1]
        self._grow(parents_BN.cpu().numpy(), first)
        rows_BNS = self._tree_BSS[:, first:]
        prompt_BNP = np.repeat(self._prompt_BP[:, None], new, axis=1)
        mask = np.concatenate([prompt_BNP, rows_BNS], axis=2)[:, None]
        # A token's depth in the tree is the number of its ancestors.
        positions = self._lengths[:, None] + rows_BNS.sum(axis=2) - 1
        return self._run(tokens_BN.clamp(min=0), mask, positions)

    def logits(self, hidden_MD: Tensor, rows_T: Tensor, tokens_T: Tensor) -> Tensor:
        """Logits of chosen tokens at chosen rows, in float32."""
        return _gathered_logits(hidden_MD, self._head, rows_T, tokens_T)

    def _grow(self, parents_BN: NDArray[np.int64], first: int) -> None:
        """Add the ancestor rows of new slots; a parent may be an earlier column of the call."""
        users, new = parents_BN.shape
        grown = np.zeros((users, first + new, first + new), dtype=bool)
        grown[:, :first, :first] = self._tree_BSS
        everyone = np.arange(users)
        for column in range(new):
            parent = parents_BN[:, column]
            ancestors = grown[everyone, parent] & (parent >= 0)[:, None]
            grown[:, first + column] = ancestors
            grown[:, first + column, first + column] = True
        self._tree_BSS = grown

    def _prompt_mask(self) -> NDArray[np.bool_]:
        """Causal mask of the prompts, [B, 1, P, P]."""
        width = self._prompt_BP.shape[1]
        causal = np.tril(np.ones((width, width), dtype=bool))
        return np.broadcast_to(causal, (len(self._lengths), 1, width, width))

    def _run(self, ids: Tensor, mask: NDArray[np.bool_], positions: NDArray[Any]) -> Tensor:
        """Hidden states of new tokens, [B, N, D]; the cache grows by them."""
        dtype = self._head.dtype
        allowed = torch.from_numpy(mask.copy()).to(self._device)
        bias = torch.zeros(allowed.shape, dtype=dtype, device=self._device)
        bias.masked_fill_(~allowed, torch.finfo(dtype).min)
        output = self._decoder(
            input_ids=ids.to(self._device),
            attention_mask=bias,
            position_ids=torch.from_numpy(positions).to(self._device),
            past_key_values=self._cache,
            use_cache=True,
        )
        hidden: Tensor = output.last_hidden_state
        return hidden


def _gathered_logits(hidden_MD: Tensor, head: Tensor, rows_T: Tensor, tokens_T: Tensor) -> Tensor:
    """`hidden[rows] · head[tokens]`, entry by entry, without the whole product.

    Rows with many tokens (the root has thousands) share one matrix product over the tokens that
    any of them asks for, which is far less than the vocabulary.
    """
    tokens, columns_T = torch.unique(tokens_T, return_inverse=True)
    logits_MV = hidden_MD.float() @ head[tokens].float().T
    return logits_MV[rows_T, columns_T]
