"""Networks that read a history and expect the next item: how they are trained and asked."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from genrec_cli.data.dataset import Dataset
from genrec_cli.recommenders.base import Items
from genrec_cli.recommenders.neural.loss import next_item_loss
from genrec_cli.recommenders.neural.trained import Trained, device
from genrec_cli.recommenders.neural.windows import NO_TARGET, batches, cut, padded

_WIDTH: Final = 64
_LENGTH: Final = 200
_LONG: Final = 50  # events a user on average, from which on dropout is mild
_MILD, _STRONG = 0.2, 0.5
_LOGITS: Final = 40_000_000  # of one batch: 160 MB, some four times
_TOKENS: Final = (1024, 4096)


@dataclass(frozen=True)
class Shape:
    """Sizes of a network.

    Attributes:
        items: of the catalog.
        length: events of a history that are read, the latest ones.
        width: of all vectors.
        dropout: share of hidden values that are dropped in training. Kang & McAuley took .2 for
            long histories (MovieLens) and .5 for short ones (Amazon).
    """

    items: int
    length: int
    width: int
    dropout: float


class SequenceNetwork(nn.Module):
    """Item vectors that are read and, the same ones, expected."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.items = nn.Embedding(shape.items + 1, shape.width, padding_idx=shape.items)
        nn.init.normal_(self.items.weight, std=0.02)

    @property
    def catalog(self) -> Tensor:
        """The items' vectors, [items, width]."""
        return self.items.weight[: self.shape.items]


class SequenceModel(Trained):
    """A network that is trained on every next item of every history."""

    _network: SequenceNetwork

    @abstractmethod
    def _build(self, shape: Shape) -> SequenceNetwork: ...

    def _made(self, dataset: Dataset) -> SequenceNetwork:
        return self._build(_shape(dataset))

    def _sizes(self) -> Mapping[str, Any]:
        return asdict(self._network.shape)

    def _losses(self, histories: Sequence[Items], rng: np.random.Generator) -> Iterator[Tensor]:
        network, shape = self._network, self._network.shape
        least, most = _TOKENS
        tokens = min(most, max(least, _LOGITS // shape.items))
        for batch in batches(cut(histories, shape.length, rng), shape.items, tokens, rng):
            inputs, lengths, targets = (part.to(device()) for part in batch)
            there = targets != NO_TARGET
            hidden = network(inputs, lengths)[there]
            yield next_item_loss(hidden, network.catalog, targets[there])

    @torch.no_grad()
    def _logits(self, histories: Sequence[Items]) -> Tensor:
        network = self._network
        latest = [history[-network.shape.length :] for history in histories]
        table, ends = map(torch.from_numpy, padded(latest, network.shape.items))
        inputs, lengths = (part.to(device()) for part in (table, ends))
        hidden = network(inputs, lengths)
        logits: Tensor = hidden[torch.arange(len(latest)), lengths - 1] @ network.catalog.T
        return logits


def _shape(dataset: Dataset) -> Shape:
    events = float(dataset.train_counts.sum()) / max(1, len(dataset.user_ids))
    dropout = _MILD if events >= _LONG else _STRONG
    return Shape(len(dataset.titles), _LENGTH, _WIDTH, dropout)
