from collections import Counter
from random import Random
from typing import Any

import numpy as np
import oracle
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from preparing import PLENTY, Prepared, cut, prepare
from small_data import KEEP_ALL, Row, raw_log

from genrec_cli.core.errors import DataError, UsageError
from genrec_cli.core.schema import CATALOG, RAW_TITLE, SEQUENCES, TITLE
from genrec_cli.core.settings import PrepareSettings
from genrec_cli.data.rawlog import RawLog
from genrec_cli.data.split import NOWHERE, held_out, training_part

FILE_TIES = PrepareSettings(min_user=1, min_item=1, ties="file")

# Few users, items and times, so that ties and repeats are common; three rows make a user.
USERS, ITEMS = ("u", "v", "wé", "7", "007"), ("a", "b", "c", "12", "9")
ROWS = st.lists(
    st.tuples(st.sampled_from(USERS), st.sampled_from(ITEMS), st.integers(0, 4)), min_size=9
)
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(USERS),
        st.sampled_from(ITEMS),
        st.integers(-2, 6),
        st.sampled_from([1.0, 3.5, 5.0]),
    ),
    max_size=60,
)
ASKED = st.fixed_dictionaries(
    {
        "min_rating": st.sampled_from([None, None, 3.5]),
        "since": st.sampled_from([None, None, "-1"]),
        "until": st.sampled_from([None, None, "5"]),
        "repeats": st.sampled_from(["keep", "first", "last"]),
        "require_title": st.booleans(),
        "min_user": st.integers(1, 4),
        "min_item": st.integers(1, 3),
        "max_history": st.sampled_from([None, None, 3, 4]),
        "ties": st.sampled_from(["hash", "file"]),
        "seed": st.integers(0, 2),
    }
)
TITLES = {"a": "A (1999)", "b": "B (2001)", "12": "", "9": "Nine (1980)"}


def log_of(events: list[oracle.Event]) -> RawLog:
    rows = [(user, item, time) for user, item, time, _ in events]
    return raw_log(rows, TITLES, [rating for *_, rating in events])


def one_user(*events: tuple[str, int]) -> list[Row]:
    return [("u", item, time) for item, time in events]


def items_of(prepared: Prepared) -> dict[str, list[str]]:
    return {user: [item for item, _ in events] for user, events in prepared.sequences().items()}


@given(EVENTS, ASKED, st.lists(st.integers(0, 60)), st.booleans(), st.integers(1, 400))
def test_the_kernel_does_what_the_slow_way_does_in_any_memory_and_any_parts(
    events: list[oracle.Event],
    asked: dict[str, Any],
    ends: list[int],
    spill: bool,
    partition_bytes: int,
) -> None:
    wanted = PrepareSettings.model_validate(asked)
    expected = oracle.sequences(events, wanted, TITLES)
    log = cut(log_of(events), ends)
    memory = 1 if spill else PLENTY
    if not expected:
        with pytest.raises(DataError):
            prepare(log, wanted, memory=memory, partition_bytes=partition_bytes)
        return
    prepared = prepare(log, wanted, memory=memory, partition_bytes=partition_bytes)
    assert prepared.sequences() == expected
    assert prepared.hash == prepare(log_of(events), wanted).hash
    last = prepared.made.funnel[-1]
    items = {item for events in expected.values() for item, _ in events}
    assert (last.rows, last.users, last.items) == (
        sum(map(len, expected.values())),
        len(expected),
        len(items),
    )


@given(ROWS, st.randoms(use_true_random=False), st.integers(0, 2))
def test_shuffling_the_rows_changes_nothing(rows: list[Row], random: Random, seed: int) -> None:
    assume(max(Counter(user for user, _, _ in rows).values()) >= 3)
    wanted = PrepareSettings(min_user=1, min_item=1, seed=seed)
    one = prepare(raw_log(rows), wanted)
    assert prepare(raw_log(random.sample(rows, len(rows))), wanted).hash == one.hash


@given(ROWS)
def test_parts_are_disjoint_ordered_and_complete(rows: list[Row]) -> None:
    assume(max(Counter(user for user, _, _ in rows).values()) >= 3)
    dataset = prepare(raw_log(rows), KEEP_ALL).dataset
    validation, test = held_out(dataset, "validation"), held_out(dataset, "test")
    for row in range(len(dataset.user_ids)):
        parts = [*training_part(dataset, row), validation.targets[row], test.targets[row]]
        assert parts == dataset.sequence(row).tolist()
    training = Counter(
        item for row in range(len(dataset.user_ids)) for item in training_part(dataset, row)
    )
    assert dataset.train_counts.tolist() == [training[i] for i in range(len(dataset.item_ids))]


@given(st.lists(st.tuples(st.sampled_from(USERS), st.sampled_from(ITEMS), st.integers(0, 9))))
def test_a_global_time_split_holds_out_the_first_event_of_each_period(rows: list[Row]) -> None:
    wanted = PrepareSettings(min_user=1, min_item=1, split="global-time")
    try:
        prepared = prepare(raw_log(rows), wanted)
    except DataError:
        return  # too few times or no test user; its messages are tested by hand
    dataset, cut_at = prepared.dataset, prepared.made.cut
    assert cut_at is not None
    cases = {split: held_out(dataset, split) for split in ("validation", "test")}
    asked = {split: dict(zip(c.rows, c.targets, strict=True)) for split, c in cases.items()}
    for row, user in enumerate(dataset.user_ids):
        events = prepared.sequences()[user]
        times = [time for _, time in events]
        before = [sum(time < point for time in times) for point in (cut_at.validation, cut_at.test)]
        assert training_part(dataset, row).tolist() == dataset.sequence(row)[: before[0]].tolist()
        for split, place, end in (
            ("validation", before[0], before[1]),
            ("test", before[1], len(events)),
        ):
            if 0 < place < end:
                assert asked[split][row] == dataset.sequence(row)[place]
            else:
                assert row not in asked[split]
    total = sum(map(len, prepared.sequences().values()))
    earlier = sum(t < cut_at.test for s in prepared.sequences().values() for _, t in s)
    assert earlier >= 0.9 * total


def test_a_global_time_split_keeps_the_future_out_of_training() -> None:
    rows = [(f"u{i % 7}", f"i{i % 11}", i) for i in range(200)]
    dataset = prepare(raw_log(rows), PrepareSettings(split="global-time")).dataset
    assert dataset.train_counts.sum() == 160
    assert np.all(dataset.bounds.test != NOWHERE)


def test_a_global_time_split_needs_dates_and_several_of_them() -> None:
    wanted = PrepareSettings(min_user=1, min_item=1, split="global-time")
    with pytest.raises(DataError, match="too few different times"):
        prepare(raw_log(one_user(("a", 1), ("b", 1), ("c", 1))), wanted)
    log = raw_log(one_user(("a", 1), ("b", 2), ("c", 3)))
    order = RawLog(log.blocks, log.items, "an order", time_unit="order")
    with pytest.raises(UsageError, match="needs dates"):
        prepare(order, wanted)


def test_the_file_decides_on_equal_times_if_asked() -> None:
    tied = [str(37 * place % 100) for place in range(100)]  # enough for an unstable sort to show
    forth = one_user(*((item, 1) for item in tied), ("first", 0))
    assert items_of(prepare(raw_log(forth), FILE_TIES)) == {"u": ["first", *tied]}
    back = prepare(raw_log(forth[::-1]), FILE_TIES)
    assert items_of(back) == {"u": ["first", *tied[::-1]]}


def test_the_hash_orders_equal_times_by_neither_file_nor_id() -> None:
    letters = "abcdefgh"
    rows = [(user, item, 1) for user in "uvw" for item in letters]
    orders = items_of(prepare(raw_log(rows), KEEP_ALL))
    assert all(sorted(order) == list(letters) for order in orders.values())
    assert len({tuple(order) for order in [list(letters), *orders.values()]}) == 4


def test_users_and_items_come_back_in_the_natural_order_of_their_ids() -> None:
    ids = ["10", "b", "9", "a", "007", "7", "-1"]
    rows = [(user, item, place) for user in ids for place, item in enumerate(ids)]
    dataset = prepare(raw_log(rows), KEEP_ALL, partition_bytes=1).dataset
    assert dataset.user_ids == dataset.item_ids == ["007", "7", "9", "10", "-1", "a", "b"]


def test_times_of_any_size_are_ordered() -> None:
    times = [2**62, -(2**62), 0, 5, -7]
    rows = [(user, str(place), time) for user in "uv" for place, time in enumerate(times)]
    orders = items_of(prepare(raw_log(rows), KEEP_ALL))
    assert orders == {"u": ["1", "4", "2", "3", "0"], "v": ["1", "4", "2", "3", "0"]}


def test_the_tables_have_the_schemas_of_the_design() -> None:
    prepared = prepare(raw_log(one_user(("a", 1), ("b", 2), ("c", 3))), KEEP_ALL)
    assert prepared.made.catalog.table.schema == CATALOG
    assert prepared.table.schema == SEQUENCES


def test_the_funnel_counts_what_every_step_leaves() -> None:
    events = [
        *(("u", item, time, 5.0) for time, item in enumerate("abcda")),
        ("v", "a", 1, 1.0),
        ("late", "e", 99, 5.0),
        *(("x", "q", time, 4.0) for time in range(3)),
    ]
    wanted = PrepareSettings.model_validate(
        {
            "min_rating": 2,
            "since": "0",
            "until": "50",
            "repeats": "first",
            "require_title": True,
            "min_user": 3,
            "min_item": 1,
            "max_history": 3,
        }
    )
    titles = {item: f"Film {item}" for item in "abcde"}
    rows = [(user, item, time) for user, item, time, _ in events]
    log = raw_log(rows, titles, [rating for *_, rating in events])
    funnel = [(s.step, s.rows, s.users, s.items) for s in prepare(log, wanted).made.funnel]
    assert funnel == [
        ("read", 10, 4, 6),
        ("rated 2 or more", 9, 3, 6),
        ("from 0 and before 50", 8, 2, 5),
        ("only the first of a user's events with an item", 5, 2, 5),
        ("items with a title", 4, 1, 4),
        ("users with ≥ 3 events, items with ≥ 1", 4, 1, 4),
        ("the latest 3 events of each user", 3, 1, 3),
    ]


@pytest.mark.parametrize(
    ("asked", "step", "fix"),
    [
        ({}, "users with ≥ 5 events, items with ≥ 5", "lower --min-user or --min-item"),
        ({"min_rating": 2}, "rated 2 or more", "lower --min-rating; does the log have ratings?"),
        ({"since": "9"}, "from 9", "widen --since and --until"),
        ({"until": "-9"}, "before -9", "widen --since and --until"),
    ],
)
def test_a_log_of_which_nothing_is_left_is_refused(
    asked: dict[str, Any], step: str, fix: str
) -> None:
    with pytest.raises(DataError) as caught:
        prepare(raw_log(one_user(("a", 1), ("b", 2))), PrepareSettings.model_validate(asked))
    assert caught.value.message == (
        f"no event is left after the filters: 2 before the last ({step}), of 2 read"
    )
    assert caught.value.fix == fix


def test_an_empty_log_is_refused() -> None:
    with pytest.raises(DataError, match="holds no events"):
        prepare(raw_log([]), KEEP_ALL)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"since": "yesterday"}, "--since yesterday is no date"),
        ({"until": "2023-02-30"}, "--until 2023-02-30 is no date"),
        ({"since": "2024", "until": "2023-05-01"}, "--since 2024 is not before --until 2023-05-01"),
    ],
)
def test_dates_that_cannot_be_are_refused(asked: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        prepare(raw_log(one_user(("a", 1))), PrepareSettings.model_validate(asked))
    assert caught.value.message == message


@pytest.mark.parametrize(("unit", "scale"), [("s", 1), ("ms", 1000), ("us", 10**6)])
def test_dates_are_read_in_the_unit_of_the_log(unit: Any, scale: int) -> None:
    year = 1_577_836_800 * scale  # 2020-01-01 in UTC
    rows = one_user(("before", year - 1), ("a", year), ("b", year + 1), ("c", year + 2))
    log = raw_log(rows)
    timed = RawLog(log.blocks, log.items, "a test", time_unit=unit)
    wanted = PrepareSettings(min_user=1, min_item=1, since="2020")
    assert items_of(prepare(timed, wanted)) == {"u": ["a", "b", "c"]}


def test_titles_are_mended_missing_ones_replaced_and_doubles_told_apart() -> None:
    rows = one_user(("1", 1), ("2", 2), ("3", 3), ("4", 4))
    titles = {"1": "Matrix, The (1999)", "2": "The Matrix (1999)", "3": " ", "9": "Unseen (2000)"}
    catalog = prepare(raw_log(rows, titles), KEEP_ALL).made.catalog
    expected = ["The Matrix (1999)", "The Matrix (1999) [2]", "3", "4"]
    assert catalog.table[TITLE].to_pylist() == expected
    raw = ["Matrix, The (1999)", "The Matrix (1999)", "", ""]
    assert catalog.table[RAW_TITLE].to_pylist() == raw
    assert (catalog.missing, catalog.shared, catalog.retitled) == (2, 1, 0)
