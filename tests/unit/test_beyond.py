from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from small_data import dataset_of, items_of

from genrec_cli.data.dataset import Dataset
from genrec_cli.evaluation.beyond import beyond_accuracy
from genrec_cli.recommenders.base import Items

TITLES = ["Alien", "Aliens Return", "The Return", "Heat", "Heat Two", "!!!", "M"]
COUNTS = [7, 3, 3, 1, 0, 0, 11]  # with one more each: 8, 4, 4, 2, 1, 1, 12 of 32

FIRST, SECOND = [0, 1, 3], [0, 2, -1]
HISTORIES = [items_of(6, 3), items_of(4, 2, 3)]


def world(titles: Sequence[str] = TITLES, counts: Sequence[int] = COUNTS) -> Dataset:
    empty = dataset_of([[0, 1, 2]], items=len(titles))
    return replace(empty, titles=list(titles), train_counts=np.array(counts))


def lists(*rows: Sequence[int]) -> NDArray[np.int32]:
    return np.array(rows, dtype=np.int32)


def test_a_table_by_hand() -> None:
    found = beyond_accuracy(lists(FIRST, SECOND), world(), HISTORIES)
    assert list(found) == ["coverage", "gini", "novelty", "popularity_lift", "diversity"]
    assert found["coverage"] == pytest.approx(4 / 7)
    # Listed 0, 0, 0, 1, 1, 1, 2 times: sum of (2 i - 8) x_i over 7 * 5, i from 1.
    assert found["gini"] == pytest.approx((0 + 2 + 4 + 2 * 6) / 35)
    # Items 0, 1, 2 and 3 tell 2, 3, 3 and 4 bits.
    assert found["novelty"] == pytest.approx(((2 + 3 + 4) / 3 + (2 + 3) / 2) / 2)
    # Lists: (7 + 3 + 1) / 3 and (7 + 3) / 2; histories: (11 + 1) / 2 and (0 + 3 + 1) / 3.
    of_lists, of_histories = (11 / 3 + 5) / 2, (6 + 4 / 3) / 2
    assert found["popularity_lift"] == pytest.approx(of_lists / of_histories - 1)
    assert found["diversity"] == pytest.approx(1.0)  # no word is in two titles of a list


def test_titles_that_share_words_are_less_diverse() -> None:
    # "heat" is in 2 of 7 titles, "two" in 1: idf = ln(8 / 3) + 1 and ln(8 / 2) + 1.
    heat, two = np.log(8 / 3) + 1, np.log(8 / 2) + 1
    cosine = heat / np.hypot(heat, two)
    found = beyond_accuracy(lists([3, 4], [0, 3]), world(), HISTORIES)
    assert found["diversity"] == pytest.approx(((1 - cosine) + 1) / 2)


def test_a_list_of_one_title_again_and_again_has_no_diversity() -> None:
    found = beyond_accuracy(lists([1, 1, 1]), world(), HISTORIES[:1])
    assert found["diversity"] == pytest.approx(0.0)


def test_a_title_without_a_word_is_like_itself_only() -> None:
    found = beyond_accuracy(lists([5, 6, 5]), world(), HISTORIES[:1])
    assert found["diversity"] == pytest.approx(2 / 3)  # one pair of three is the same title
    found = beyond_accuracy(lists([0, 1]), world(["!!!", "???"], [1, 1]), [items_of(1)])
    assert found["diversity"] == pytest.approx(1.0)


@given(st.lists(st.lists(st.integers(-1, 6), min_size=4, max_size=4), min_size=1, max_size=8))
def test_diversity_is_the_mean_over_pairs(rows: list[list[int]]) -> None:
    vectors = TfidfVectorizer().fit_transform(["none" if t in "!!!M" else t for t in TITLES])
    cosines = (vectors @ vectors.T).toarray()
    for item in (5, 6):  # words to us, and none to scikit-learn's own pattern
        cosines[item], cosines[:, item], cosines[item, item] = 0, 0, 1
    words = [row for row in rows if sum(item >= 0 for item in row) > 1]
    expected = [
        np.mean([1 - cosines[a, b] for a, b in combinations([i for i in row if i >= 0], 2)])
        for row in words
    ]
    found = beyond_accuracy(lists(*rows), world(), [items_of(0)] * len(rows))
    assert ("diversity" in found) == bool(expected)
    if expected:
        # The stand-in "none" changes no other title's weights: idf counts a word's own titles.
        assert found["diversity"] == pytest.approx(np.mean(expected), abs=1e-9)


def test_lists_of_the_same_favourites_show_little_and_are_popular() -> None:
    favourites = lists(*[[6, 0]] * 3)
    spread = lists([6, 0], [1, 2], [3, 4])
    histories = [items_of(1), items_of(2), items_of(3)]
    same, varied = (beyond_accuracy(items, world(), histories) for items in (favourites, spread))
    assert same["coverage"] < varied["coverage"]
    assert same["gini"] > varied["gini"]
    assert same["novelty"] < varied["novelty"]
    assert same["popularity_lift"] > varied["popularity_lift"]


def test_lists_as_popular_as_histories_have_no_lift() -> None:
    found = beyond_accuracy(lists([6, 3], [2, 4]), world(), [items_of(3, 6), items_of(4, 2)])
    assert found["popularity_lift"] == pytest.approx(0.0)


def test_who_gets_nothing_counts_for_nothing() -> None:
    nobody, histories = [-1, -1, -1], [*HISTORIES, items_of(6, 6)]
    with_nobody = beyond_accuracy(lists(FIRST, SECOND, nobody), world(), histories)
    assert with_nobody == beyond_accuracy(lists(FIRST, SECOND), world(), HISTORIES)


@pytest.mark.parametrize(
    ("items", "history", "undefined"),
    [
        ([[-1, -1]], items_of(0), {"gini", "novelty", "popularity_lift", "diversity"}),
        ([[3]], items_of(0), {"diversity"}),
        ([[3, -1]], items_of(0), {"diversity"}),
        ([[3, 0]], items_of(4, 5), {"popularity_lift"}),
    ],
)
def test_what_is_a_mean_of_nothing_is_left_out(
    items: list[list[int]], history: Items, undefined: set[str]
) -> None:
    found = beyond_accuracy(lists(*items), world(), [history])
    every = {"coverage", "gini", "novelty", "popularity_lift", "diversity"}
    assert found.keys() == every - undefined
    assert all(np.isfinite(value) for value in found.values())


def test_many_users_are_looked_at_in_blocks_and_give_the_same() -> None:
    rng = np.random.default_rng(0)
    some = rng.integers(-1, len(TITLES), size=(500, 4), dtype=np.int32)
    histories = [items_of(int(item)) for item in rng.integers(len(TITLES), size=500)]
    few = beyond_accuracy(some, world(), histories)
    many = beyond_accuracy(np.tile(some, (40, 1)), world(), histories * 40)
    assert many == pytest.approx(few)
