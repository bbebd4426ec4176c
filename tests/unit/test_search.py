"""The exact search against a brute-force scoring of every title, on a small recurrent model."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pathmodel import (
    END,
    VOCABULARY,
    PathModel,
    Title,
    assert_same,
    listed,
    log_probabilities,
    ranked,
)

from genrec_cli.core.errors import ModelError
from genrec_cli.core.settings import Normaliser, SearchSettings
from genrec_cli.decoding.question import Question
from genrec_cli.decoding.search import Effort, best_first, search
from genrec_cli.decoding.steps import Session, StepModel
from genrec_cli.decoding.trie import build_trie

Titles = list[Title]
TITLES = st.lists(
    st.lists(st.integers(1, 3), max_size=7).map(lambda row: (*row, END)),
    min_size=1,
    max_size=40,
    unique=True,
)
PROMPTS = st.lists(st.lists(st.integers(1, VOCABULARY - 1), max_size=4), min_size=1, max_size=4)
OVER: st.SearchStrategy[Normaliser] = st.sampled_from(["catalog", "vocabulary"])
EFFORTS = st.builds(
    Effort,
    ahead=st.integers(0, 8),
    most=st.integers(1, 8),
    chunk=st.integers(1, 5),
    room=st.integers(1, 40),
)
WAYS = st.tuples(OVER, EFFORTS)


def draw_excluded(data: st.DataObject, titles: Titles, users: int) -> list[list[int]]:
    items = st.lists(st.integers(0, len(titles) - 1), max_size=len(titles))
    return [data.draw(items) for _ in range(users)]


@settings(max_examples=150)
@given(TITLES, PROMPTS, st.integers(1, 45), WAYS, st.integers(0, 99), st.data())
def test_the_search_finds_what_scoring_every_title_finds(
    titles: Titles,
    prompts: list[list[int]],
    k: int,
    way: tuple[Normaliser, Effort],
    seed: int,
    data: st.DataObject,
) -> None:
    over, effort = way
    model, exclude = PathModel(seed), draw_excluded(data, titles, len(prompts))
    ranking = best_first(
        model.start(prompts),
        build_trie(titles),
        Question(k, exclude),
        SearchSettings(over=over),
        effort,
    )
    assert ranking.items.shape == ranking.scores.shape == (len(prompts), k)
    assert ranking.items.dtype == np.int32
    assert ranking.scores.dtype == np.float32
    assert ranking.exact.tolist() == [True] * len(prompts)
    for user, prompt in enumerate(prompts):
        scores = log_probabilities(model, titles, prompt, over)
        allowed = sorted(set(range(len(titles))) - set(exclude[user]))
        assert_same(listed(ranking, user), ranked(scores, k, allowed))


@settings(max_examples=100)
@given(TITLES, PROMPTS, st.integers(1, 12), WAYS, st.integers(0, 99), st.data())
def test_with_a_prior_and_an_allow_list_it_is_exact_too(
    titles: Titles,
    prompts: list[list[int]],
    k: int,
    way: tuple[Normaliser, Effort],
    seed: int,
    data: st.DataObject,
) -> None:
    over, effort = way
    model, exclude = PathModel(seed), draw_excluded(data, titles, len(prompts))
    only = np.array(data.draw(st.lists(st.booleans(), min_size=len(titles), max_size=len(titles))))
    rng = np.random.default_rng(seed)
    prior = rng.normal(scale=4, size=(len(prompts), len(titles))).astype(np.float32)
    prior[rng.random(prior.shape) < 0.1] = -np.inf
    ranking = best_first(
        model.start(prompts),
        build_trie(titles),
        Question(k, exclude, only, prior),
        SearchSettings(over=over),
        effort,
    )
    for user, prompt in enumerate(prompts):
        log_probs = log_probabilities(model, titles, prompt, over)
        scores = (np.array(log_probs) + prior[user]).tolist()
        allowed = np.flatnonzero(only & (prior[user] > -np.inf)).tolist()
        assert_same(
            listed(ranking, user), ranked(scores, k, [i for i in allowed if i not in exclude[user]])
        )


@settings(max_examples=50)
@given(TITLES, PROMPTS, st.integers(1, 12), st.data())
def test_an_allow_list_without_a_prior_is_the_same_as_excluding_the_rest(
    titles: Titles, prompts: list[list[int]], k: int, data: st.DataObject
) -> None:
    model, trie = PathModel(), build_trie(titles)
    exclude = draw_excluded(data, titles, len(prompts))
    only = np.array(data.draw(st.lists(st.booleans(), min_size=len(titles), max_size=len(titles))))
    rest = [[*items, *np.flatnonzero(~only)] for items in exclude]
    by_mask = best_first(model.start(prompts), trie, Question(k, exclude, only))
    by_list = best_first(model.start(prompts), trie, Question(k, rest))
    assert by_mask.items.tolist() == by_list.items.tolist()
    assert by_mask.scores.tolist() == by_list.scores.tolist()


@settings(max_examples=30)
@given(TITLES, PROMPTS)
def test_the_probabilities_of_the_catalog_sum_to_one(
    titles: Titles, prompts: list[list[int]]
) -> None:
    nobody: list[list[int]] = [[] for _ in prompts]
    session = PathModel().start(prompts)
    ranking = best_first(session, build_trie(titles), Question(len(titles), nobody))
    assert np.exp(ranking.scores.astype(np.float64)).sum(1) == pytest.approx(1.0, abs=1e-5)


@settings(max_examples=50)
@given(TITLES, PROMPTS, st.integers(1, 6), OVER, st.data())
def test_a_user_alone_gets_what_she_gets_in_a_batch(
    titles: Titles, prompts: list[list[int]], k: int, over: Normaliser, data: st.DataObject
) -> None:
    trie, exclude = build_trie(titles), draw_excluded(data, titles, len(prompts))
    how = SearchSettings(over=over)
    batch = best_first(PathModel().start(prompts), trie, Question(k, exclude), how)
    for user, prompt in enumerate(prompts):
        question = Question(k, exclude[user : user + 1])
        alone = best_first(PathModel().start([prompt]), trie, question, how)
        assert_same(listed(alone, 0), listed(batch, user))


@settings(max_examples=80)
@given(TITLES, PROMPTS, st.integers(1, 12), OVER, st.integers(1, 30), st.data())
def test_under_a_budget_k_different_allowed_titles_come_with_true_scores(
    titles: Titles,
    prompts: list[list[int]],
    k: int,
    over: Normaliser,
    budget: int,
    data: st.DataObject,
) -> None:
    model, exclude = PathModel(sharpness=1), draw_excluded(data, titles, len(prompts))
    how = SearchSettings(over=over, budget=budget)
    ranking = best_first(model.start(prompts), build_trie(titles), Question(k, exclude), how)
    for user, prompt in enumerate(prompts):
        found = listed(ranking, user)
        scores = log_probabilities(model, titles, prompt, over)
        allowed = sorted(set(range(len(titles))) - set(exclude[user]))
        assert {item for item, _ in found} <= set(allowed)
        assert len({item for item, _ in found}) == len(found) == min(k, len(allowed))
        assert_same(found, [(item, scores[item]) for item, _ in found])
        assert [s for _, s in found] == sorted((s for _, s in found), reverse=True)
        if ranking.exact[user]:
            assert_same(found, ranked(scores, k, allowed))


def many_titles() -> Titles:
    return [
        (a, b, c, d, END) for a in range(1, 6) for b in (1, 2, 3) for c in (4, 5) for d in (6, 7)
    ]


def test_a_budget_is_kept_to_the_last_pass_and_what_fills_the_list() -> None:
    session = PathModel(sharpness=0).start([[1]])
    how, effort = SearchSettings(budget=6), Effort(ahead=0)
    ranking = best_first(session, build_trie(many_titles()), Question(2, [[]]), how, effort)
    assert not ranking.exact[0]
    assert (ranking.items[0] >= 0).all()
    assert session.tokens_run <= 6 + 2 + 3 * 2  # one pass beyond, then two paths to their ends


def test_without_time_the_list_is_full_and_not_called_exact() -> None:
    session = PathModel().start([[1], [2]])
    how = SearchSettings(milliseconds=1e-6)
    ranking = best_first(session, build_trie(many_titles()), Question(5, [[], []]), how)
    assert ranking.exact.tolist() == [False, False]
    assert (ranking.items >= 0).all()


def test_a_generous_budget_changes_nothing() -> None:
    trie, question = build_trie(many_titles()), Question(5, [[]])
    free = best_first(PathModel().start([[1]]), trie, question)
    how = SearchSettings(budget=10**6, milliseconds=1e9)
    bound = best_first(PathModel().start([[1]]), trie, question, how)
    assert bound.exact.all()
    assert bound.items.tolist() == free.items.tolist()


def test_no_node_is_run_that_k_titles_beat() -> None:
    """The nodes any exact search must run are those that the k-th title does not beat."""
    titles, model = many_titles(), PathModel(3)
    session = model.start([[1, 2]])
    question, effort = Question(3, [[]]), Effort(ahead=0, most=1)  # one node at a time
    ranking = best_first(session, build_trie(titles), question, effort=effort)
    kth = ranking.scores[0, -1]
    needed = sum(score >= kth for score in beginnings(model, titles, [1, 2]))
    assert session.tokens_run == needed


def beginnings(model: PathModel, titles: Titles, prompt: Sequence[int]) -> list[float]:
    """Log-probabilities of all unfinished beginnings, by summing over the titles."""
    scores = np.exp(log_probabilities(model, titles, prompt, "catalog"))
    starts = {title[:length] for title in titles for length in range(1, 4)}
    return [
        float(np.log(sum(s for s, t in zip(scores, titles, strict=True) if t[: len(b)] == b)))
        for b in starts
    ]


@pytest.mark.parametrize("over", ["catalog", "vocabulary"])
def test_forgotten_beginnings_are_run_again(over: Normaliser) -> None:
    titles, model = many_titles(), PathModel(1)
    how, question = SearchSettings(over=over), Question(60, [[], [], []])
    prompts = [[1], [2], [3]]
    free = model.start(prompts)
    expected = best_first(free, build_trie(titles), question, how)
    tight = model.start(prompts)
    effort = Effort(room=12, most=2)
    found = best_first(tight, build_trie(titles), question, how, effort)
    assert found.items.tolist() == expected.items.tolist()
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    assert tight.tokens_run > free.tokens_run
    assert tight.most_kept <= 12 < free.most_kept


def test_a_catalog_of_one_item_needs_no_token_run() -> None:
    session = PathModel().start([[1], [2]])
    ranking = best_first(session, build_trie([(3, 4, END)]), Question(2, [[], []]))
    assert ranking.items.tolist() == [[0, -1], [0, -1]]
    assert ranking.scores[:, 0].tolist() == [0, 0]
    assert session.tokens_run == 0


def test_titles_that_all_begin_alike_are_told_apart_behind_the_shared_tokens() -> None:
    model, titles = PathModel(), [(5, 6, 1, END), (5, 6, 2, 3, END), (5, 6, 2, 4, END)]
    session = model.start([[1, 2]])
    ranking = best_first(session, build_trie(titles), Question(3, [[]]))
    scores = log_probabilities(model, titles, [1, 2], "catalog")
    assert_same(listed(ranking, 0), ranked(scores, 3, range(3)))
    # 5 6 once, then 2 once: what follows 1, 3 and 4 is forced and is not run.
    assert (session.tokens_run, session.calls) == (3, 2)


def test_everything_excluded_leaves_an_empty_ranking() -> None:
    exclude = [np.arange(2), np.array([], dtype=np.int64)]
    trie = build_trie([(1, END), (2, END)])
    ranking = best_first(PathModel().start([[1], [1]]), trie, Question(2, exclude))
    assert ranking.items[0].tolist() == [-1, -1]
    assert sorted(ranking.items[1].tolist()) == [0, 1]
    assert ranking.exact.all()


def test_equal_scores_are_ordered_by_item_number() -> None:
    model, trie = PathModel(sharpness=0), build_trie([(5, 0), (2, 3, 0), (2, 1, 0), (4, 0), (1, 0)])
    assert best_first(model.start([[1]]), trie, Question(5, [[]])).items.tolist() == [
        [0, 3, 4, 1, 2]
    ]
    assert best_first(model.start([[1]]), trie, Question(2, [[]])).items.tolist() == [[0, 3]]


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (Question(0, [[]]), "not 0"),
        (Question(1, []), "1 prompts, but 0 lists"),
        (Question(1, [[7]]), "no item 7 in a catalog of 2"),
        (Question(1, [[-1]]), "no item -1"),
        (Question(1, [[]], only=np.ones(3, dtype=bool)), r"mask of shape \(3,\) for 2 items"),
        (Question(1, [[]], prior=np.zeros((1, 3), np.float32)), r"prior of shape \(1, 3\)"),
        (Question(1, [[]], prior=np.full((1, 2), np.nan, np.float32)), "and a number"),
        (Question(1, [[]], prior=np.full((1, 2), np.inf, np.float32)), "below infinity"),
    ],
)
@pytest.mark.parametrize("method", ["exact", "beam"])
def test_a_wrong_question_is_refused(question: Question, message: str, method: str) -> None:
    session = PathModel().start([[1]])
    trie = build_trie([(1, END), (2, END)])
    how = SearchSettings.model_validate({"method": method})
    with pytest.raises(ValueError, match=message):
        search(session, trie, question, how)
    assert session.tokens_run == 0


@pytest.mark.parametrize("over", ["catalog", "vocabulary"])
def test_a_model_gone_to_nan_is_an_error_not_a_short_ranking(over: Normaliser) -> None:
    session = PathModel(sharpness=np.nan).start([[1]])
    with pytest.raises(ModelError, match="not all finite"):
        best_first(
            session, build_trie([(1, END), (2, END)]), Question(1, [[]]), SearchSettings(over=over)
        )


def test_the_fakes_fit_the_protocols() -> None:
    model: StepModel[Sequence[int]] = PathModel()
    session: Session = model.start([[1]])
    assert best_first(session, build_trie([(1, END)]), Question(1, [[]])).items.tolist() == [[0]]
