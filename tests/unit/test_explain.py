"""The choices along titles against brute force over the list of titles."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pathmodel import END, VOCABULARY, PathModel, Title, log_probabilities

from genrec_cli.decoding.explain import OTHERS, Choice, Edge, explain
from genrec_cli.decoding.trie import build_trie

TITLES = st.lists(
    st.lists(st.integers(1, 4), max_size=7).map(lambda row: (*row, END)),
    min_size=1,
    max_size=40,
    unique=True,
)
PROMPTS = st.lists(st.lists(st.integers(1, VOCABULARY - 1), max_size=4), min_size=1, max_size=4)


def tokens_after(titles: Sequence[Title], prefix: Title) -> list[int]:
    return sorted(
        {t[len(prefix)] for t in titles if t[: len(prefix)] == prefix and len(t) > len(prefix)}
    )


def naive_edge(titles: Sequence[Title], prefix: Title, probability: float) -> Edge:
    """The last token of a prefix, and all that is forced behind it."""
    end = prefix
    while len(following := tokens_after(titles, end)) == 1:
        end = (*end, *following)
    return Edge(end[len(prefix) - 1 :], probability, ends=not following)


def naive(
    model: PathModel, titles: Sequence[Title], prompt: Sequence[int], title: Title
) -> list[Choice]:
    choices: list[Choice] = []
    hidden = model.read(prompt)
    if len(tokens_after(titles, ())) == 1:
        choices.append(Choice(naive_edge(titles, title[:1], 1.0), ()))
    for place, token in enumerate(title):
        allowed = tokens_after(titles, title[:place])
        if len(allowed) > 1:
            weights = np.exp(model.head[allowed] @ hidden)
            edges = {
                one: naive_edge(titles, (*title[:place], one), float(weight / weights.sum()))
                for one, weight in zip(allowed, weights, strict=True)
            }
            taken = edges.pop(token)
            others = sorted(edges.values(), key=lambda edge: -edge.probability)
            choices.append(Choice(taken, tuple(others[:OTHERS])))
        hidden = model.after(hidden, token)
    return choices


def assert_same(found: Sequence[Choice], expected: Sequence[Choice]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        pairs = zip((one.taken, *one.others), (other.taken, *other.others), strict=True)
        for edge, naive_one in pairs:
            assert (edge.tokens, edge.ends) == (naive_one.tokens, naive_one.ends)
            assert edge.probability == pytest.approx(naive_one.probability, abs=1e-9)


@settings(max_examples=60)
@given(TITLES, PROMPTS, st.integers(0, 99), st.data())
def test_choices_are_those_of_brute_force(
    titles: list[Title], prompts: list[list[int]], seed: int, data: st.DataObject
) -> None:
    model = PathModel(seed)
    places = st.lists(st.integers(-1, len(titles) - 1), max_size=6)
    items = [data.draw(places) for _ in prompts]
    rows = [np.array(row, dtype=np.int32) for row in items]
    found = explain(model.start(prompts), build_trie(titles), rows)
    for prompt, row, explained in zip(prompts, items, found, strict=True):
        assert len(explained) == len(row)
        for item, choices in zip(row, explained, strict=True):
            expected = naive(model, titles, prompt, titles[item]) if item >= 0 else []
            assert_same(choices, expected)


@settings(max_examples=60)
@given(TITLES, st.integers(0, 99))
def test_tokens_join_to_the_title_and_probabilities_multiply_to_its_own(
    titles: list[Title], seed: int
) -> None:
    model = PathModel(seed)
    (found,) = explain(model.start([[3, 5]]), build_trie(titles), [np.arange(len(titles))])
    scores = log_probabilities(model, titles, [3, 5], "catalog")
    for title, score, choices in zip(titles, scores, found, strict=True):
        assert sum((choice.taken.tokens for choice in choices), ()) == title
        product = math.prod(choice.taken.probability for choice in choices)
        assert math.log(product) == pytest.approx(score, abs=1e-6)
        assert [choice.taken.ends for choice in choices] == [False] * (len(choices) - 1) + [True]


def test_a_shared_beginning_is_run_once_and_a_forced_end_never() -> None:
    titles = [(1, 2, 3, 4, END), (1, 2, 3, 5, 6, 6, END), (1, 7, END), (2, 3, END)]
    session = PathModel().start([[], [4]])
    explain(session, build_trie(titles), [np.array([0, 1, 3]), np.array([3])])
    # The first user chooses at the root, after 1 and after 1 2 3; the second at the root alone.
    assert (session.calls, session.tokens_run) == (1, 3)


@pytest.mark.parametrize(
    ("titles", "expected"),
    [
        ([(1, 2, END)], [[(1, 2, END)]]),
        ([(1, 2, 3, END), (1, 2, 4, END)], [[(1, 2), (3, END)], [(1, 2), (4, END)]]),
    ],
)
def test_what_all_titles_begin_with_is_certain(
    titles: list[Title], expected: list[list[Title]]
) -> None:
    session = PathModel().start([[]])
    (found,) = explain(session, build_trie(titles), [np.arange(len(titles))])
    assert [[choice.taken.tokens for choice in choices] for choices in found] == expected
    assert all(choices[0].taken.probability == 1 for choices in found)
    assert all(choices[0].others == () for choices in found)


def test_a_session_that_has_searched_already_can_be_asked() -> None:
    model, titles = PathModel(), [(1, 2, END), (1, 3, END), (2, END)]
    session = model.start([[4]])
    session.extend(np.array([0]), np.array([1]))
    (found,) = explain(session, build_trie(titles), [np.array([0])])
    assert_same(found[0], naive(model, titles, [4], titles[0]))
