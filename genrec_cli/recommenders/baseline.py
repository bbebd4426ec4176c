"""What all baselines share: fitted in one go, tuned on validation, kept, and asked for scores."""

import hashlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from genrec_cli.core.progress import SILENT, Progress
from genrec_cli.data.dataset import Dataset
from genrec_cli.recommenders.base import Items, Ranking, Scores, precedence, top_k

Settings = Mapping[str, float]
State = Mapping[str, NDArray[Any]]
Scale = Literal["log", "linear"]

_POPULARITY_SHARE = 0.1  # of a prior that is made of amounts


class Baseline(ABC):
    """A recommender that learns from nothing but a dataset and scores the whole catalog.

    A subclass learns in `_learn` whatever its settings do not change, so that `use` is cheap where
    it can be.

    Attributes:
        name: by which commands and tables know it.
        source: the paper it follows, and where it departs from it.
        scale: of its scores: natural logs of (unnormalised) probabilities, or amounts such as
            counts and similarities.
        random: whether the seed changes its rankings.
        grid: settings to choose from on validation items; the first are used until then.
        settings: those in use.
        progress: where long fitting reports to.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    scale: ClassVar[Scale] = "linear"
    random: ClassVar[bool] = False
    grid: ClassVar[Sequence[Settings]] = ({},)

    def __init__(self) -> None:
        self.settings: Settings = self.grid[0]
        self.progress: Progress = SILENT

    def fit(self, dataset: Dataset, seed: int) -> None:
        """Learn from the training parts of a dataset without test targets."""
        self._places = precedence(dataset)
        self._learn(dataset, seed)
        self.use(self.settings)

    def use(self, settings: Settings) -> None:
        """Rank by other settings of the grid from now on; what was learnt stays."""
        self.settings = settings

    @abstractmethod
    def scores(self, histories: Sequence[Items]) -> Scores:
        """Scores of every item, the higher the better, float32 [B, items]; -inf means never."""

    def rank(self, histories: Sequence[Items], k: int, exclude: Sequence[Items]) -> Ranking:
        """The k items with the highest scores that are not excluded."""
        return top_k(self.scores(histories), exclude, k, self._places)

    @abstractmethod
    def state(self) -> State:
        """What was learnt, as arrays that `restore` understands."""

    def restore(self, dataset: Dataset, state: State, settings: Settings) -> None:
        """Be as after `fit` on this dataset and `use` of these settings, from a kept state."""
        self._places = precedence(dataset)
        self._recall(dataset, state)
        self.use(settings)

    def identity(self) -> Mapping[str, Any]:
        """Name, grid and code."""
        grid = [dict(settings) for settings in self.grid]
        return {"baseline": self.name, "grid": grid, "code": _code(type(self))}

    def describe(self) -> Mapping[str, Any]:
        """Where it is from, and the settings in use."""
        return {"source": self.source, "settings": dict(self.settings)}

    @abstractmethod
    def _learn(self, dataset: Dataset, seed: int) -> None: ...

    @abstractmethod
    def _recall(self, dataset: Dataset, state: State) -> None: ...


@cache
def _code(kind: type) -> str:
    """Hash of the code that a baseline shares a folder with: a change in it means fitting again."""
    folder = Path(inspect.getfile(kind)).parent
    digest = hashlib.sha256(inspect.getsource(Baseline).encode())
    for file in sorted(folder.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def log_prior(system: Baseline, histories: Sequence[Items], counts: NDArray[np.int64]) -> Scores:
    """A baseline's scores as natural-log probabilities, float32 [B, items].

    Logarithmic scores go through a softmax. Amounts are shared out in proportion, with a tenth of
    the whole kept for popularity, as interpolated n-gram models do (Jelinek & Mercer 1980): an item
    without an amount is unlikely, not impossible.

    Args:
        system: fitted.
        histories: of B people.
        counts: training events of each item.
    """
    scores = system.scores(histories)
    if system.scale == "log":
        normalised: Scores = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
        return normalised
    amounts = np.maximum(scores, 0)
    totals = amounts.sum(axis=1, keepdims=True)
    popular = (counts + 1) / (counts + 1).sum()
    shares = np.divide(amounts, totals, out=np.tile(popular, (len(scores), 1)), where=totals > 0)
    mixed = _POPULARITY_SHARE * popular + (1 - _POPULARITY_SHARE) * shares
    return np.log(mixed).astype(np.float32)
