"""The beam search: k true titles always, and the true ranking when it is wide enough."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pathmodel import END, PathModel, Title, assert_same, listed, log_probabilities, ranked
from test_search import OVER, PROMPTS, TITLES, Titles, draw_excluded

from genrec_cli.core.settings import Normaliser, SearchSettings
from genrec_cli.decoding.question import Question
from genrec_cli.decoding.search import beam_search
from genrec_cli.decoding.trie import build_trie


@settings(max_examples=100)
@given(TITLES, PROMPTS, st.integers(1, 12), st.integers(1, 45), OVER, st.data())
def test_a_beam_returns_k_different_allowed_titles_and_knows_when_they_are_the_best(
    titles: Titles,
    prompts: list[list[int]],
    k: int,
    beams: int,
    over: Normaliser,
    data: st.DataObject,
) -> None:
    model, exclude = PathModel(), draw_excluded(data, titles, len(prompts))
    how = SearchSettings(method="beam", beams=beams, over=over)
    ranking = beam_search(model.start(prompts), build_trie(titles), Question(k, exclude), how)
    for user, prompt in enumerate(prompts):
        found = listed(ranking, user)
        scores = log_probabilities(model, titles, prompt, over)
        allowed = sorted(set(range(len(titles))) - set(exclude[user]))
        assert {item for item, _ in found} <= set(allowed)
        assert len({item for item, _ in found}) == len(found) == min(k, len(allowed))
        assert_same(found, [(item, scores[item]) for item, _ in found])
        if ranking.exact[user]:
            assert_same(found, ranked(scores, k, allowed))
        assert ranking.exact[user] or beams < len(allowed)


def test_excluded_titles_never_take_a_place_in_the_beam() -> None:
    model = PathModel(sharpness=9)
    titles: Titles = [(a, b, END) for a in range(1, 7) for b in range(1, 7)]
    scores = log_probabilities(model, titles, [1], "catalog")
    order = [item for item, _ in ranked(scores, 36, range(36))]
    how = SearchSettings(beams=3)
    question = Question(3, [order[:33]])
    ranking = beam_search(model.start([[1]]), build_trie(titles), question, how)
    assert ranking.items.tolist() == [order[33:]]


@pytest.mark.parametrize(("beams", "run"), [(1, 2), (3, 6), (8, 12)])
def test_no_more_beginnings_are_run_than_there_are_beams(beams: int, run: int) -> None:
    titles: list[Title] = [(a, b, c, END) for a in range(1, 5) for b in (3, 4) for c in (5, 6)]
    session = PathModel(sharpness=0).start([[1]])  # no title beats a beginning before the last step
    beam_search(session, build_trie(titles), Question(1, [[]]), SearchSettings(beams=beams))
    assert session.tokens_run == run


def test_a_prior_orders_the_beam() -> None:
    titles: list[Title] = [(a, b, END) for a in (1, 2, 3) for b in (4, 5)]
    prior = np.array([[0, 0, 0, 0, 0, 50]], dtype=np.float32)
    question = Question(1, [[]], prior=prior)
    session = PathModel().start([[1]])
    ranking = beam_search(session, build_trie(titles), question, SearchSettings(beams=1))
    assert ranking.items.tolist() == [[5]]
