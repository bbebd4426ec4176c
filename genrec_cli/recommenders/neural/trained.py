"""What all trained baselines share: a network, its course, and its logits of the whole catalog."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

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

_USERS_AT_ONCE: Final = 256
_VALIDATION: Final = 2048  # users


class Trained(Baseline):
    """A network that is trained until NDCG@10 on validation items stops improving."""

    scale = "log"
    random = True
    _network: nn.Module

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
    def _made(self, dataset: Dataset) -> nn.Module:
        """A network that has learnt nothing."""

    @abstractmethod
    def _sizes(self) -> Mapping[str, Any]:
        """Sizes of the network, for the record."""

    @abstractmethod
    def _losses(self, histories: Sequence[Items], rng: np.random.Generator) -> Iterator[Tensor]:
        """Losses of an epoch, one for each step; each history has at least two items."""

    @abstractmethod
    def _logits(self, histories: Sequence[Items]) -> Tensor:
        """Scores of every item, float32 [B, items], without gradients."""

    def _material(self, history: Items) -> Items:
        """What is learnt from a training part; of fewer than two items nothing can be."""
        return history

    def _recall(self, dataset: Dataset, state: State) -> None:
        self._network = self._made(dataset).to(device()).eval()
        weights = {name: torch.from_numpy(value) for name, value in state.items()}
        self._network.load_state_dict(weights)

    def _learn(self, dataset: Dataset, seed: int) -> None:
        with seeded(seed):
            self._network = self._made(dataset).to(device())
        material = map(self._material, training_parts(dataset))
        histories = [history for history in material if len(history) > 1]
        if not histories:
            raise DataError(
                f"dataset '{dataset.name}' has no training history of two items to learn "
                f"{self.name} from",
                f"--exclude {self.name}",
            )
        cases = _validation_cases(dataset)
        if len(cases) == 0:
            self.progress.note(
                f"{self.name}: no validation items tell which epoch is the best; the first is kept"
            )
        lesson = Lesson(
            losses=lambda epoch: self._losses(histories, np.random.default_rng([seed, epoch])),
            validate=lambda: _ndcg(cases, self._logits),
        )
        course = Course(self._network, lesson, seed, self.folder)
        curve = course.run(self.name, self.progress)
        self._network.eval()
        self.record = {"network": dict(self._sizes()), "curve": curve}


def device() -> torch.device:
    """Where networks are trained and asked."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _validation_cases(dataset: Dataset) -> Cases:
    """At most 2,048 users, those of short histories first: so equal lengths meet in a batch."""
    rows = sample_rows(dataset, "validation", _VALIDATION, 0)
    by_length = rows[np.argsort(np.diff(dataset.offsets)[rows], kind="stable")]
    return held_out(dataset, "validation", by_length)


def _ndcg(cases: Cases, logits_of: Callable[[Sequence[Items]], Tensor]) -> float:
    """NDCG@10 on validation items; equal scores are too rare to count."""
    total = 0.0
    for part in cases.batches(_USERS_AT_ONCE):
        logits = logits_of(part.histories)
        for row, seen in enumerate(part.seen):
            logits[row, seen] = -torch.inf
        targets = torch.from_numpy(part.targets).long().to(logits.device)
        above = (logits > logits.gather(1, targets[:, None])).sum(dim=1)
        total += float(torch.where(above < 10, 1 / torch.log2(above + 2.0), 0.0).sum())
    return total / max(1, len(cases))
