from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from small_data import raw_log

from genrec_cli.data.events import Events, k_core, number, rated_at_least, stage

Pair = tuple[int, int]

PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=40)


def events_of(pairs: list[Pair]) -> Events:
    return number(raw_log([(f"u{user}", f"i{item}", 0) for user, item in pairs]).interactions)


def core_one_at_a_time(
    pairs: list[Pair], least_user: int, least_item: int, rng: np.random.Generator
) -> list[int]:
    """The slow way: drop one poor user or item, whichever comes, until there is none."""
    kept = list(range(len(pairs)))
    while True:
        users = Counter(pairs[place][0] for place in kept)
        items = Counter(pairs[place][1] for place in kept)
        poor = [(0, user) for user, count in users.items() if count < least_user]
        poor += [(1, item) for item, count in items.items() if count < least_item]
        if not poor:
            return kept
        side, name = poor[int(rng.integers(len(poor)))]
        kept = [place for place in kept if pairs[place][side] != name]


@given(PAIRS, st.integers(1, 4), st.integers(1, 4), st.integers(0, 99))
def test_the_core_is_what_dropping_one_at_a_time_in_any_order_leaves(
    pairs: list[Pair], least_user: int, least_item: int, seed: int
) -> None:
    kept = np.flatnonzero(k_core(events_of(pairs), least_user, least_item))
    slow = core_one_at_a_time(pairs, least_user, least_item, np.random.default_rng(seed))
    assert kept.tolist() == slow


@pytest.mark.parametrize(
    ("pairs", "least_user", "least_item", "kept"),
    [
        ([], 1, 1, []),
        ([(0, 0), (0, 1)], 1, 1, [0, 1]),
        ([(0, 0), (0, 1)], 3, 1, []),
        ([(0, 0), (1, 0), (1, 1)], 1, 2, [0, 1]),
        # Item 1 goes, then user 1 has one event, then item 0 has one, then user 0 has none.
        ([(0, 0), (1, 0), (1, 1)], 2, 2, []),
        ([(0, 0), (0, 0), (1, 1)], 2, 2, [0, 1]),  # events count, not distinct items
    ],
)
def test_the_core_by_hand(
    pairs: list[Pair], least_user: int, least_item: int, kept: list[int]
) -> None:
    mask = k_core(events_of(pairs), least_user, least_item)
    assert np.flatnonzero(mask).tolist() == kept


def test_keeping_some_events_leaves_the_others_untouched() -> None:
    events = events_of([(0, 0), (1, 1), (2, 0)])
    before = events.users.copy()
    some = events.keep(np.array([True, False, True]))
    assert some.users.tolist() == [0, 2]
    assert len(events) == 3
    np.testing.assert_array_equal(events.users, before)


def test_numbers_follow_the_first_appearance_and_ids_stay_strings() -> None:
    events = number(raw_log([("7", "b", 3), ("007", "a", 1), ("7", "a", 2)]).interactions)
    assert (events.user_ids, events.users.tolist()) == (["7", "007"], [0, 1, 0])
    assert (events.item_ids, events.items.tolist()) == (["b", "a"], [0, 1, 1])
    assert events.timestamps.tolist() == [3, 1, 2]


def test_only_users_and_items_with_an_event_are_counted() -> None:
    left = events_of([(0, 0), (1, 1), (1, 2)]).keep(np.array([False, True, True]))
    counted = stage("here", left)
    assert (counted.rows, counted.users, counted.items) == (2, 1, 2)


@pytest.mark.parametrize(
    ("least", "kept"),
    [
        (1.0, [True, True, True, False]),
        (4.1, [False, True, True, False]),  # 4.1 is kept although float32 rounds it down
        (4.2, [False, False, True, False]),
        (9.0, [False, False, False, False]),
    ],
)
def test_an_event_is_kept_if_it_is_rated_so_or_higher_and_not_if_unrated(
    least: float, kept: list[bool]
) -> None:
    rows = [("u", item, 0) for item in "abcd"]
    events = number(raw_log(rows, ratings=[3.0, 4.1, 5.0, None]).interactions)
    mask: NDArray[np.bool_] = rated_at_least(events, least)
    assert mask.tolist() == kept
