import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from genrec_cli.decoding.pool import Hypotheses, best, kth_bounds, none, places, to_ranking
from genrec_cli.decoding.ragged import BoolArray
from genrec_cli.decoding.trie import build_trie

# Items 0 to 3 end after their first token, items 4 and 5 share one: nodes 1 to 4, and node 5.
TRIE = build_trie([[1, 0], [2, 0], [3, 0], [4, 0], [5, 1, 0], [5, 2, 0]])
OPEN = 5
Row = tuple[int, int, float]
# Few bounds, so that many are equal.
ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, OPEN), st.integers(-3, 0)), max_size=30)


def pool_of(rows: list[Row]) -> Hypotheses:
    columns = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    user, node = columns[:2].astype(np.int64)
    return Hypotheses(user, node, np.arange(len(user)), columns[2], columns[2])


def finished(pool: Hypotheses) -> BoolArray:
    return np.not_equal(pool.node, OPEN)


def order(row: Row) -> tuple[int, float, bool, int]:
    user, node, bound = row
    return user, -bound, node == OPEN, node


@given(ROWS, st.integers(1, 5))
def test_the_best_are_what_sorting_and_cutting_each_user_leaves(
    rows: list[Row], width: int
) -> None:
    expected = [
        row
        for user in range(4)
        for row in sorted((row for row in rows if row[0] == user), key=order)[:width]
    ]
    pool = pool_of(rows)
    assert [rows[row] for row in best(TRIE, pool, width, finished(pool))] == expected


def test_of_nothing_nothing_is_best() -> None:
    assert best(TRIE, none(), 3, np.zeros(0, dtype=bool)).tolist() == []


@given(ROWS, st.integers(1, 5))
def test_the_bound_to_reach_is_that_of_the_kth_title(rows: list[Row], k: int) -> None:
    pool = pool_of(rows)
    titles = pool.take(best(TRIE, pool, 9, finished(pool)))
    for user, bound in enumerate(kth_bounds(titles, 5, k)):
        bounds = sorted((row[2] for row in rows if row[0] == user), reverse=True)[:9]
        assert bound == (bounds[k - 1] if len(bounds) >= k else -np.inf)


def test_a_ranking_is_padded_for_users_with_little_or_nothing() -> None:
    pool = pool_of([(0, 3, -1.0), (2, 2, -0.25), (2, 1, -0.5)])
    assert places(pool.user).tolist() == [0, 0, 1]
    exact = np.array([True, False, True])
    items, scores, proven = to_ranking(TRIE, pool, exact, k=2)
    assert items.tolist() == [[2, -1], [-1, -1], [1, 0]]
    assert scores.tolist() == [[-1.0, -np.inf], [-np.inf, -np.inf], [-0.25, -0.5]]
    assert proven.tolist() == exact.tolist()
