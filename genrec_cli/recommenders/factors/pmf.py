"""Probabilistic matrix factorisation, solved by a singular value decomposition."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds
from threadpoolctl import threadpool_limits

from genrec_cli.data.dataset import Dataset
from genrec_cli.recommenders.base import Items, Scores
from genrec_cli.recommenders.baseline import Baseline, Settings, State
from genrec_cli.recommenders.matrices import history_matrix, training_matrix

_SMALL = 256  # a side up to which the decomposition is dense: ARPACK finds all values but one

Factors = NDArray[np.float32]


class Pmf(Baseline):
    """Scores an item by the product of its factors and those of the history.

    With Gaussian noise on every cell of the 0/1 matrix R and Gaussian priors, the most probable
    factors minimise |R - UVᵀ|² + lambda (|U|² + |V|²). The minimum is known: V = Q sqrt(s - lambda)
    from the k largest singular values s of R above lambda, with right singular vectors Q. The
    factors of a history r are the most probable given V: u = (VᵀV + lambda I)⁻¹ Vᵀ r.
    """

    name = "pmf"
    source = (
        "Mnih & Salakhutdinov 2007 (NIPS): PMF, the MAP estimate. Departures: there are no "
        "ratings, so every cell of the 0/1 matrix is an observation of equal precision, without a "
        "logistic function; the minimum is computed (Mazumder, Hastie & Tibshirani 2010, JMLR; "
        "Hastie et al. 2015, JMLR), not approached by gradient descent."
    )
    grid = (
        {"factors": 64, "lambda": 5},
        {"factors": 32, "lambda": 5},
        {"factors": 128, "lambda": 5},
        {"factors": 128, "lambda": 20},
    )

    def use(self, settings: Settings) -> None:
        """Keep so many factors and shrink them by so much: nearly free."""
        super().use(settings)
        values = self._values[: int(settings["factors"])]
        kept = values[values > settings["lambda"]]
        shrunk = np.sqrt(kept - settings["lambda"])
        self._factors: Factors = (self._vectors[:, : len(kept)] * shrunk).astype(np.float32)
        # VᵀV + lambda I is diagonal, and its diagonal is the singular values.
        self._folding: Factors = (self._factors / kept).astype(np.float32)

    def scores(self, histories: Sequence[Items]) -> Scores:
        """Expected cells of R, float32 [B, items]."""
        expected: Scores = self.people(histories) @ self._factors.T
        return expected

    def people(self, histories: Sequence[Items]) -> Factors:
        """Factors of people, float32 [B, factors]; an item that comes twice counts once."""
        cells = history_matrix(histories, len(self._factors))
        cells.data[:] = 1
        found: Factors = cells @ self._folding
        return found

    @property
    def item_factors(self) -> Factors:
        """V, float32 [items, factors]; as many factors as have a singular value above lambda."""
        return self._factors

    def state(self) -> State:
        """Singular values, [most factors], and right singular vectors, [items, most factors]."""
        return {"values": self._values, "vectors": self._vectors}

    def _learn(self, dataset: Dataset, seed: int) -> None:
        most = max(int(settings["factors"]) for settings in self.grid)
        self._values, self._vectors = _largest(training_matrix(dataset), most)

    def _recall(self, dataset: Dataset, state: State) -> None:
        self._values, self._vectors = state["values"], state["vectors"]


def _largest(matrix: csr_array, count: int) -> tuple[NDArray[Any], Factors]:
    """The largest singular values, descending, and their right vectors, as columns."""
    wide = matrix.astype(np.float64)
    side = min(wide.shape)
    if side <= max(_SMALL, count):
        _, values, vectors = np.linalg.svd(wide.toarray(), full_matrices=False)
        order = np.arange(min(count, side))
    else:
        # A fixed start, so that equal data give equal factors.
        start = np.random.default_rng(0).standard_normal(side)
        with threadpool_limits(1, "blas"):  # a third of the time that two threads take
            _, values, vectors = svds(wide, k=count, v0=start, return_singular_vectors="vh")
        order = np.argsort(-values)
    return values[order], np.ascontiguousarray(vectors[order].T, dtype=np.float32)
