import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_data import dataset_of

from genrec_cli.core.settings import Split
from genrec_cli.data.split import held_out, sample_rows, training_part

# Repeats are allowed: positions, not items, must be disjoint.
SEQUENCES = st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=12), min_size=1, max_size=6)


@given(SEQUENCES)
def test_the_parts_of_a_user_follow_one_another_and_add_up(sequences: list[list[int]]) -> None:
    dataset = dataset_of(sequences)
    validation, test = held_out(dataset, "validation"), held_out(dataset, "test")
    for row, sequence in enumerate(sequences):
        parts = [*training_part(dataset, row), validation.targets[row], test.targets[row]]
        assert parts == sequence


@given(SEQUENCES)
def test_a_history_is_all_that_came_before_the_target(sequences: list[list[int]]) -> None:
    dataset = dataset_of(sequences)
    validation, test = held_out(dataset, "validation"), held_out(dataset, "test")
    for row, sequence in enumerate(sequences):
        assert validation.histories[row].tolist() == sequence[:-2]
        assert test.histories[row].tolist() == sequence[:-1]
        assert test.histories[row][-1] == validation.targets[row]


@pytest.mark.parametrize(("split", "targets"), [("test", [5, 2]), ("validation", [4, 1])])
def test_only_the_rows_asked_for_are_held_out(split: Split, targets: list[int]) -> None:
    dataset = dataset_of([[0, 1, 2], [6, 7, 8], [3, 4, 5]])
    cases = held_out(dataset, split, np.array([2, 0]))
    assert cases.rows.tolist() == [2, 0]
    assert cases.targets.tolist() == targets
    assert len(cases) == 2


def test_reading_the_split_leaves_the_dataset_as_it_was() -> None:
    dataset = dataset_of([[0, 1, 2, 3], [4, 5, 6]])
    held_out(dataset, "test")
    training_part(dataset, 0)
    assert dataset.items.tolist() == [0, 1, 2, 3, 4, 5, 6]


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 5))
def test_a_sample_is_sorted_without_repeats_and_repeatable(
    users: int, count: int, seed: int
) -> None:
    dataset = dataset_of([[0, 1, 2]] * users)
    rows = sample_rows(dataset, "test", count, seed)
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert set(rows.tolist()) <= set(range(users))
    assert len(rows) == min(count, users)
    np.testing.assert_array_equal(rows, sample_rows(dataset, "test", count, seed))


def test_seeds_draw_different_samples_and_none_means_everybody() -> None:
    dataset = dataset_of([[0, 1, 2]] * 50)
    samples = {tuple(sample_rows(dataset, "test", 10, seed).tolist()) for seed in range(5)}
    assert len(samples) == 5
    assert sample_rows(dataset, "test", None, 0).tolist() == list(range(50))
