"""NeuMF: a product of vectors and a network over them, trained to tell own items from others."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from genrec_cli.data.dataset import Dataset
from genrec_cli.recommenders.base import Items
from genrec_cli.recommenders.neural.pairs import NEGATIVES, Pairing, Pairs
from genrec_cli.recommenders.neural.trained import Trained, device

_WIDTH: Final = 64  # of the vectors of either half
_SPREAD: Final = 0.2  # of vectors before training; from .02 on the sample it never took off
_HIDDEN: Final = 1_000_000  # values of the first layer at once: 4 MB stay near the processor


class NeuMF(Trained):
    """He et al. 2017 (WWW), for users who are known by their histories alone.

    Scores are logits. With negatives drawn uniformly, the logit that a Bernoulli loss aims at is
    log p(item | user) up to a constant for each user (Levy & Goldberg 2014, NeurIPS).
    """

    name = "neumf"
    source = (
        "He et al. 2017 (WWW), both halves trained at once, 4 negatives an item; a user is the "
        "mean of the vectors of the items in her history (FISM: Kabbur et al. 2013, KDD) instead "
        "of a vector of her own, in training without the target"
    )
    _network: "_Fused"

    def _made(self, dataset: Dataset) -> "_Fused":
        return _Fused(len(dataset.titles))

    def _sizes(self) -> Mapping[str, Any]:
        items = self._network.asked.num_embeddings
        return {"items": items, "width": _WIDTH, "negatives": NEGATIVES}

    def _material(self, history: Items) -> Items:
        return np.unique(history)

    def _losses(self, histories: Sequence[Items], rng: np.random.Generator) -> Iterator[Tensor]:
        network = self._network
        for batch in Pairing(histories, network.asked.num_embeddings).epoch(rng):
            pairs = Pairs(*(part.to(device()) for part in batch))
            logits = network(network.askers(pairs), network.asked(pairs.asked))[pairs.counted]
            own = torch.zeros_like(pairs.counted)
            own[:, 0] = True
            goals = own[pairs.counted].float()
            yield functional.binary_cross_entropy_with_logits(logits, goals)

    @torch.no_grad()
    def _logits(self, histories: Sequence[Items]) -> Tensor:
        network = self._network
        users = network.people([np.unique(history) for history in histories])
        at_once = max(1, _HIDDEN // (_WIDTH * len(users)))
        return torch.cat([network(users, part) for part in network.asked.weight.split(at_once)], 1)


class _Fused(nn.Module):
    """Vectors of either half lie side by side."""

    def __init__(self, items: int) -> None:
        super().__init__()
        self.read = nn.Embedding(items, 2 * _WIDTH)
        self.asked = nn.Embedding(items, 2 * _WIDTH)
        for vectors in (self.read, self.asked):
            nn.init.normal_(vectors.weight, std=_SPREAD)
        self.product = nn.Parameter(torch.ones(_WIDTH))
        # A layer over both vectors, in two parts: so that it is once a user and once an item.
        self.of_user = nn.Linear(_WIDTH, _WIDTH)
        self.of_item = nn.Linear(_WIDTH, _WIDTH, bias=False)
        self.tower = nn.Sequential(
            nn.ReLU(), nn.Linear(_WIDTH, _WIDTH // 2), nn.ReLU(), nn.Linear(_WIDTH // 2, 1)
        )

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Logits, [B, n]; users are [B, 2 * width], items [B, n, 2 * width] or [n, 2 * width]."""
        factors, readers = users.chunk(2, dim=-1)
        qualities, things = items.chunk(2, dim=-1)
        general = (qualities @ (factors * self.product)[:, :, None])[:, :, 0]
        joint = self.of_user(readers)[:, None] + self.of_item(things)
        result: Tensor = general + self.tower(joint)[:, :, 0]
        return result

    def people(self, histories: Sequence[Items]) -> Tensor:
        """Means of histories, [B, 2 * width]; of an empty one it is zero."""
        sizes = np.array([len(history) for history in histories])
        read, starts = np.concatenate(histories).astype(np.int64), np.cumsum(sizes) - sizes
        events, begins = (torch.from_numpy(part).to(device()) for part in (read, starts))
        means: Tensor = functional.embedding_bag(events, self.read.weight, begins, mode="mean")
        return means

    def askers(self, pairs: Pairs) -> Tensor:
        """For each target the mean of the rest of its history, [N, 2 * width]."""
        sums = functional.embedding_bag(pairs.read, self.read.weight, pairs.starts, mode="sum")
        rest = sums[pairs.owners] - self.read(pairs.asked[:, 0])
        means: Tensor = rest / (pairs.sizes[pairs.owners, None] - 1)
        return means
