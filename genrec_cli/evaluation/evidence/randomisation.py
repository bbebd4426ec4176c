"""Paired randomisation tests of differences between systems, and many of them at once."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from genrec_cli.evaluation.metrics import Figures

_FEW: Final = 13  # users whose 2^13 signs are fewer than the drawn ones
_BLOCK: Final = 4_000_000  # signs in memory at a time: 32 MB
_ROUNDING: Final = 1e-9  # of the sum of a difference's sizes; equal sums differ by less


def randomisation_test(differences: Figures, seed: int, resamples: int = 10_000) -> Figures:
    """Two-sided p-values of mean differences (Smucker, Allan & Carterette 2007).

    If two systems were alike, each user's difference could as well have the other sign. A p-value
    is the share of such flipped samples whose mean is at least as far from 0 as the observed one.
    The drawn samples and the observed one count, so that no p-value is 0 (Phipson & Smyth 2010).
    Where at most 13 users differ, all samples are looked at instead.

    Args:
        differences: float64, [users, comparisons]; of one metric between two systems.
        seed: of the flips, which all comparisons share.
        resamples: how many samples are drawn.

    Returns:
        p-values, [comparisons].
    """
    p_values = np.empty(differences.shape[1])
    few = np.count_nonzero(differences, axis=0) <= _FEW
    for column in np.flatnonzero(few):
        own = differences[:, column]
        p_values[column] = _exact(own[own != 0])
    if not few.all():
        p_values[~few] = _drawn(differences[:, ~few], seed, resamples)
    return p_values


def holm(p_values: Figures) -> Figures:
    """p-values adjusted for their number, step down (Holm 1979).

    Whoever calls those at most α significant is wrong about one or more with a chance of at most
    α, however the comparisons depend on each other.

    Example:
        >>> holm(np.array([0.04, 0.01, 0.03])).tolist()
        [0.06, 0.03, 0.06]
    """
    order = np.argsort(p_values)
    stricter = p_values[order] * np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(stricter), 1.0)
    return adjusted


def _exact(values: Figures) -> float:
    """Share of all ways to give signs to some values."""
    flips = np.arange(2 ** len(values))[:, None] >> np.arange(len(values)) & 1
    return float(_extreme((1.0 - 2.0 * flips) @ values[:, None], values[:, None]).mean())


def _drawn(differences: Figures, seed: int, resamples: int) -> Figures:
    rng = np.random.default_rng(seed)
    users, comparisons = differences.shape
    count = np.ones(comparisons)  # the observed sample
    at_once = max(1, _BLOCK // max(users, comparisons))
    for start in range(0, resamples, at_once):
        samples = min(at_once, resamples - start)
        flips = _coins(rng, samples, users)
        sums = differences.sum(axis=0) - 2.0 * (flips @ differences)
        count += np.count_nonzero(_extreme(sums, differences), axis=0)
    p_values: Figures = count / (1 + resamples)
    return p_values


def _coins(rng: np.random.Generator, samples: int, users: int) -> Figures:
    """Zeros and ones, [samples, users], one random bit each."""
    packed = rng.integers(256, size=(samples, -(-users // 8)), dtype=np.uint8)
    return np.unpackbits(packed, axis=1, count=users).astype(np.float64)


def _extreme(sums: Figures, differences: Figures) -> NDArray[np.bool_]:
    """Which sums of samples are at least as far from 0 as the observed, [samples, comparisons]."""
    slack = _ROUNDING * np.abs(differences).sum(axis=0)
    extreme: NDArray[np.bool_] = np.abs(sums) >= np.abs(differences.sum(axis=0)) - slack
    return extreme
