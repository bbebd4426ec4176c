"""Bootstrap intervals over users."""

from collections.abc import Hashable, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from genrec_cli.evaluation.metrics import Figures

_Name = TypeVar("_Name", bound=Hashable)
_BLOCK = 4_000_000  # users times samples in memory at a time: 32 MB


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
    return bootstrap_intervals({"": figures}, seed, resamples, level)[""]


def bootstrap_intervals(
    figures: Mapping[_Name, Figures], seed: int, resamples: int = 1000, level: float = 0.95
) -> dict[_Name, tuple[float, float]]:
    """Intervals of several figures of the same users, from the same samples of them.

    Each is what `bootstrap_interval` gives for its figure alone, up to rounding. Users are drawn
    and counted once for all, so that many figures take hardly longer than one.

    Args:
        figures: name -> float64, [users].
        seed: of the resampling.
        resamples: how many samples, with replacement, of as many users.
        level: coverage.

    Returns:
        Name -> lower and upper bound.
    """
    if not figures:
        return {}
    tail = (1 - level) / 2
    means = _resampled_means(list(figures.values()), seed, resamples)
    bounds = np.quantile(means, [tail, 1 - tail], axis=1)
    return {name: (float(bounds[0, i]), float(bounds[1, i])) for i, name in enumerate(figures)}


def _resampled_means(figures: list[Figures], seed: int, resamples: int) -> NDArray[np.float64]:
    """Means of the same samples of users, [figures, resamples]."""
    rng = np.random.default_rng(seed)
    users = len(figures[0])
    by_user = np.stack(figures, axis=1)
    means = np.empty((len(figures), resamples))
    times_drawn = np.empty((min(resamples, max(1, _BLOCK // users)), users))
    for start in range(0, resamples, len(times_drawn)):
        part = times_drawn[: resamples - start]
        for row in part:
            row[:] = np.bincount(rng.integers(users, size=users), minlength=users)
        means[:, start : start + len(part)] = (part @ by_user).T / users
    return means
