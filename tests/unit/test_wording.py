"""Choices as text, with a real tokenizer whose tokens end within words and characters."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genrec_cli.decoding.explain import explain
from genrec_cli.decoding.ragged import Float64, Int64
from genrec_cli.decoding.trie import build_trie
from genrec_cli.language.backbones.nano import train_tokenizer
from genrec_cli.language.prompt import tokenise_titles
from genrec_cli.language.wording import GOES_ON, Explanation, worded

TITLES = [
    "The Matrix (1999)",
    "The Matrix Reloaded (2003)",
    "Theremin (1993)",
    "Amélie (2001)",
    "Amèlie (2001)",
    "千と千尋の神隠し (2001)",
    "千年女優 (2001)",
    "参 (2001)",
]
TOKENIZER = train_tokenizer(["The Matrix (1999)", "Titles:\n"])  # anything else is bytes to it


class Even:
    """A session in which all tokens are equally likely."""

    users = size = 1

    def extend(self, parents: Int64, tokens: Int64) -> Int64:
        return np.arange(1, 1 + len(tokens))

    def logits(self, slots: Int64, rows: Int64, tokens: Int64) -> Float64:
        return np.zeros(len(tokens))

    def log_totals(self, slots: Int64) -> Float64:
        raise NotImplementedError

    def forget(self, user: int) -> None:
        raise NotImplementedError


def explanations(titles: Sequence[str]) -> list[Explanation]:
    tokens = tokenise_titles(TOKENIZER, titles)
    trie = build_trie((tokens.flat, tokens.offsets))
    (found,) = explain(Even(), trie, [np.arange(len(titles))])
    return [worded(TOKENIZER, choices) for choices in found]


def check(titles: Sequence[str]) -> None:
    for title, turns in zip(titles, explanations(titles), strict=True):
        assert "".join(turn["text"] for turn in turns) == title
        before = ""
        for turn in turns:
            for other in turn["others"]:
                goes_on = other["text"].endswith(GOES_ON)
                start = before + other["text"].removesuffix(GOES_ON)
                assert start in titles or (goes_on and any(t.startswith(start) for t in titles))
            before += turn["text"]


def test_stretches_join_to_the_title_and_others_begin_titles() -> None:
    check(TITLES)


@settings(max_examples=60)
@given(
    st.lists(
        st.text("aé千参 …(", min_size=1, max_size=8).filter(lambda t: not t.endswith(GOES_ON)),
        min_size=1,
        max_size=12,
        unique=True,
    )
)
def test_so_they_do_for_any_titles(titles: list[str]) -> None:
    check(titles)


@pytest.mark.parametrize(
    ("title", "stretches"),
    [
        ("The Matrix (1999)", ["The", " Matrix", " (1999)"]),
        ("Amélie (2001)", ["Am", "élie (2001)"]),  # é and è begin with the same byte
        ("千年女優 (2001)", ["", "千", "年女優 (2001)"]),
    ],
)
def test_a_character_is_never_cut(title: str, stretches: list[str]) -> None:
    turns = explanations(TITLES)[TITLES.index(title)]
    assert [turn["text"] for turn in turns][-len(stretches) :] == stretches
    assert not any("\ufffd" in part["text"] for turn in turns for part in (turn, *turn["others"]))
