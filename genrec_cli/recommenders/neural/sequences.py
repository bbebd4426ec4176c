"""Networks that read a history and expect the next item: how they are trained and asked."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from genrec_cli.core.errors import DataError
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import Cases, held_out, sample_rows
from genrec_cli.language.seeding import seeded
from genrec_cli.recommenders.base import Items, Scores
from genrec_cli.recommenders.baseline import Baseline, State
from genrec_cli.recommenders.matrices import training_parts
from genrec_cli.recommenders.neural.course import Course, Lesson
from genrec_cli.recommenders.neural.loss import next_item_loss
from genrec_cli.recommenders.neural.windows import NO_TARGET, batches, cut, padded

_WIDTH: Final = 64
_LENGTH: Final = 200
_LONG: Final = 50  # events a user on average, from which on dropout is mild
_MILD, _STRONG = 0.2, 0.5
_LOGITS: Final = 40_000_000  # of one batch: 160 MB, some four times
_TOKENS: Final = (1024, 4096)
_USERS_AT_ONCE: Final = 256
_VALIDATION: Final = 2048  # users


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


class SequenceModel(Baseline):
    """A network that is trained on every next item of every history."""

    scale = "log"
    random = True

    def scores(self, histories: Sequence[Items]) -> Scores:
        """Log-probabilities of the next item, up to a constant for each history."""
        parts = [
            self._logits(histories[start : start + _USERS_AT_ONCE]).float().cpu().numpy()
            for start in range(0, len(histories), _USERS_AT_ONCE)
        ]
        return np.concatenate(parts)

    def state(self) -> State:
        """The weights."""
        weights = self._network.state_dict()
        return {name: value.cpu().numpy() for name, value in weights.items()}

    @abstractmethod
    def _build(self, shape: Shape) -> SequenceNetwork: ...

    def _recall(self, dataset: Dataset, state: State) -> None:
        self._network = self._build(_shape(dataset)).to(_device()).eval()
        weights = {name: torch.from_numpy(value) for name, value in state.items()}
        self._network.load_state_dict(weights)

    def _learn(self, dataset: Dataset, seed: int) -> None:
        with seeded(seed):
            self._network = self._build(_shape(dataset)).to(_device())
        histories = [part for part in training_parts(dataset) if len(part) > 1]
        if not histories:
            raise DataError(
                f"dataset '{dataset.name}' has no training history of two events to learn "
                f"{self.name} from",
                f"--exclude {self.name}",
            )
        rows = sample_rows(dataset, "validation", _VALIDATION, 0)
        by_length = rows[np.argsort(np.diff(dataset.offsets)[rows], kind="stable")]
        cases = held_out(dataset, "validation", by_length)
        lesson = Lesson(
            losses=lambda epoch: self._losses(histories, np.random.default_rng([seed, epoch])),
            validate=lambda: self._ndcg(cases),
        )
        course = Course(self._network, lesson, seed, self.folder)
        curve = course.run(self.name, self.progress)
        self._network.eval()
        self.record = {"network": asdict(self._network.shape), "curve": curve}

    def _losses(self, histories: Sequence[Items], rng: np.random.Generator) -> Iterator[Tensor]:
        network, shape = self._network, self._network.shape
        least, most = _TOKENS
        tokens = min(most, max(least, _LOGITS // shape.items))
        for batch in batches(cut(histories, shape.length, rng), shape.items, tokens, rng):
            inputs, lengths, targets = (part.to(_device()) for part in batch)
            there = targets != NO_TARGET
            hidden = network(inputs, lengths)[there]
            yield next_item_loss(hidden, network.catalog, targets[there])

    @torch.no_grad()
    def _logits(self, histories: Sequence[Items]) -> Tensor:
        network = self._network
        latest = [history[-network.shape.length :] for history in histories]
        table, ends = map(torch.from_numpy, padded(latest, network.shape.items))
        inputs, lengths = (part.to(_device()) for part in (table, ends))
        hidden = network(inputs, lengths)
        logits: Tensor = hidden[torch.arange(len(latest)), lengths - 1] @ network.catalog.T
        return logits

    def _ndcg(self, cases: Cases) -> float:
        """NDCG@10 on validation items; equal scores are too rare to count."""
        total = 0.0
        for part in cases.batches(_USERS_AT_ONCE):
            logits = self._logits(part.histories)
            for row, seen in enumerate(part.seen):
                logits[row, seen] = -torch.inf
            targets = torch.from_numpy(part.targets).long().to(logits.device)
            above = (logits > logits.gather(1, targets[:, None])).sum(dim=1)
            total += float(torch.where(above < 10, 1 / torch.log2(above + 2.0), 0.0).sum())
        return total / max(1, len(cases))


def _shape(dataset: Dataset) -> Shape:
    events = float(dataset.train_counts.sum()) / max(1, len(dataset.user_ids))
    dropout = _MILD if events >= _LONG else _STRONG
    return Shape(len(dataset.titles), _LENGTH, _WIDTH, dropout)


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
