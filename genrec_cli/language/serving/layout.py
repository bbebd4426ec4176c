"""How the tokens of one pass lie in the batch, and what each of them sees.

A pass runs all its tokens as one packed row through the linear layers, without padding. Only
attention looks at users one by one: at prompts in a loop, at trees in a padded batch, whose few
queries cost little.

Shapes: T tokens, B users of the pass, N queries of a user, S keys of a user, H heads, K heads of
keys and values, G = H / K, D width of a head.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

Bias: TypeAlias = Callable[[Tensor], Tensor]


class KeyValues:
    """Keys and values of every layer; room for `places` tokens of each user.

    Args:
        users: of the batch.
        places: of each.
    """

    def __init__(self, users: int, places: int) -> None:
        self.users = users
        self.places = places
        self._layers: dict[int, tuple[Tensor, Tensor]] = {}

    def grow(self, places: int) -> None:
        """Make room for more tokens of each user."""
        more = (0, 0, 0, 0, 0, places - self.places)
        for layer, (keys, values) in self._layers.items():
            self._layers[layer] = (_pad(keys, more), _pad(values, more))
        self.places = places

    def layer(self, number: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of a layer, [users, places, K, D]; made when first asked for.

        Args:
            number: of the layer.
            like: keys of some tokens, [T, K, D].
        """
        if number not in self._layers:
            shape = (self.users, self.places, *like.shape[1:])
            # Zeros, not garbage: a masked NaN would still spoil the sum.
            self._layers[number] = (like.new_zeros(shape), like.new_zeros(shape))
        return self._layers[number]


class Cells(NamedTuple):
    """Where packed tokens lie among padded queries.

    Attributes:
        of: int64 [T], place of each token in [B * N].
        queries: N.
    """

    of: Tensor
    queries: int


@dataclass(frozen=True, eq=False)
class PromptPass:
    """The first pass: every prompt once, and what all of them begin with once for all.

    Attributes:
        cache: where keys and values go.
        shared: number of tokens that all prompts begin with; they come first in the pass.
        lengths: of the rest of each prompt; these follow, one after another.
        masks: for each length of rest, what its tokens see of the shared ones and of the rest.
    """

    cache: KeyValues
    shared: int
    lengths: list[int]
    masks: dict[int, Tensor]

    @property
    def users(self) -> Tensor:
        """Whose tokens these are, [B]."""
        return torch.arange(len(self.lengths))

    @property
    def cells(self) -> Cells:
        """Of the tokens; those that are shared are nobody's."""
        queries = max(self.lengths)
        starts = [user * queries + torch.arange(n) for user, n in enumerate(self.lengths)]
        return Cells(torch.cat(starts), queries)

    def add_bias(self, bias: Bias) -> None:
        """Nothing: prompts whose attention depends on distances are single start tokens."""

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Causal attention of each prompt, [T, H, D]; the arguments are [T, heads, D]."""
        keys, values = self.cache.layer(layer, key)
        p = self.shared
        keys[:, :p], values[:, :p] = key[:p], value[:p]
        parts = [_causal(query[:p], key[:p], value[:p], None, scale)] if p else []
        at = p
        for user, length in enumerate(self.lengths):
            rest = slice(at, at + length)
            keys[user, p : p + length], values[user, p : p + length] = key[rest], value[rest]
            seen = (keys[user, : p + length], values[user, : p + length])
            parts.append(_causal(query[rest], *seen, self.masks.get(length), scale))
            at += length
        return torch.cat(parts)


@dataclass(eq=False)
class TreePass:
    """A later pass: some tokens behind some prompts.

    Attributes:
        cache: where keys and values are.
        users: int64 [B], whose tokens these are.
        written: int64 [T], place of each token in the cache, users one after another.
        seen: int64 [B, S], places in the cache that some token of a user sees.
        cells: of the tokens.
        bias: [B, 1 or H, G * N, S], added to the attention scores: very low where unseen.
        distances: int64 [B, N, S], positions from each query to what it sees, where they matter.
    """

    cache: KeyValues
    users: Tensor
    written: Tensor
    seen: Tensor
    cells: Cells
    bias: Tensor
    distances: Tensor | None

    def add_bias(self, bias: Bias) -> None:
        """Add what depends on distances to the bias of this pass."""
        assert self.distances is not None
        self.bias = self.bias + bias(self.distances)

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Attention of tokens to prompt, ancestors and themselves, [T, H, D]."""
        keys, values = self.cache.layer(layer, key)
        keys.flatten(0, 1)[self.written] = key
        values.flatten(0, 1)[self.written] = value
        keys_BKSD = keys.flatten(0, 1)[self.seen].transpose(1, 2)
        values_BKSD = values.flatten(0, 1)[self.seen].transpose(1, 2)
        return padded_attention(query, keys_BKSD, values_BKSD, self.cells, self.bias, scale)


def padded_attention(
    query: Tensor,
    keys_BKSD: Tensor,
    values_BKSD: Tensor,
    cells: Cells,
    bias: Tensor | None,
    scale: float,
) -> Tensor:
    """Attention of packed tokens to keys that lie user by user.

    Heads that share keys become further queries of them, so that keys need not be repeated.

    Args:
        query: [T, H, D].
        keys_BKSD: of each user.
        values_BKSD: of each user.
        cells: of the tokens.
        bias: added to the scores, [B, 1 or H, 1 or G * N, S].
        scale: of the scores.

    Returns:
        [T, H, D].
    """
    users, heads = keys_BKSD.shape[:2]
    count, all_heads, width = query.shape
    groups, queries = all_heads // heads, cells.queries
    padded = query.new_zeros((users * queries, heads, groups, width))
    padded[cells.of] = query.view(count, heads, groups, width)
    padded = padded.view(users, queries, heads, groups, width).permute(0, 2, 3, 1, 4)
    output = scaled_dot_product_attention(
        padded.reshape(users, heads, groups * queries, width),
        keys_BKSD,
        values_BKSD,
        attn_mask=bias,
        scale=scale,
    )
    output = output.view(users, heads, groups, queries, width).permute(0, 3, 1, 2, 4)
    return output.reshape(users * queries, all_heads, width)[cells.of]


def _causal(
    query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scale: float
) -> Tensor:
    """Attention of one prompt, [T, H, D]; without a mask, a token sees what is not after it."""
    output = scaled_dot_product_attention(
        query.transpose(0, 1)[None],
        keys.transpose(0, 1)[None],
        values.transpose(0, 1)[None],
        attn_mask=mask,
        is_causal=mask is None,
        scale=scale,
        enable_gqa=query.shape[1] != keys.shape[1],
    )
    return output[0].transpose(0, 1)


def _pad(tensor: Tensor, more: tuple[int, ...]) -> Tensor:
    return torch.nn.functional.pad(tensor, more)
