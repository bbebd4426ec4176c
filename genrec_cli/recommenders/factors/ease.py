"""EASE: a linear item-item model with a closed form."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

import numpy as np
import psutil
from numpy.typing import NDArray
from scipy.linalg import lapack
from scipy.sparse import csr_array

from genrec_cli.core.errors import WorkspaceError
from genrec_cli.data.dataset import Dataset
from genrec_cli.recommenders.base import Items, Scores
from genrec_cli.recommenders.baseline import Baseline, Settings, State
from genrec_cli.recommenders.matrices import history_matrix, training_matrix

MOST_ITEMS: Final = 20_000  # the inverse takes time in the cube of it: here minutes on two cores
_BYTES_PER_PAIR: Final = 12  # co-occurrences, sparse, with their places; the inverse, dense
_MEMORY_SHARE: Final = 0.5  # of what is available
_TILE: Final = 512

Weights = NDArray[np.float32]


class Ease(Baseline):
    """Scores an item by its weights to the items of the history.

    The weights B solve min |X - XB|² + lambda |B|² with diag(B) = 0, where X is the binary training
    matrix: B[i, j] = -P[i, j] / P[j, j] off the diagonal, with P = (XᵀX + lambda I)⁻¹.
    """

    name = "ease"
    source = (
        "Steck 2019 (WWW): EASE^R. Departure: an event of the history may weigh less than the next "
        "later one (decay < 1); decay 1 is the paper's."
    )
    # Settings with one lambda stand together: a change of it costs an inverse, one of the decay
    # nothing.
    grid = tuple(
        {"lambda": strength, "decay": decay}
        for strength in (300.0, 100.0, 1000.0)
        for decay in (1.0, 0.8, 0.6)
    )

    _weights: Weights
    _solved_for: float

    @classmethod
    def trouble(cls, items: int) -> str | None:
        """Why a catalog of this size is too large to be learnt here; None: it is not."""
        if items > MOST_ITEMS:
            return f"{items:,} items are too many to invert a matrix of: it takes {MOST_ITEMS:,}"
        needed, available = _BYTES_PER_PAIR * items**2, psutil.virtual_memory().available
        if needed <= _MEMORY_SHARE * available:
            return None
        return (
            f"{items:,} items need {needed / 1e9:.1f} GB, more than half of the "
            f"{available / 1e9:.1f} GB of memory that are available"
        )

    def use(self, settings: Settings) -> None:
        """Solve again for another lambda; the decay is free."""
        super().use(settings)
        if self._solved_for != settings["lambda"]:
            self._weights = np.empty((0, 0), np.float32)  # before the next ones need the memory
            self._weights = ease_weights(self._together(), settings["lambda"])
            self._solved_for = settings["lambda"]

    def scores(self, histories: Sequence[Items]) -> Scores:
        """Sums of weights, float32 [B, items]; an item that comes twice weighs at most 1."""
        events = history_matrix(histories, len(self._weights), self.settings["decay"])
        np.minimum(events.data, 1, out=events.data)
        summed: Scores = events @ self._weights
        return summed

    def state(self) -> State:
        """The weights, [items, items], and the lambda they were solved for."""
        return {"weights": self._weights, "lambda": np.array(self._solved_for)}

    def _learn(self, dataset: Dataset, seed: int) -> None:
        trouble = self.trouble(len(dataset.titles))
        if trouble is not None:
            message = f"ease cannot be fitted to '{dataset.name}': {trouble}"
            raise WorkspaceError(message, "leave it out with --exclude ease")
        self._solved_for = np.nan
        self._together: Callable[[], csr_array] = cache(lambda: _together(dataset))

    def _recall(self, dataset: Dataset, state: State) -> None:
        self._weights = state["weights"]
        self._solved_for = float(state["lambda"])
        self._together = cache(lambda: _together(dataset))


def ease_weights(together: csr_array, strength: float) -> Weights:
    """The weights B of EASE, float32 [items, items], with a diagonal of 0.

    Float32 is enough: the condition number of what is inverted is the largest eigenvalue over
    lambda, on MovieLens 1M 3e5 / 100.

    Args:
        together: XᵀX, float32 [items, items].
        strength: lambda, above 0.
    """
    matrix = together.toarray(order="F")
    np.fill_diagonal(matrix, matrix.diagonal() + np.float32(strength))
    matrix, failed = lapack.spotrf(matrix, lower=1, clean=0, overwrite_a=1)
    if failed == 0:
        matrix, failed = lapack.spotri(matrix, lower=1, overwrite_c=1)
    if failed != 0:
        raise RuntimeError(f"EASE's matrix is not positive definite (lapack says {failed})")
    weights = _whole(matrix.T)  # in C order, which products with sparse rows need
    weights /= -weights.diagonal()  # each column by its own; a copy, for it changes on the way
    np.fill_diagonal(weights, 0)
    return weights


def _whole(upper: Weights) -> Weights:
    """Copy the upper triangle of a symmetric matrix onto the lower, in place, tile by tile."""
    for start in range(0, len(upper), _TILE):
        rows = slice(start, start + _TILE)
        corner = np.triu(upper[rows, rows])
        upper[rows, rows] = corner + np.triu(corner, 1).T
        upper[start + _TILE :, rows] = upper[rows, start + _TILE :].T
    return upper


def _together(dataset: Dataset) -> Any:
    """How many users touched both of two items in training, sparse float32 [items, items]."""
    matrix = training_matrix(dataset)
    return matrix.T @ matrix
