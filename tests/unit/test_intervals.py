import numpy as np
import pytest

from genrec_cli.evaluation.evidence.intervals import bootstrap_interval, bootstrap_intervals
from genrec_cli.evaluation.metrics import Figures

SHARE = 0.3


def hits(users: int, seed: int) -> Figures:
    """Coin flips that come up 1 with a known chance."""
    return (np.random.default_rng(seed).random(users) < SHARE).astype(np.float64)


def width(users: int) -> float:
    low, high = bootstrap_interval(hits(users, seed=1), seed=0)
    return high - low


@pytest.mark.parametrize("users", [2, 50, 1000])
def test_the_interval_contains_the_mean(users: int) -> None:
    figures = np.random.default_rng(5).random(users)
    low, high = bootstrap_interval(figures, seed=0)
    assert low < figures.mean() < high


def test_one_seed_gives_one_interval_and_another_seed_another() -> None:
    figures = np.random.default_rng(5).random(100)
    assert bootstrap_interval(figures, seed=7) == bootstrap_interval(figures, seed=7)
    assert bootstrap_interval(figures, seed=7) != bootstrap_interval(figures, seed=8)


def test_the_interval_covers_the_truth_about_95_times_in_100() -> None:
    intervals = [bootstrap_interval(hits(200, seed), seed, resamples=400) for seed in range(400)]
    covered = np.mean([low <= SHARE <= high for low, high in intervals])
    assert 0.92 <= covered <= 0.98  # the standard error of 400 trials is 0.011


def test_a_lower_level_covers_less() -> None:
    wide, narrow = (bootstrap_interval(hits(200, 1), 0, level=level) for level in (0.95, 0.5))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_the_width_shrinks_with_the_root_of_the_users() -> None:
    assert width(100) / width(10_000) == pytest.approx(10, rel=0.25)


def test_equal_figures_leave_no_width_and_one_user_is_enough() -> None:
    assert bootstrap_interval(np.full(20, 0.25), seed=0) == (0.25, 0.25)
    assert bootstrap_interval(np.array([0.5]), seed=0) == (0.5, 0.5)


def test_the_figures_stay_as_they_were() -> None:
    figures = hits(50, seed=0)
    before = figures.copy()
    bootstrap_interval(figures, seed=0)
    np.testing.assert_array_equal(figures, before)


@pytest.mark.parametrize("users", [1, 37, 9000])  # more than one block of samples
def test_the_interval_is_that_of_the_means_of_drawn_users(users: int) -> None:
    figures = np.random.default_rng(5).random(users)
    drawn = np.random.default_rng(3).integers(users, size=(1000, users))
    expected = np.quantile(figures[drawn].mean(axis=1), [0.025, 0.975])
    np.testing.assert_allclose(bootstrap_interval(figures, seed=3), expected, rtol=1e-12)


def test_figures_that_share_their_samples_have_the_intervals_they_have_alone() -> None:
    figures = {name: hits(120, seed) for seed, name in enumerate(["HR@5", "HR@10", "HR@20"])}
    together = bootstrap_intervals(figures, seed=2)
    assert list(together) == list(figures)
    for name, values in figures.items():
        assert together[name] == pytest.approx(bootstrap_interval(values, seed=2), rel=1e-12)


def test_no_figures_have_no_intervals() -> None:
    assert bootstrap_intervals({}, seed=0) == {}
