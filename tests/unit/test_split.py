from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_data import dataset_of

from genrec_cli.core.settings import Split
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import (
    NOWHERE,
    Cut,
    bounds,
    held_out,
    sample_rows,
    training_part,
    without_test,
)

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


LONG = st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=12), min_size=1, max_size=6)


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    """Parted by each user's last two events, or by two points in time."""
    dataset = dataset_of(draw(LONG), items=10)
    if draw(st.booleans()):
        return dataset
    lengths = np.diff(dataset.offsets).tolist()
    each = [sorted(draw(st.lists(st.integers(0, 20), min_size=n, max_size=n))) for n in lengths]
    times = np.array([time for own in each for time in own], dtype=np.int64)
    first, second = sorted(draw(st.tuples(st.integers(0, 21), st.integers(0, 21))))
    return replace(dataset, bounds=bounds(dataset.offsets, times, Cut(first, second)))


def known_of(dataset: Dataset, row: int) -> list[int]:
    """What came before a user's test target; without one, her training part and validation item."""
    start, places = dataset.offsets[row], dataset.bounds
    end = places.train_ends[row]
    if places.validation[row] != NOWHERE:
        end = places.validation[row] + 1
    if places.test[row] != NOWHERE:
        end = places.test[row]
    known: list[int] = dataset.items[start:end].tolist()
    return known


@given(datasets())
def test_without_test_nobody_keeps_the_target_or_what_came_after(dataset: Dataset) -> None:
    view = without_test(dataset)
    assert len(held_out(view, "test")) == 0
    assert len(view.items) == view.offsets[-1]
    rows = range(len(dataset.user_ids))
    assert [view.sequence(row).tolist() for row in rows] == [known_of(dataset, row) for row in rows]


@given(datasets())
def test_without_test_everything_else_stays(dataset: Dataset) -> None:
    view = without_test(dataset)
    assert (view.user_ids, view.item_ids, view.titles) == (
        dataset.user_ids,
        dataset.item_ids,
        dataset.titles,
    )
    assert view.hash == dataset.hash
    np.testing.assert_array_equal(view.train_counts, dataset.train_counts)
    for row in range(len(dataset.user_ids)):
        np.testing.assert_array_equal(training_part(view, row), training_part(dataset, row))
    whole, part = held_out(dataset, "validation"), held_out(view, "validation")
    np.testing.assert_array_equal(part.rows, whole.rows)
    np.testing.assert_array_equal(part.targets, whole.targets)
    assert [h.tolist() for h in part.histories] == [h.tolist() for h in whole.histories]


@given(datasets())
def test_without_test_the_whole_is_not_touched(dataset: Dataset) -> None:
    items, offsets = dataset.items.copy(), dataset.offsets.copy()
    without_test(dataset)
    np.testing.assert_array_equal(dataset.items, items)
    np.testing.assert_array_equal(dataset.offsets, offsets)


def test_without_test_no_memory_is_shared_with_what_holds_the_answers() -> None:
    dataset = dataset_of([[0, 1, 2, 3], [4, 5, 6]])
    view = without_test(dataset)
    places = (view.bounds.train_ends, view.bounds.validation, view.bounds.test)
    for array in (view.items, view.offsets, *places):
        assert not np.shares_memory(array, dataset.items)
        assert array.base is None
    for history in held_out(dataset, "test").histories:  # which is what systems are asked with
        assert history.base is None
