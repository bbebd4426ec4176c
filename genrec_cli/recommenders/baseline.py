"""What all baselines share: fitted in one go, tuned on validation, kept, and asked for scores."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from numpy.typing import NDArray

from genrec_cli.core.progress import SILENT, Progress
from genrec_cli.core.sourcecode import code_hash
from genrec_cli.data.dataset import Dataset
from genrec_cli.recommenders.base import Items, Ranking, Scores, precedence, top_k

Settings = Mapping[str, float]
State = Mapping[str, NDArray[Any]]
Scale = Literal["log", "linear"]


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
        record: what is worth telling of fitting, such as what the settings were chosen by.
        folder: where long fitting keeps what it needs to be resumed; None: nowhere.
        progress: where long fitting reports to.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    scale: ClassVar[Scale] = "linear"
    random: ClassVar[bool] = False
    grid: ClassVar[Sequence[Settings]] = ({},)

    def __init__(self) -> None:
        self.settings: Settings = self.grid[0]
        self.record: dict[str, Any] = {}
        self.folder: Path | None = None
        self.progress: Progress = SILENT

    @classmethod
    def trouble(cls, items: int) -> str | None:
        """Why a catalog of this size is too large to be learnt here; None: it is not."""
        return None

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
        module = type(self).__module__.removeprefix("genrec_cli.")
        code = code_hash(module, within="recommenders")
        return {"baseline": self.name, "grid": grid, "code": code}

    def describe(self) -> Mapping[str, Any]:
        """Where it is from, the settings in use, and what its fitting recorded."""
        return {"source": self.source, "settings": dict(self.settings), **self.record}

    @abstractmethod
    def _learn(self, dataset: Dataset, seed: int) -> None: ...

    @abstractmethod
    def _recall(self, dataset: Dataset, state: State) -> None: ...
