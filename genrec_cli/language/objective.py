"""The trie-masked loss: a softmax over the tokens that the catalog allows, and over no others.

At each token of a target title the distribution runs over the children of the trie node reached
so far (MSL, Wang et al. 2025; the same distribution that the search uses), so the probabilities
of all titles sum to one. Forced tokens have probability one and need no logits, and only
language-model head rows of tokens that occur in titles are ever computed.

Shapes: B windows, L positions, M decisions (target tokens chosen among several), D width,
V tokens that occur in titles.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genrec_cli.decoding.trie import TokenTrie


class TrieLoss(nn.Module):
    """Negative log-probability of titles, summed, in nats.

    Args:
        trie: the catalog; its nodes number the positions of targets.
    """

    first_child: Tensor
    child_column: Tensor
    vocabulary: Tensor

    def __init__(self, trie: TokenTrie) -> None:
        super().__init__()
        vocabulary, columns = np.unique(trie.token[1:], return_inverse=True)
        # The root has no token; the column in its place is never read.
        child_column = np.concatenate([[0], columns])
        for name, array in (
            ("first_child", trie.first_child),
            ("child_column", child_column),
            ("vocabulary", vocabulary),
        ):
            self.register_buffer(name, torch.from_numpy(array.astype(np.int64)), persistent=False)

    def forward(self, hidden: Tensor, input_ids: Tensor, nodes: Tensor, head: Tensor) -> Tensor:
        """Sum of -log p over the target titles of a batch.

        Args:
            hidden: last hidden states, [B, L, D].
            input_ids: int64, [B, L].
            nodes: int64, [B, L]; the node at which the token of this position is chosen, -1 where
                it is no target.
            head: weight of the language-model head, [vocabulary of the tokenizer, D].
        """
        nodes = nodes[:, 1:]
        children = self._children(nodes.clamp(min=0))
        decided = (nodes >= 0) & (children > 1)
        hidden_MD = hidden[:, :-1][decided].float()
        nodes_M, tokens_M = nodes[decided], input_ids[:, 1:][decided]
        logits_MV = hidden_MD @ head[self.vocabulary].float().T
        logits_MV = logits_MV.masked_fill(~self._allowed(nodes_M), -torch.inf)
        columns_M = torch.searchsorted(self.vocabulary, tokens_M)
        return nn.functional.cross_entropy(logits_MV, columns_M, reduction="sum")

    def _children(self, nodes: Tensor) -> Tensor:
        return self.first_child[nodes + 1] - self.first_child[nodes]

    def _allowed(self, nodes_M: Tensor) -> Tensor:
        """Which tokens may be chosen at each node, bool [M, V]."""
        counts_M = self._children(nodes_M)
        rows_T = torch.repeat_interleave(
            torch.arange(len(nodes_M), device=nodes_M.device), counts_M
        )
        ends_M = torch.cumsum(counts_M, 0)
        within_T = torch.arange(len(rows_T), device=nodes_M.device) - (ends_M - counts_M)[rows_T]
        children_T = self.first_child[nodes_M][rows_T] + within_T
        allowed_MV = torch.zeros(
            (len(nodes_M), len(self.vocabulary)), dtype=torch.bool, device=nodes_M.device
        )
        allowed_MV[rows_T, self.child_column[children_T]] = True
        return allowed_MV


def last_hidden(model: Any, input_ids: Tensor) -> Tensor:
    """Hidden states before the language-model head, [B, L, D].

    The head itself is left out: `TrieLoss` computes the few rows that it needs. Padding stands on
    the right, where causal attention never sees it, so there is no mask.
    """
    states: Tensor = base_model(model).get_decoder()(input_ids=input_ids).last_hidden_state
    return states


def head_weight(model: Any) -> Tensor:
    """Weight of the language-model head, [vocabulary, D]."""
    weight: Tensor = base_model(model).get_output_embeddings().weight
    return weight


def base_model(model: Any) -> Any:
    """The transformers model inside a PEFT model, adapters in place; else the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model
