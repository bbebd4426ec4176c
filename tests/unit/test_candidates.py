import numpy as np
import pytest
from test_pool import OPEN, TRIE, pool_of

from genrec_cli.decoding.candidates import Candidates
from genrec_cli.decoding.question import Exclude, Question

POOL = [(0, OPEN, -1.0), (1, OPEN, -1.0), (1, 2, -1.0), (2, OPEN, -1.0), (2, 2, 0.0)]
EXCLUDE: Exclude = [[4, 5, 5], [5, 1], np.array([], dtype=np.int64)]


def left(question: Question) -> list[tuple[int, int, float]]:
    pool = Candidates(TRIE, question, users=3).among(pool_of([*POOL]))
    return list(zip(pool.user.tolist(), pool.node.tolist(), pool.bound.tolist(), strict=True))


def test_a_beginning_lives_while_one_of_its_titles_is_allowed() -> None:
    assert left(Question(1, EXCLUDE)) == [(1, OPEN, -1.0), (2, OPEN, -1.0), (2, 2, 0.0)]


def test_an_allow_list_holds_for_everybody() -> None:
    only = np.array([True, False, True, True, False, True])
    assert left(Question(1, EXCLUDE, only)) == [(2, OPEN, -1.0)]


def test_the_bound_holds_the_best_prior_of_what_is_allowed_below() -> None:
    prior = np.tile(np.array([0, -3, 0, 0, -7, -2], dtype=np.float32), (3, 1))
    question = Question(1, EXCLUDE, prior=prior)
    assert left(question) == [(1, OPEN, -8.0), (2, OPEN, -3.0), (2, 2, -3.0)]
    only = np.array([True, True, True, True, True, False])
    question = Question(1, EXCLUDE, only, prior)
    assert left(question) == [(1, OPEN, -8.0), (2, OPEN, -8.0), (2, 2, -3.0)]


def test_an_item_outside_the_catalog_cannot_be_excluded() -> None:
    with pytest.raises(ValueError, match="no item 6 in a catalog of 6"):
        Candidates(TRIE, Question(1, [[0], [6]]), users=2)
