import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec_cli.decoding.pool import Allowed, Hypotheses, drop_beaten, keep_best, to_ranking
from genrec_cli.decoding.trie import build_trie

# Items 0 to 3 end after their first token, items 4 and 5 share one: nodes 1 to 4, and node 5.
TRIE = build_trie([[1, 0], [2, 0], [3, 0], [4, 0], [5, 1, 0], [5, 2, 0]])
OPEN = 5
# Few scores, so that many are equal.
ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, OPEN), st.integers(-3, 0)), max_size=30)


def pool_of(rows: list[tuple[int, int, float]]) -> Hypotheses:
    columns = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    user, edge = columns[:2].astype(np.int64)
    return Hypotheses(user, edge, np.arange(len(user)), columns[2])


def order(row: tuple[int, int, float]) -> tuple[int, float, bool, int]:
    user, edge, score = row
    return user, -score, edge == OPEN, edge


@given(ROWS, st.integers(1, 5))
def test_keep_best_is_sorting_and_cutting_each_user(
    rows: list[tuple[int, int, float]], width: int
) -> None:
    expected = [
        row
        for user in range(4)
        for row in sorted((row for row in rows if row[0] == user), key=order)[:width]
    ]
    best = keep_best(TRIE, pool_of(rows), width)
    assert list(zip(best.user, best.edge, best.score, strict=True)) == expected
    for row, slot in zip(expected, best.slot, strict=True):
        assert rows[slot] == row


def test_a_beginning_is_beaten_only_by_k_better_titles() -> None:
    rows = [(0, 1, -1.0), (0, OPEN, -1.5), (0, 2, -2.0), (0, OPEN, -2.0), (0, OPEN, -2.5)]
    other = [(1, 1, -1.0), (1, OPEN, -9.0)]
    left = drop_beaten(TRIE, keep_best(TRIE, pool_of(rows + other), 9), k=2)
    assert list(zip(left.user, left.edge, left.score, strict=True)) == rows[:4] + other


def test_a_beginning_lives_while_one_of_its_titles_is_allowed() -> None:
    pool = pool_of([(0, OPEN, -1.0), (1, OPEN, -1.0), (1, 2, -1.0), (2, OPEN, -1.0), (2, 2, 0.0)])
    allowed = Allowed(TRIE, [[4, 5, 5], [5, 1], np.array([], dtype=np.int64)])
    left = allowed.among(pool)
    assert list(zip(left.user, left.edge, strict=True)) == [(1, OPEN), (2, OPEN), (2, 2)]


def test_an_item_outside_the_catalog_cannot_be_excluded() -> None:
    with pytest.raises(ValueError, match="no item 6 in a catalog of 6"):
        Allowed(TRIE, [[0], [6]])


def test_a_ranking_is_padded_for_users_with_little_or_nothing() -> None:
    pool = keep_best(TRIE, pool_of([(2, 1, -0.5), (0, 3, -1.0), (2, 2, -0.25)]), 2)
    items, scores = to_ranking(TRIE, pool, n_users=3, k=2)
    assert items.tolist() == [[2, -1], [-1, -1], [1, 0]]
    assert scores.tolist() == [[-1.0, -np.inf], [-np.inf, -np.inf], [-0.25, -0.5]]
