"""A language model with another recommender as its item prior.

score(item) = log p(title | history) + weight * prior(item | history), where the prior is a log-
probability too: a log-linear mixture, searched exactly.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from genrec_cli.data.dataset import Dataset
from genrec_cli.language.wording import Explanation
from genrec_cli.recommenders.base import Items, Ranking, Recommender, Scorer
from genrec_cli.recommenders.genrec import GenRec


class Prior(Recommender, Scorer, Protocol):
    """A recommender that scores the whole catalog."""


class Hybrid:
    """A run with a prior; its name is both names with a plus between them.

    Args:
        run: the language model.
        prior: what is added.

    Attributes:
        weight: of the prior; 0 leaves the run alone. None: to be chosen on validation items.
        validation: what the choice was made by: NDCG@10 by weight.
    """

    def __init__(self, run: GenRec, prior: Prior, weight: float | None = None) -> None:
        self.name = f"{run.name}+{prior.name}"
        self.weight = weight
        self.validation: Mapping[float, float] = {}
        self.run = run
        self.prior = prior

    def fit(self, dataset: Dataset, seed: int) -> None:
        """Load the run, and learn the prior from the training part."""
        self.run.fit(dataset, seed)
        self.prior.fit(dataset, seed)

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
        scores = self.prior.scores(histories)
        priors = [None if weight == 0 else (np.float32(weight) * scores) for weight in weights]
        return self.run.rank_each(histories, k, exclude, priors)

    def explain(self, histories: Sequence[Items], ranking: Ranking) -> list[list[Explanation]]:
        """The choices along each title by the run alone: a prior weighs titles, not tokens."""
        return self.run.explain(histories, ranking)

    def describe(self) -> Mapping[str, Any]:
        """Both, and the weight."""
        return {
            "run": dict(self.run.describe()),
            "prior": {"name": self.prior.name, **self.prior.describe()},
            "weight": self.weight,
            "validation_NDCG@10": {str(weight): value for weight, value in self.validation.items()},
        }
