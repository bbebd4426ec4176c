"""Two systems as one: a mixture of both, or one that orders what the other found.

Mixture: score(item) = log p(item | history) + weight * log prior(item | history). Where a language
model is one of the two, it is searched exactly under the prior.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from genrec_cli.core.sourcecode import code_hash
from genrec_cli.data.dataset import Dataset
from genrec_cli.language.wording import Explanation
from genrec_cli.recommenders.base import NEVER, Items, Ranking, Scores, precedence, top_k
from genrec_cli.recommenders.baseline import Baseline
from genrec_cli.recommenders.genrec import GenRec
from genrec_cli.recommenders.priors import log_prior

Parent = GenRec | Baseline

_CANDIDATES: Final = 100  # of one system, that the other orders


class Joined(ABC):
    """Two systems as one, fitted one after the other.

    Attributes:
        parents: both systems.
    """

    parents: tuple[Parent, Parent]

    def fit(self, dataset: Dataset, seed: int) -> None:
        """Fit both."""
        for parent in self.parents:
            parent.fit(dataset, seed)
        self.join(dataset)

    def join(self, dataset: Dataset) -> None:
        """Take what both need of a dataset, on which both have been fitted."""
        self._counts = dataset.train_counts
        self._places = precedence(dataset)

    @abstractmethod
    def rank(self, histories: Sequence[Items], k: int, exclude: Sequence[Items]) -> Ranking:
        """The k best items by both."""


class Hybrid(Joined):
    """A system with a baseline as its prior; its name is both names with a plus between them.

    Args:
        main: a language model or a baseline.
        prior: what is added.

    Attributes:
        weight: of the prior; 0 leaves the main system alone. None: to be chosen on validation.
        validation: what the choice was made by: NDCG@10 by weight.
    """

    def __init__(self, main: Parent, prior: Baseline, weight: float | None = None) -> None:
        self.name = f"{main.name}+{prior.name}"
        self.weight = weight
        self.validation: Mapping[float, float] = {}
        self.main = main
        self.prior = prior
        self.parents = main, prior

    def rank(self, histories: Sequence[Items], k: int, exclude: Sequence[Items]) -> Ranking:
        """The k best items by both.

        Raises:
            RuntimeError: the weight was not chosen yet.
        """
        if self.weight is None:
            raise RuntimeError("the weight comes first, from `evaluation.tuning`")
        return self.rank_by_weight(histories, k, exclude, [self.weight])[0]

    def rank_by_weight(
        self,
        histories: Sequence[Items],
        k: int,
        exclude: Sequence[Items],
        weights: Sequence[float],
    ) -> list[Ranking]:
        """The k best items under each of several weights."""
        prior = log_prior(self.prior, histories, self._counts)
        if isinstance(self.main, GenRec):
            priors = [None if weight == 0 else np.float32(weight) * prior for weight in weights]
            return self.main.rank_each(histories, k, exclude, priors)
        own = log_prior(self.main, histories, self._counts)
        return [
            top_k(own + np.float32(weight) * prior, exclude, k, self._places) for weight in weights
        ]

    def identity(self) -> Mapping[str, Any]:
        """Both identities, the weight if it was given, and code."""
        parents = [dict(parent.identity()) for parent in self.parents]
        return {"mixed": parents, "weight": self.weight, "code": _code()}

    def describe(self) -> Mapping[str, Any]:
        """Both, and the weight."""
        return {
            "main": {"name": self.main.name, **self.main.describe()},
            "prior": {"name": self.prior.name, **self.prior.describe()},
            "weight": self.weight,
            "validation": {str(weight): value for weight, value in self.validation.items()},
        }

    def explain(self, histories: Sequence[Items], ranking: Ranking) -> list[list[Explanation]]:
        """The choices along each title by the run alone: a prior weighs titles, not tokens."""
        assert isinstance(self.main, GenRec)  # a baseline makes no choices along a title
        return self.main.explain(histories, ranking)


class Reranked(Joined):
    """The hundred best items of one system in the order of another; "first:second".

    Args:
        first: finds the candidates.
        second: orders them.
    """

    def __init__(self, first: Parent, second: Parent) -> None:
        self.name = f"{first.name}:{second.name}"
        self.first = first
        self.second = second
        self.parents = first, second

    def rank(self, histories: Sequence[Items], k: int, exclude: Sequence[Items]) -> Ranking:
        """The k best of the candidates; a language model is searched among them alone."""
        found = self.first.rank(histories, max(k, _CANDIDATES), exclude)
        barred = _all_but(found.items, len(self._places))
        if isinstance(self.second, GenRec):
            ranking = self.second.rank_each(histories, k, exclude, [barred])[0]
        else:
            scores = self.second.scores(histories) + barred
            ranking = top_k(scores, exclude, k, self._places)
        return Ranking(ranking.items, ranking.scores, ranking.exact & found.exact)

    def identity(self) -> Mapping[str, Any]:
        """Both identities, how many candidates, and code."""
        parents = [dict(parent.identity()) for parent in self.parents]
        return {"reranked": parents, "candidates": _CANDIDATES, "code": _code()}

    def describe(self) -> Mapping[str, Any]:
        """Both, and how many candidates."""
        return {
            "first": {"name": self.first.name, **self.first.describe()},
            "second": {"name": self.second.name, **self.second.describe()},
            "candidates": _CANDIDATES,
        }


def _code() -> str:
    return code_hash("recommenders.hybrid", within="recommenders")


def _all_but(candidates: Items, items: int) -> Scores:
    """Zero for each user's candidates and -inf for all other items, [B, items]."""
    barred = np.full((len(candidates), items + 1), NEVER)
    barred[np.arange(len(candidates))[:, None], candidates] = 0  # -1, for nothing, is the last
    return barred[:, :items]
