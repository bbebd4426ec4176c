"""Factors of implicit feedback by alternating least squares."""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from genrec_cli.data.dataset import Dataset
from genrec_cli.recommenders.base import Items, Scores
from genrec_cli.recommenders.baseline import Baseline, Settings, State
from genrec_cli.recommenders.matrices import history_matrix, training_matrix

Factors = NDArray[np.float32]
_Key = tuple[tuple[str, float], ...]


class Als(Baseline):
    """Scores an item by the product of its factors and those of the history.

    The factors minimise sum over all cells of c (r - xᵀy)² + lambda (|X|² + |Y|²) of the 0/1 matrix
    r, where c is alpha on ones and 1 on zeros. The factors of a history minimise it given Y.
    """

    name = "als"
    source = (
        "Hu, Koren & Volinsky 2008 (ICDM), with the conjugate gradients of Takács, Pilászy & Tikk "
        "2011 (RecSys), by the library implicit. Its alpha is the paper's 1 + alpha."
    )
    random = True
    grid = (
        {"factors": 64, "lambda": 1, "alpha": 2},
        {"factors": 128, "lambda": 10, "alpha": 4},
        {"factors": 128, "lambda": 50, "alpha": 10},
    )
    sweeps = 10  # as in the paper

    _seed: int
    _matrix: Callable[[], csr_matrix]
    _tried: dict[_Key, Factors]

    def use(self, settings: Settings) -> None:
        """Fit with these settings, unless they were tried before."""
        super().use(settings)
        self._model = self._untrained(settings)
        key = _key(settings)
        if key not in self._tried:
            # The library fills the cores by itself; a BLAS with threads of its own slows it down.
            with threadpool_limits(1, "blas"):
                self._model.fit(self._matrix(), show_progress=False)
            self._tried[key] = self._model.item_factors
        self._model.item_factors = self._tried[key]

    def scores(self, histories: Sequence[Items]) -> Scores:
        """Expected preferences, float32 [B, items]."""
        expected: Scores = self.people(histories) @ self.item_factors.T
        return expected

    def people(self, histories: Sequence[Items]) -> Factors:
        """Factors of people, float32 [B, factors]; an item that comes twice counts once."""
        ones = csr_matrix(history_matrix(histories, len(self.item_factors)))
        ones.data[:] = 1
        with threadpool_limits(1, "blas"):
            found: Factors = self._model.recalculate_user(np.arange(len(histories)), ones)
        return found

    @property
    def item_factors(self) -> Factors:
        """Y, float32 [items, factors]."""
        factors: Factors = self._model.item_factors
        return factors

    def state(self) -> State:
        """The factors of the items, [items, factors], and the seed."""
        return {"items": self.item_factors, "seed": np.array(self._seed)}

    def restore(self, dataset: Dataset, state: State, settings: Settings) -> None:
        """Be as after `fit` and `use` of these settings, which the kept factors belong to."""
        self._tried = {_key(settings): state["items"]}
        super().restore(dataset, state, settings)

    def _learn(self, dataset: Dataset, seed: int) -> None:
        self._tried = {}
        self._remember(dataset, seed)

    def _recall(self, dataset: Dataset, state: State) -> None:
        self._remember(dataset, int(state["seed"]))

    def _remember(self, dataset: Dataset, seed: int) -> None:
        self._seed = seed
        self._matrix = cache(lambda: csr_matrix(training_matrix(dataset)))

    def _untrained(self, settings: Settings) -> AlternatingLeastSquares:
        with threadpool_limits(1, "blas"):  # it warns of more as soon as it is made
            return AlternatingLeastSquares(
                factors=int(settings["factors"]),
                regularization=settings["lambda"],
                alpha=settings["alpha"],
                iterations=self.sweeps,
                random_state=self._seed,
            )


def _key(settings: Settings) -> _Key:
    return tuple(sorted(settings.items()))
