from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, ttest_1samp

from genrec_cli.evaluation.evidence.comparison import compare, detectable_difference
from genrec_cli.evaluation.evidence.randomisation import holm, randomisation_test
from genrec_cli.evaluation.evidence.seeds import over_seeds
from genrec_cli.evaluation.metrics import Figures

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def column(*values: float) -> Figures:
    return np.array(values)[:, None]


def by_enumeration(values: Figures) -> float:
    """Share of all signs whose sum is as far from 0 as the observed one."""
    observed = abs(values.sum())
    sums = [abs(values @ signs) for signs in product([-1, 1], repeat=len(values))]
    return float(np.mean([total >= observed - 1e-9 for total in sums]))


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        (column(1, 1, 1, 1, 1), 2 / 32),  # all plus or all minus
        (column(1, 1, 1, -1), 10 / 16),  # at least three of four alike
        (column(0.5), 1.0),
        (column(0, 0, 0), 1.0),
        (column(0, 1, 0, 2, 0, 3), 2 / 8),  # who does not differ does not matter
        (column(-1, -2, -3), 2 / 8),
    ],
)
def test_p_values_by_hand(differences: Figures, p: float) -> None:
    assert randomisation_test(differences, seed=0).tolist() == [pytest.approx(p)]


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=8))
def test_few_differences_are_enumerated(values: list[int]) -> None:
    # Tenths are not binary fractions: sums that are equal on paper differ in their last digits.
    differences = np.array(values) / 10
    found = randomisation_test(differences[:, None], seed=0)
    assert found[0] == pytest.approx(by_enumeration(differences))


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.6])
def test_drawn_signs_come_near_the_enumeration(shift: float) -> None:
    differences = np.random.default_rng(1).normal(shift, 1, size=14)  # one too many to enumerate
    p = by_enumeration(differences)
    found = randomisation_test(differences[:, None], seed=0)
    assert found[0] == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / 10_000) + 1e-4)


def test_many_users_give_the_p_value_of_a_t_test() -> None:
    differences = np.random.default_rng(2).normal(0.03, 1, size=(4000, 3))
    found = randomisation_test(differences, seed=0)
    np.testing.assert_allclose(found, ttest_1samp(differences, 0).pvalue, atol=0.02)


def test_p_values_are_uniform_where_nothing_differs() -> None:
    rng = np.random.default_rng(3)
    # Skewed sizes, mostly zero, as differences of NDCG are; signs by chance.
    sizes = rng.exponential(size=(200, 2000)) * (rng.random((200, 2000)) < 0.3)
    differences = sizes * rng.choice([-1, 1], size=sizes.shape)
    p_values = randomisation_test(differences, seed=0, resamples=999)
    for level in (0.01, 0.05, 0.2, 0.5, 0.8):
        error = np.sqrt(level * (1 - level) / 2000)
        assert np.mean(p_values <= level) == pytest.approx(level, abs=4 * error)


def test_a_p_value_is_never_zero_and_depends_on_the_seed_and_the_sizes_only() -> None:
    clear = np.full((50, 1), 0.2)
    assert randomisation_test(clear, seed=0).tolist() == [1 / 10_001]
    unclear = np.random.default_rng(4).normal(0.1, 1, size=(300, 1))
    (p,) = randomisation_test(unclear, seed=0)
    assert randomisation_test(unclear, seed=0).tolist() == [p]
    assert randomisation_test(unclear, seed=1).tolist() != [p]
    np.testing.assert_allclose(randomisation_test(-unclear * 7, seed=0), p)


def test_each_of_many_comparisons_has_the_p_value_it_has_alone() -> None:
    rng = np.random.default_rng(5)
    differences = rng.normal(0.1, 1, size=(150, 3))
    differences[13:, 1] = 0  # this one is enumerated
    together = randomisation_test(differences, seed=0)
    alone = [randomisation_test(differences[:, [i]], seed=0)[0] for i in range(3)]
    assert together.tolist() == alone


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),
        ([0.01, 0.02, 0.03, 0.5], [0.04, 0.06, 0.06, 0.5]),
        ([0.6, 0.7], [1.0, 1.0]),
        ([0.2], [0.2]),
        ([0.02, 0.02], [0.04, 0.04]),
    ],
)
def test_holm_by_hand(p_values: list[float], adjusted: list[float]) -> None:
    assert holm(np.array(p_values)).tolist() == pytest.approx(adjusted)


@given(P_VALUES)
def test_holm_keeps_the_order_and_lies_between_the_plain_and_bonferroni(
    p_values: list[float],
) -> None:
    plain = np.array(p_values)
    adjusted = holm(plain)
    order = np.argsort(plain)
    assert (np.diff(adjusted[order]) >= 0).all()
    assert (adjusted >= plain).all()
    assert (adjusted <= np.minimum(1, plain * len(plain))).all()
    # Controlling any error is stricter than controlling their share (Benjamini & Hochberg).
    assert (adjusted >= false_discovery_control(plain) - 1e-12).all()


def test_a_comparison_by_hand() -> None:
    figures = {
        "strong": np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
        "rules": np.array([0.5, 0.5, 0.5, 0.5, 0.5, 0.5]),
        "like rules": np.array([0.6, 0.4, 0.5, 0.5, 0.5, 0.5]),
    }
    found = compare("NDCG@10", figures, "rules", seed=0)
    strong, alike = found.rows
    assert (strong.system, strong.difference, strong.ci) == ("strong", 0.5, (0.5, 0.5))
    assert (strong.p, strong.p_holm) == (2 / 64, 4 / 64)
    assert (alike.system, alike.p, alike.p_holm) == ("like rules", 1.0, 1.0)
    assert alike.ci[0] < 0 < alike.ci[1]
    # Half of the sum of no deviation and of sd = 0.1 * sqrt(2 / 5), times 1.95996 + 0.84162.
    assert found.detectable == pytest.approx(
        2.80159 * 0.1 * np.sqrt(2 / 5) / np.sqrt(6) / 2, rel=1e-5
    )
    assert found.document() == {
        "metric": "NDCG@10",
        "reference": "rules",
        "rows": [
            {
                "system": row.system,
                "difference": row.difference,
                "ci": list(row.ci),
                "p": row.p,
                "p_holm": row.p_holm,
            }
            for row in found.rows
        ],
        "detectable": found.detectable,
    }


def test_a_system_alone_is_compared_with_nothing() -> None:
    found = compare("NDCG@10", {"rules": np.array([0.5, 0.0])}, "rules", seed=0)
    assert (found.rows, found.detectable) == ((), None)


def test_one_user_cannot_tell_what_could_be_found() -> None:
    found = compare("HR@10", {"rules": np.array([0.0]), "b": np.array([1.0])}, "rules", seed=0)
    assert (found.rows[0].p, found.detectable) == (1.0, None)


def test_a_detectable_difference_is_found_8_times_in_10() -> None:
    users, trials = 400, 1000
    rng = np.random.default_rng(6)

    def hits_and_misses(shift: float) -> Figures:
        """Differences of HR: mostly 0, of mean `shift`."""
        chances = [0.15 - shift / 2, 0.7, 0.15 + shift / 2]
        return rng.choice([-1.0, 0.0, 1.0], p=chances, size=(users, trials))

    reach = float(np.median([detectable_difference(own) for own in hits_and_misses(0).T]))
    p_values = randomisation_test(hits_and_misses(reach), seed=0, resamples=999)
    assert np.mean(p_values <= 0.05) == pytest.approx(0.8, abs=0.05)  # standard error 0.013


def test_more_users_find_smaller_differences() -> None:
    differences = np.random.default_rng(7).normal(size=1000)
    assert detectable_difference(np.tile(differences, 4)) == pytest.approx(
        detectable_difference(differences) / 2, rel=1e-3
    )


def test_the_interval_of_a_paired_difference_covers_the_truth_95_times_in_100() -> None:
    rng = np.random.default_rng(8)
    shared = rng.random(200)  # some users are easier than others for every system
    trials = {f"trial {i}": shared + rng.normal(0.1, 0.2, 200) for i in range(400)}
    rows = compare("NDCG@10", {"rules": shared, **trials}, "rules", seed=0).rows
    covered = np.mean([row.ci[0] <= 0.1 <= row.ci[1] for row in rows])
    assert 0.92 <= covered <= 0.98  # the standard error of 400 trials is 0.011


def test_seeds_have_a_mean_and_a_deviation() -> None:
    found = over_seeds([{"HR@10": 0.1, "NDCG@10": 0.3}, {"HR@10": 0.3, "NDCG@10": 0.3}])
    assert found == pytest.approx(
        {"HR@10": 0.2, "HR@10_sd": 0.02**0.5, "NDCG@10": 0.3, "NDCG@10_sd": 0.0}
    )
    assert over_seeds([{"HR@10": 0.1}]) == {"HR@10": 0.1}
    assert over_seeds([{"HR@10": 0.1, "diversity@10": 0.9}, {"HR@10": 0.1}]).keys() == {
        "HR@10",
        "HR@10_sd",
    }
