from collections import Counter
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from small_data import KEEP_ALL, Row, raw_log

from genrec_cli.core.errors import DataError
from genrec_cli.core.schema import CATALOG, ITEM_ID, RAW_TITLE, SEQUENCES, TITLE, TRAIN_COUNT
from genrec_cli.core.settings import PrepareSettings
from genrec_cli.data.build import Built, build
from genrec_cli.data.dataset import content_hash
from genrec_cli.data.ids import natural_order

FILE_TIES = PrepareSettings(min_user=1, min_item=1, ties="file")

# Few users, items and times, so that ties and repeats are common; three rows make a user.
ROWS = st.lists(
    st.tuples(st.sampled_from("uvw"), st.sampled_from("abcde"), st.integers(0, 3)), min_size=9
)


def sequences(built: Built) -> dict[str, list[str]]:
    """User id -> item ids in order."""
    ids = built.catalog[ITEM_ID].to_pylist()
    rows = built.sequences.to_pylist()
    return {row["user_id"]: [ids[item] for item in row["items"]] for row in rows}


def has_somebody_to_keep(rows: list[Row]) -> bool:
    return max(Counter(user for user, _, _ in rows).values()) >= 3


def one_user(*events: tuple[str, int]) -> list[Row]:
    return [("u", item, time) for item, time in events]


@pytest.mark.parametrize("settings", [KEEP_ALL, FILE_TIES])
def test_items_stand_in_time_order(settings: PrepareSettings) -> None:
    rows = [("u", "c", 30), ("v", "a", 9), ("u", "a", -5), ("v", "b", 8), ("u", "b", 7)]
    built = build(raw_log([*rows, ("v", "c", 10)]), settings)
    assert sequences(built) == {"u": ["a", "b", "c"], "v": ["b", "a", "c"]}
    times = [row["timestamps"] for row in built.sequences.to_pylist()]
    assert times == [[-5, 7, 30], [8, 9, 10]]


def test_the_file_decides_on_equal_times_if_asked() -> None:
    tied = [str(37 * place % 100) for place in range(100)]  # enough for an unstable sort to show
    forth = one_user(*((item, 1) for item in tied), ("first", 0))
    assert sequences(build(raw_log(forth), FILE_TIES)) == {"u": ["first", *tied]}
    back = build(raw_log(forth[::-1]), FILE_TIES)
    assert sequences(back) == {"u": ["first", *tied[::-1]]}


def test_the_hash_orders_equal_times_by_neither_file_nor_id() -> None:
    letters = "abcdefgh"
    rows = [(user, item, 1) for user in "uvw" for item in letters]
    orders = sequences(build(raw_log(rows), KEEP_ALL))
    assert all(sorted(order) == list(letters) for order in orders.values())
    assert len({tuple(order) for order in [list(letters), *orders.values()]}) == 4


@given(ROWS, st.randoms(use_true_random=False), st.integers(0, 2))
def test_shuffling_the_rows_changes_nothing(rows: list[Row], random: Random, seed: int) -> None:
    assume(has_somebody_to_keep(rows))
    settings = PrepareSettings(min_user=1, min_item=1, seed=seed)
    shuffled = random.sample(rows, len(rows))
    one, other = build(raw_log(rows), settings), build(raw_log(shuffled), settings)
    assert content_hash(one.catalog, one.sequences) == content_hash(other.catalog, other.sequences)


@given(ROWS)
def test_train_counts_leave_out_the_last_two_of_everybody(rows: list[Row]) -> None:
    assume(has_somebody_to_keep(rows))
    built = build(raw_log(rows), KEEP_ALL)
    training = Counter(item for items in sequences(built).values() for item in items[:-2])
    ids, counts = built.catalog[ITEM_ID].to_pylist(), built.catalog[TRAIN_COUNT].to_pylist()
    assert dict(zip(ids, counts, strict=True)) == {item: training[item] for item in ids}


def test_the_tables_have_the_schemas_of_the_design() -> None:
    built = build(raw_log(one_user(("a", 1), ("b", 2), ("c", 3))), KEEP_ALL)
    assert built.catalog.schema == CATALOG
    assert built.sequences.schema == SEQUENCES


@pytest.mark.parametrize(
    ("ids", "ordered"),
    [
        (["10", "9", "1"], ["1", "9", "10"]),
        (["b", "10", "a", "2"], ["2", "10", "a", "b"]),
        (["007", "7", "6"], ["6", "007", "7"]),  # equal values fall back to the text
        (["-1", "1", "x"], ["1", "-1", "x"]),  # a minus makes a word
        (["i10", "i9"], ["i10", "i9"]),
    ],
)
def test_ids_stand_in_natural_order(ids: list[str], ordered: list[str]) -> None:
    assert [ids[place] for place in natural_order(ids)] == ordered
    users = [(user, item, place) for user in ids for place, item in enumerate("abc")]
    assert list(sequences(build(raw_log(users), KEEP_ALL))) == ordered
    items = [("u", item, place) for item in ids for place in range(3)]
    assert build(raw_log(items), KEEP_ALL).catalog[ITEM_ID].to_pylist() == ordered


@pytest.mark.parametrize("least", [1, 3])
def test_a_user_with_two_items_is_left_out_and_counted(least: int) -> None:
    rows = [*one_user(("a", 1), ("b", 2), ("c", 3)), ("short", "a", 1), ("short", "d", 2)]
    built = build(raw_log(rows), PrepareSettings(min_user=least, min_item=1))
    assert list(sequences(built)) == ["u"]
    assert built.catalog[ITEM_ID].to_pylist() == ["a", "b", "c"]
    assert [(s.step, s.rows, s.users, s.items) for s in built.funnel] == [
        ("read", 5, 2, 4),
        ("users with ≥ 3 events, items with ≥ 1", 3, 1, 3),
    ]


def test_the_funnel_shows_what_the_rating_dropped() -> None:
    rows = one_user(("a", 1), ("b", 2), ("c", 3), ("d", 4))
    settings = PrepareSettings(min_user=1, min_item=1, min_rating=3.5)
    built = build(raw_log(rows, ratings=[4, 3.5, 5, 3]), settings)
    assert [(s.step, s.rows) for s in built.funnel[:2]] == [("read", 4), ("rated 3.5 or more", 3)]


def test_a_log_of_which_nothing_is_left_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        build(raw_log(one_user(("a", 1), ("b", 2))), PrepareSettings())
    assert caught.value.message == (
        "no event of 2 is left after the filters (users with ≥ 5 events, items with ≥ 5)"
    )
    assert caught.value.fix == "lower --min-user, --min-item or --min-rating"


def test_titles_are_mended_missing_ones_replaced_and_doubles_told_apart() -> None:
    rows = one_user(("1", 1), ("2", 2), ("3", 3), ("4", 4))
    titles = {"1": "Matrix, The (1999)", "2": "The Matrix (1999)", "3": " ", "9": "Unseen (2000)"}
    built = build(raw_log(rows, titles), KEEP_ALL)
    expected = ["The Matrix (1999)", "The Matrix (1999) [2]", "3", "4"]
    assert built.catalog[TITLE].to_pylist() == expected
    assert built.catalog[RAW_TITLE].to_pylist() == [*titles.values()][:3] + [""]
    assert built.findings["titles"] == {"missing": 2, "disambiguated": 1}


@pytest.mark.parametrize("rule", ["hash", "file"])
def test_users_whose_test_item_a_tie_decides_are_counted(rule: str) -> None:
    tied = [("tied", item, time) for item, time in (("a", 1), ("b", 2), ("c", 2))]
    early = [("early", item, time) for item, time in (("a", 1), ("b", 1), ("c", 2))]
    settings = PrepareSettings.model_validate({"min_user": 1, "min_item": 1, "ties": rule})
    built = build(raw_log(tied + early), settings)
    assert built.findings["ties"] == {"rule": rule, "users": 1, "share": 0.5}
