"""Groups of decisions against reading the choices off the list of titles."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import END, Title
from torch import Tensor

from genrec_cli.decoding.trie import build_trie
from genrec_cli.language import choices
from genrec_cli.language.choices import Choices, Group, TrieChoices, VocabularyChoices

VOCABULARY = 12
Found = dict[int, tuple[set[int], int, float]]
"""Place -> tokens to choose among, the one chosen, and its weight."""

TITLES = st.lists(
    st.lists(st.integers(1, VOCABULARY - 1), min_size=1, max_size=5).map(
        lambda tokens: (*tokens, END)
    ),
    min_size=1,
    max_size=40,
    unique=True,
)


def written(
    titles: Sequence[Title], order: Sequence[int | None]
) -> tuple[Tensor, Tensor, Tensor, Found]:
    """Titles one after the other (None: three tokens of no title), and each token's choice."""
    trie = build_trie(titles)
    nodes: list[int] = []
    tokens: list[int] = []
    expected: Found = {}
    for item in order:
        node = 0
        for depth, token in enumerate((1, 2, 3) if item is None else titles[item]):
            place = len(tokens)
            nodes.append(-1 if item is None else node)
            tokens.append(token)
            if item is not None:
                start = titles[item][:depth]
                allowed = {t[depth] for t in titles if t[:depth] == start}
                expected[place] = allowed, token, 0.5 + place
                node = int(trie.step(np.array([node]), np.array([token]))[0])
    weights = torch.arange(len(tokens)) + 0.5
    return torch.tensor(nodes).long(), torch.tensor(tokens), weights, expected


def read(groups: Sequence[Group], vocabulary: int = VOCABULARY) -> Found:
    """What groups say, each place once."""
    found: Found = {}
    for group in groups:
        mask = None if group.allowed is None else group.allowed.mask(vocabulary)
        for row, place in enumerate(group.places.tolist()):
            if group.tokens is None:
                among = list(range(vocabulary))
                allowed = {t for t in among if mask is None or mask[row, t]}
            else:
                among = (group.tokens if group.tokens.ndim == 1 else group.tokens[row]).tolist()
                allowed = {t for t in among if t >= 0}
                assert len(allowed) == sum(t >= 0 for t in among)
            assert place not in found
            found[place] = allowed, among[int(group.picked[row])], float(group.weights[row])
    return found


ORDERS = st.lists(st.integers(-1, 39), max_size=30)


def orders_of(titles: Sequence[Title], numbers: Sequence[int]) -> list[int | None]:
    return [None if number < 0 else number % len(titles) for number in numbers]


@settings(max_examples=200)
@given(TITLES, ORDERS, st.sampled_from([1, 2, 4, 64, 10**9]))
def test_every_decision_is_scored_once_among_what_the_titles_allow(
    titles: list[Title], numbers: list[int], wide: int
) -> None:
    nodes, tokens, weights, expected = written(titles, orders_of(titles, numbers))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choices, "_WIDE", wide)
        groups = TrieChoices(build_trie(titles))(nodes, tokens, weights)
    # A forced token has probability one: it is no decision.
    assert read(groups) == {
        place: choice for place, choice in expected.items() if len(choice[0]) > 1
    }
    for group in groups:
        assert group.tokens is not None
        if group.tokens.ndim == 2:  # less than half is padding
            assert (group.tokens >= 0).sum(1).min() * 2 > group.tokens.shape[1]


@settings(max_examples=100)
@given(TITLES, ORDERS, st.booleans())
def test_over_the_vocabulary_every_target_token_is_scored_masked_or_not(
    titles: list[Title], numbers: list[int], masked: bool
) -> None:
    nodes, tokens, weights, expected = written(titles, orders_of(titles, numbers))
    choose: Choices = VocabularyChoices(build_trie(titles) if masked else None)
    everything = set(range(VOCABULARY))
    assert read(choose(nodes, tokens, weights)) == {
        place: (allowed if masked else everything, token, weight)
        for place, (allowed, token, weight) in expected.items()
    }


def test_decisions_at_a_wide_node_share_one_list_and_narrow_ones_go_together() -> None:
    titles: list[Title] = [(first, second, END) for first in range(1, 101) for second in (1, 2)]
    nodes, tokens, weights, _ = written(titles, range(0, 200, 3))
    groups = TrieChoices(build_trie(titles))(nodes, tokens, weights)
    shapes = sorted(tuple(group.tokens.shape) for group in groups if group.tokens is not None)
    assert shapes == [(67, 2), (100,)]


def test_narrow_nodes_go_together_by_the_power_of_two_above_their_children() -> None:
    titles: list[Title] = [
        (first, second, END) for first in range(1, 10) for second in range(1, 1 + first)
    ]
    nodes, tokens, weights, _ = written(titles, range(len(titles)))
    groups = TrieChoices(build_trie(titles))(nodes, tokens, weights)
    counts = sorted(
        sorted({len(row[row >= 0]) for row in group.tokens})
        for group in groups
        if group.tokens is not None and group.tokens.ndim == 2
    )
    # The root's nine children go with those of the ninth; a node of one child is no decision.
    assert counts == [[3, 4], [5, 6, 7, 8], [9]]
