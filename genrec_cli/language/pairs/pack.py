"""Batches of readings and answers: padded, as an encoder sees all of its text at once.

Shapes: B examples, L tokens of the longest reading, N tokens of the longest answer.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from genrec_cli.language.examples import NO_TARGET

# As in `packing`: a CPU compiles its bfloat16 products anew for every number of rows.
MULTIPLE: Final = 8


@dataclass(frozen=True, eq=False)
class PairPack:
    """Examples that are read in one pass.

    Attributes:
        read: int64 [B, L]; zeros behind a reading.
        words: int64 [B, L]; whole words of these tokens.
        seen: bool [B, L]; which of them are there.
        written: int64 [B, N]; the answer, behind a place for what its decoder begins with.
        nodes: int64 [B * N]; as in `packing.Pack`.
        weights: float32 [B * N].
    """

    read: Tensor
    words: Tensor
    seen: Tensor
    written: Tensor
    nodes: Tensor
    weights: Tensor

    @property
    def tokens(self) -> Tensor:
        """What is written, one example after another, int64 [B * N]."""
        return self.written.flatten()


def pair_packs(batch: Mapping[str, Tensor], most: int) -> Iterator[PairPack]:
    """Cut a batch into packs of at most so many tokens, padding included, or one example.

    Args:
        batch: from `packing.weighed`, its examples sorted by the length of their readings.
        most: tokens.
    """
    reads: list[int] = batch["reads"].tolist()
    widths: list[int] = padded_length(batch["reads"]).tolist()
    read, words = (batch[name].split(reads) for name in ("read", "words"))
    lengths: list[int] = batch["lengths"].tolist()
    tokens, nodes, weights = (batch[name].split(lengths) for name in ("tokens", "nodes", "weights"))
    first = 0
    while first < len(reads):
        part = slice(first, first + max(1, most // (widths[first] + max(lengths))))
        readings = _padded(read[part], 0)
        there = torch.arange(readings.shape[1]) < batch["reads"][part, None]
        yield PairPack(
            read=readings,
            words=_padded(words[part], 0),
            seen=there,
            written=pad_sequence(list(tokens[part]), batch_first=True),
            nodes=pad_sequence(list(nodes[part]), True, NO_TARGET).flatten(),
            weights=pad_sequence(list(weights[part]), batch_first=True).flatten(),
        )
        first += len(readings)


def padded_length(reads: Tensor) -> Tensor:
    """Tokens that readings of such lengths are filled up to, at least."""
    return reads + -reads % MULTIPLE


def _padded(rows: tuple[Tensor, ...], value: int) -> Tensor:
    """Rows one below the other, as long as the longest and of a round number of columns."""
    padded = pad_sequence(list(rows), True, value)
    return pad(padded, (0, -padded.shape[1] % MULTIPLE), value=value)
