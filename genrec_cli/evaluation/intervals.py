"""Bootstrap intervals over users."""

import numpy as np
from numpy.typing import NDArray

from genrec_cli.evaluation.metrics import Figures

_BLOCK = 4_000_000  # drawn users in memory at a time: 32 MB


def bootstrap_interval(
    figures: Figures, seed: int, resamples: int = 1000, level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean over users (Efron & Tibshirani 1993, ch. 13).

    Args:
        figures: float64, [users]; one metric of each user.
        seed: of the resampling.
        resamples: how many samples, with replacement, of as many users.
        level: coverage.

    Returns:
        Lower and upper bound.
    """
    tail = (1 - level) / 2
    low, high = np.quantile(_resampled_means(figures, seed, resamples), [tail, 1 - tail])
    return float(low), float(high)


def _resampled_means(figures: Figures, seed: int, resamples: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    users = len(figures)
    at_once = max(1, _BLOCK // users)
    means = np.empty(resamples)
    for start in range(0, resamples, at_once):
        stop = min(start + at_once, resamples)
        means[start:stop] = figures[rng.integers(users, size=(stop - start, users))].mean(axis=1)
    return means
