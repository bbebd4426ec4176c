"""Attention over trees of tokens, as one of transformers' attention functions.

Models that use transformers' attention interface (LLaMA, Mistral, Qwen, T5, BART and others) call
whatever function their config names; this one hands the work to the `tree` that the pass was given.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from torch import Tensor
from transformers import AttentionInterface

_NAME: Final = "genrec_tree"


@contextmanager
def tree_attention(config: Any) -> Iterator[None]:
    """Let a model attend as the `tree` argument of its call says.

    Transformers makes no mask for an attention function that it has no mask function for.
    """
    before = config._attn_implementation
    config._attn_implementation = _NAME
    try:
        yield
    finally:
        config._attn_implementation = before


def _attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Any, *, tree: Any, **options: Any
) -> tuple[Tensor, None]:
    """Attention of packed tokens; the query is [1, heads, T, width]."""
    query, scale = query[0].transpose(0, 1), options["scaling"]
    if not module.is_causal:
        return options["encoded"].attend(query, key, value, scale, tree)[None], None
    if getattr(module, "has_relative_attention_bias", False):
        tree.add_bias(lambda distances: _t5_bias(module, distances))
    key, value = key[0].transpose(0, 1), value[0].transpose(0, 1)
    return tree.attend(module.layer_idx, query, key, value, scale)[None], None


def _t5_bias(module: Any, distances: Tensor) -> Tensor:
    """T5's relative position bias (Raffel et al. 2020, section 2.1), [B, heads, N, S]."""
    buckets = module._relative_position_bucket(
        distances,
        bidirectional=False,
        num_buckets=module.relative_attention_num_buckets,
        max_distance=module.relative_attention_max_distance,
    )
    bias: Tensor = module.relative_attention_bias(buckets).permute(0, 3, 1, 2)
    return bias


AttentionInterface.register(_NAME, _attend)
