"""Batches without padding: examples joined end to end, each of which attends to itself alone.

Everything in a decoder but attention treats tokens one by one, so it may see many examples as one
long row. Attention is computed example by example, on views of that row: no mask, no padding, and
no way for one example to see another (trl's and others' packing needs FlashAttention for that).

Shapes: T tokens, E examples.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention
from torch.nn.utils.rnn import pad_sequence
from transformers import AttentionInterface

from genrec_cli.core.errors import ModelError
from genrec_cli.language.examples import NO_TARGET, Example
from genrec_cli.language.pairs.pack import PairPack, padded_length, pair_packs
from genrec_cli.language.reading import Reading

ATTENTION: Final = "genrec_packed"
# Tokens of a pack are a multiple of this: a CPU compiles its bfloat16 products anew for every
# number of rows (twice the time, and memory that grows), and GPUs like round ones, too.
_MULTIPLE: Final = 64


@dataclass(frozen=True, eq=False)
class Pack:
    """Examples that are read in one pass.

    Attributes:
        tokens: int64 [T].
        nodes: int64 [T]; the trie node at which the token is chosen, -1 where it is no target.
        weights: float32 [T]; what each target token's -log p counts.
        lengths: tokens of each example, E of them.
    """

    tokens: Tensor
    nodes: Tensor
    weights: Tensor
    lengths: tuple[int, ...]

    def positions(self) -> Tensor:
        """Place of each token in its own example, int64 [T]."""
        return torch.cat([torch.arange(length) for length in self.lengths])

    def attend(self, query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
        """Causal attention inside each example, [1, T, heads, width]; its inputs have heads first.

        Args:
            query: [1, heads, T, width].
            key: [1, key heads, T, width].
            value: as `key`.
            **options: of `scaled_dot_product_attention`.
        """
        lengths, grouped = list(self.lengths), query.shape[1] != key.shape[1]
        dtype, on_cpu = query.dtype, query.device.type == "cpu"
        heads = [x.float() if on_cpu else x for x in (query, key, value)]
        # A CPU compiles bfloat16 attention for every length, and keeps it: float32 is faster.
        with torch.autocast("cpu", enabled=False) if on_cpu else nullcontext():
            parts = [
                scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=grouped, **options)
                for q, k, v in zip(*(x.split(lengths, 2) for x in heads), strict=True)
            ]
        return torch.cat(parts, 2).transpose(1, 2).to(dtype)

    def padded(self) -> "Pack":
        """The same examples, each made as long as the longest by tokens that nobody looks at."""
        lengths, longest = list(self.lengths), max(self.lengths)
        tokens, nodes, weights = (
            pad_sequence(field.split(lengths), batch_first=True, padding_value=value).flatten()
            for field, value in self._fields()
        )
        return Pack(tokens, nodes, weights, (longest,) * len(lengths))

    def filled(self, multiple: int) -> "Pack":
        """With an example of nothing at the end, so that its tokens are a round number."""
        missing = -len(self.tokens) % multiple
        if not missing:
            return self
        tokens, nodes, weights = (
            pad(field, (0, missing), value=value) for field, value in self._fields()
        )
        return Pack(tokens, nodes, weights, (*self.lengths, missing))

    def _fields(self) -> tuple[tuple[Tensor, int], ...]:
        """Each field, and its value at tokens that nobody looks at."""
        return (self.tokens, 0), (self.nodes, NO_TARGET), (self.weights, 0)


def join(batch: Sequence[Sequence[Example]]) -> dict[str, Tensor]:
    """Examples of one optimiser step as flat tensors: what the Trainer hands around.

    They are sorted by length, so that micro-batches hold examples of a like length.

    Returns:
        `tokens` and `nodes`, int64 [T]; `masked`, bool [T], whether a target is a hidden title;
        `lengths`, int64 [E]. Where encoders read: `read` and `words`, flat, and `reads`, [E].
    """
    examples = sorted((e for drawn in batch for e in drawn), key=lambda e: e.size, reverse=True)
    lengths = torch.tensor([len(example.tokens) for example in examples])
    masked = torch.tensor([example.masked for example in examples])
    return {
        "tokens": torch.cat([torch.from_numpy(e.tokens).long() for e in examples]),
        "nodes": torch.cat([torch.from_numpy(e.nodes).long() for e in examples]),
        "masked": masked.repeat_interleave(lengths),
        "lengths": lengths,
        **_readings([e.reading for e in examples if e.reading is not None]),
    }


def _readings(readings: Sequence[Reading]) -> dict[str, Tensor]:
    """What encoders read; nothing where there are none."""
    if not readings:
        return {}
    return {
        "read": torch.cat([torch.from_numpy(reading.tokens).long() for reading in readings]),
        "words": torch.cat([torch.from_numpy(reading.words).long() for reading in readings]),
        "reads": torch.tensor([len(reading) for reading in readings]),
    }


class Counts(NamedTuple):
    """Titles that are predicted: next ones, and hidden ones."""

    next: int
    hidden: int

    @classmethod
    def of(cls, batch: Mapping[str, Tensor]) -> "Counts":
        """Of a batch from `join`: each title begins at the root, which is node 0."""
        begins, masked = batch["nodes"] == 0, batch["masked"]
        return cls(int((begins & ~masked).sum()), int((begins & masked).sum()))


def weighed(batch: Mapping[str, Tensor], counts: Counts, mask_weight: float) -> dict[str, Tensor]:
    """A batch with `weights`, float32 [T], that make its loss nats an item.

    Args:
        batch: from `join`.
        counts: of the whole optimiser step, on all devices.
        mask_weight: what hidden titles count beside next ones.
    """
    next_title, hidden = 1 / max(1, counts.next), mask_weight / max(1, counts.hidden)
    return {**batch, "weights": torch.where(batch["masked"], hidden, next_title).float()}


def longest_example(batch: Mapping[str, Tensor]) -> int:
    """Tokens of the longest example, in a batch from `join`: the least that is read at a time."""
    lengths = batch["lengths"]
    return int((lengths + padded_length(batch["reads"]) if "reads" in batch else lengths).max())


def micro_batches(
    batch: Mapping[str, Tensor], most: int, *, packing: bool
) -> Iterator[Pack | PairPack]:
    """Cut a batch into packs of at most so many tokens, and at least one example.

    Args:
        batch: from `weighed`.
        most: tokens in a pack, padding included, but for what rounds them up or one long example.
        packing: join without padding; what encoders read is padded in any case.
    """
    return pair_packs(batch, most) if "read" in batch else title_packs(batch, most, packing)


def title_packs(batch: Mapping[str, Tensor], most: int, packing: bool) -> Iterator[Pack]:
    """`micro_batches` of a batch without encoders."""
    lengths: list[int] = batch["lengths"].tolist()
    first = begin = 0
    while first < len(lengths):
        count = _fitting(lengths[first:], most, packing)
        part = lengths[first : first + count]
        end = begin + sum(part)
        tokens, nodes, weights = (batch[name][begin:end] for name in ("tokens", "nodes", "weights"))
        pack = Pack(tokens, nodes, weights, tuple(part))
        yield (pack if packing else pack.padded()).filled(_MULTIPLE)
        first, begin = first + count, end


def _fitting(lengths: Sequence[int], most: int, packing: bool) -> int:
    """How many examples a pack takes; the first is the longest."""
    if not packing:
        return max(1, most // lengths[0])
    total = 0
    for count, length in enumerate(lengths):
        total += length
        if total > most:
            return max(1, count)
    return len(lengths)


def _attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Any, *, pack: Pack, **options: Any
) -> tuple[Tensor, None]:
    """Attention as transformers asks for it.

    Raises:
        ModelError: the model wants attention of another kind than LLaMA's.
    """
    window = options.get("sliding_window")
    if options.get("softcap") is not None or (window and window < max(pack.lengths)):
        raise ModelError(
            "this base model limits its attention (a sliding window, or capped logits), which "
            "packed training cannot do",
            "use a LLaMA, or a max_length below the window",
        )
    scale, dropout = options.get("scaling"), options.get("dropout", 0.0)
    return pack.attend(query, key, value, scale=scale, dropout_p=dropout), None


AttentionInterface.register(ATTENTION, _attend)
