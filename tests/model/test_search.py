"""The beam search against a brute-force scoring of every title, on a small recurrent model."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from genrec_cli.core.errors import ModelError
from genrec_cli.decoding.pool import Ranking
from genrec_cli.decoding.search import Session, StepModel, beam_search
from genrec_cli.decoding.trie import build_trie

torch.set_num_threads(1)

WIDTH, VOCABULARY, END = 8, 9, 0
Titles = list[tuple[int, ...]]
TITLES = st.lists(
    st.lists(st.integers(1, 3), max_size=7).map(lambda row: (*row, END)),
    min_size=1,
    max_size=40,
    unique=True,
)
PROMPTS = st.lists(st.lists(st.integers(1, VOCABULARY - 1), max_size=4), min_size=1, max_size=4)


class PathModel:
    """A hidden state is tanh(W parent + E token): it depends on the whole path and nothing else."""

    def __init__(self, seed: int = 0, sharpness: float = 3.0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.weight = torch.randn(WIDTH, WIDTH, generator=generator) / WIDTH**0.5
        self.embedding = torch.randn(VOCABULARY, WIDTH, generator=generator)
        self.head = sharpness * torch.randn(VOCABULARY, WIDTH, generator=generator)
        self.prompts_run = 0
        self.sessions: list[PathSession] = []

    def after(self, hidden: Tensor, token: int) -> Tensor:
        return torch.tanh(self.weight @ hidden + self.embedding[token])

    def read(self, prompt: Sequence[int]) -> Tensor:
        self.prompts_run += 1
        hidden = torch.zeros(WIDTH)
        for token in prompt:
            hidden = self.after(hidden, token)
        return hidden

    def start(self, prompts: Sequence[Sequence[int]]) -> "PathSession":
        root = torch.stack([self.read(prompt) for prompt in prompts])
        self.sessions.append(PathSession(self, root))
        return self.sessions[-1]


class PathSession:
    """Holds the state of every slot; padding is NaN, to show if it is ever used."""

    def __init__(self, model: PathModel, root: Tensor) -> None:
        self.model = model
        self.root = root
        self.slots: list[list[Tensor]] = [[] for _ in root]
        self.tokens_run = 0
        self.calls = 0

    def extend(self, tokens_BN: Tensor, parents_BN: Tensor) -> Tensor:
        assert tokens_BN.shape == parents_BN.shape
        self.calls += 1
        for user, row in enumerate(zip(tokens_BN.tolist(), parents_BN.tolist(), strict=True)):
            for token, parent in zip(*row, strict=True):
                self.slots[user].append(self.state(user, token, parent))
        width = tokens_BN.shape[1]
        return torch.stack([torch.stack(slots[-width:]) for slots in self.slots])

    def state(self, user: int, token: int, parent: int) -> Tensor:
        if token < 0:
            return torch.full((WIDTH,), torch.nan)
        self.tokens_run += 1
        before = self.root[user] if parent < 0 else self.slots[user][parent]
        return self.model.after(before, token)

    def logits(self, hidden_MD: Tensor, rows_T: Tensor, tokens_T: Tensor) -> Tensor:
        return (hidden_MD[rows_T] * self.model.head[tokens_T]).sum(-1)


def log_probabilities(model: PathModel, titles: Titles, prompt: Sequence[int]) -> list[float]:
    """Every title scored by itself, the allowed tokens read off the list of titles."""
    return [title_score(model, titles, model.read(prompt), title) for title in titles]


def title_score(model: PathModel, titles: Titles, hidden: Tensor, title: tuple[int, ...]) -> float:
    score = 0.0
    for i, token in enumerate(title):
        allowed = sorted({t[i] for t in titles if t[:i] == title[:i]})
        logits = model.head[allowed] @ hidden
        score += float(torch.log_softmax(logits.double(), 0)[allowed.index(token)])
        hidden = model.after(hidden, token)
    return score


def exhaustive(
    model: PathModel, titles: Titles, prompt: Sequence[int], k: int, exclude: Sequence[int]
) -> list[tuple[int, float]]:
    scores = log_probabilities(model, titles, prompt)
    allowed = [item for item in range(len(titles)) if item not in exclude]
    return [(i, scores[i]) for i in sorted(allowed, key=lambda i: (-scores[i], i))[:k]]


def listed(ranking: Ranking, user: int) -> list[tuple[int, float]]:
    """A user's items and scores, and a check that the padding comes last."""
    items, scores = ranking.items[user].tolist(), ranking.scores[user].tolist()
    found = [(item, score) for item, score in zip(items, scores, strict=True) if item >= 0]
    padding = len(items) - len(found)
    assert items == [item for item, _ in found] + [-1] * padding
    assert scores == [score for _, score in found] + [-np.inf] * padding
    return found


def assert_same(found: list[tuple[int, float]], expected: list[tuple[int, float]]) -> None:
    assert [item for item, _ in found] == [item for item, _ in expected]
    assert [s for _, s in found] == pytest.approx([s for _, s in expected], abs=1e-5)


def draw_excluded(data: st.DataObject, titles: Titles, users: int) -> list[list[int]]:
    items = st.lists(st.integers(0, len(titles) - 1), max_size=len(titles))
    return [data.draw(items) for _ in range(users)]


@settings(max_examples=60, deadline=None)
@given(TITLES, PROMPTS, st.integers(1, 45), st.integers(0, 99), st.data())
def test_a_beam_as_wide_as_the_catalog_finds_the_true_ranking(
    titles: Titles, prompts: list[list[int]], k: int, seed: int, data: st.DataObject
) -> None:
    model = PathModel(seed)
    exclude = draw_excluded(data, titles, len(prompts))
    beams = max(k, len(titles))
    ranking = beam_search(model, build_trie(titles), prompts, k, exclude, beams)
    for user, prompt in enumerate(prompts):
        expected = exhaustive(model, titles, prompt, k, exclude[user])
        assert_same(listed(ranking, user), expected)


@settings(max_examples=60, deadline=None)
@given(TITLES, PROMPTS, st.integers(1, 12), st.integers(0, 8), st.data())
def test_a_narrow_beam_returns_k_different_allowed_titles_with_true_scores(
    titles: Titles, prompts: list[list[int]], k: int, more: int, data: st.DataObject
) -> None:
    model = PathModel()
    exclude = draw_excluded(data, titles, len(prompts))
    ranking = beam_search(model, build_trie(titles), prompts, k, exclude, k + more)
    assert ranking.items.shape == ranking.scores.shape == (len(prompts), k)
    assert ranking.items.dtype == np.int32
    assert ranking.scores.dtype == np.float32
    for user, prompt in enumerate(prompts):
        found = listed(ranking, user)
        items = [item for item, _ in found]
        assert len(set(items)) == len(items) == min(k, len(titles) - len(set(exclude[user])))
        assert not set(items) & set(exclude[user])
        scores = log_probabilities(model, titles, prompt)
        assert [s for _, s in found] == pytest.approx([scores[i] for i in items], abs=1e-5)
        assert ranking.scores[user].tolist() == sorted(ranking.scores[user].tolist(), reverse=True)


@settings(max_examples=30, deadline=None)
@given(TITLES, PROMPTS)
def test_the_probabilities_of_the_catalog_sum_to_one(
    titles: Titles, prompts: list[list[int]]
) -> None:
    n = len(titles)
    nobody: list[list[int]] = [[] for _ in prompts]
    ranking = beam_search(PathModel(), build_trie(titles), prompts, n, nobody, n)
    assert np.exp(ranking.scores.astype(np.float64)).sum(1) == pytest.approx(1.0, abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(TITLES, PROMPTS, st.integers(1, 6), st.data())
def test_a_user_alone_gets_what_she_gets_in_a_batch(
    titles: Titles, prompts: list[list[int]], k: int, data: st.DataObject
) -> None:
    trie, exclude = build_trie(titles), draw_excluded(data, titles, len(prompts))
    batch = beam_search(PathModel(), trie, prompts, k, exclude, k)
    for user, prompt in enumerate(prompts):
        alone = beam_search(PathModel(), trie, [prompt], k, exclude[user : user + 1], k)
        assert_same(listed(alone, 0), listed(batch, user))


def test_a_catalog_of_one_item_needs_no_token_run() -> None:
    model = PathModel()
    ranking = beam_search(model, build_trie([[3, 4, END]]), [[1], [2]], 2, [[], []], 2)
    assert ranking.items.tolist() == [[0, -1], [0, -1]]
    assert ranking.scores[:, 0].tolist() == [0, 0]
    assert model.sessions[0].tokens_run == 0


def test_titles_that_all_begin_alike_are_told_apart_behind_the_shared_tokens() -> None:
    model, titles = PathModel(), [(5, 6, 1, END), (5, 6, 2, 3, END), (5, 6, 2, 4, END)]
    ranking = beam_search(model, build_trie(titles), [[1, 2]], 3, [[]], 3)
    assert_same(listed(ranking, 0), exhaustive(model, titles, [1, 2], 3, []))
    # 5 6 once, then 2 once: what follows 1, 3 and 4 is forced and is not run.
    assert (model.sessions[0].tokens_run, model.sessions[0].calls) == (3, 2)


def test_choices_and_forced_tokens_in_turn_keep_their_ancestors() -> None:
    model = PathModel()
    titles: Titles = [
        (a, 8, 7, b, 6, 5, 4, c, 3, 2, d, END) for a in (1, 2) for b in (1, 2) for c in (1, 2, 3)
        for d in ((4, 5, 6) if c < 3 else (7,))
    ]  # fmt: skip
    prompts, nothing = [[1], [2, 3], []], [[], [0, 1, 2], []]
    ranking = beam_search(model, build_trie(titles), prompts, 28, nothing, 28)
    for user, prompt in enumerate(prompts):
        assert_same(listed(ranking, user), exhaustive(model, titles, prompt, 28, nothing[user]))


def test_excluded_titles_never_take_a_place_in_the_beam() -> None:
    model = PathModel(sharpness=9)
    titles: Titles = [(a, b, END) for a in range(1, 7) for b in range(1, 7)]
    order = [item for item, _ in exhaustive(model, titles, [1], 36, [])]
    ranking = beam_search(model, build_trie(titles), [[1]], 3, [order[:33]], 3)
    assert ranking.items.tolist() == [order[33:]]


def test_everything_excluded_leaves_an_empty_ranking() -> None:
    exclude = [np.arange(2), np.array([], dtype=np.int64)]
    ranking = beam_search(PathModel(), build_trie([[1, END], [2, END]]), [[1], [1]], 2, exclude, 2)
    assert ranking.items[0].tolist() == [-1, -1]
    assert sorted(ranking.items[1].tolist()) == [0, 1]


def test_equal_scores_are_ordered_by_item_number() -> None:
    model, trie = PathModel(sharpness=0), build_trie([(5, 0), (2, 3, 0), (2, 1, 0), (4, 0), (1, 0)])
    assert beam_search(model, trie, [[1]], 5, [[]], 5).items.tolist() == [[0, 3, 4, 1, 2]]
    assert beam_search(model, trie, [[1]], 2, [[]], 2).items.tolist() == [[0, 3]]


def test_every_prompt_is_run_once_whatever_the_beam() -> None:
    model, titles = PathModel(), [(a, b, c, END) for a in (1, 2) for b in (3, 4) for c in (5, 6)]
    beam_search(model, build_trie(titles), [[1], [2, 3], [4]], 4, [[], [], []], 8)
    assert (len(model.sessions), model.prompts_run) == (1, 3)


@pytest.mark.parametrize(("beams", "run"), [(1, 2), (3, 6), (8, 12)])
def test_no_more_beginnings_are_run_than_there_are_beams(beams: int, run: int) -> None:
    titles: Titles = [(a, b, c, END) for a in range(1, 5) for b in (3, 4) for c in (5, 6)]
    model = PathModel(sharpness=0)  # no title beats a beginning before the last step
    beam_search(model, build_trie(titles), [[1]], 1, [[]], beams)
    assert model.sessions[0].tokens_run == run


def test_beginnings_that_k_titles_beat_are_not_run() -> None:
    model, titles = PathModel(), [(1, END), *[(2, b, c, END) for b in (1, 2) for c in (1, 2)]]
    hidden = model.read([3])
    model.head[1], model.head[2] = 20 * hidden, -20 * hidden
    ranking = beam_search(model, build_trie(titles), [[3]], 1, [[]], 8)
    assert ranking.items.tolist() == [[0]]
    assert model.sessions[0].tokens_run == 0


@pytest.mark.parametrize(
    ("k", "beams", "exclude", "message"),
    [
        (0, 4, [[]], "k=0"),
        (5, 4, [[]], "k=5, beams=4"),
        (1, 1, [], "1 prompts, but 0 lists"),
        (1, 1, [[7]], "no item 7 in a catalog of 2"),
        (1, 1, [[-1]], "no item -1"),
    ],
)
def test_a_wrong_request_is_refused(
    k: int, beams: int, exclude: list[list[int]], message: str
) -> None:
    model = PathModel()
    with pytest.raises(ValueError, match=message):
        beam_search(model, build_trie([[1, END], [2, END]]), [[1]], k, exclude, beams)
    assert not model.sessions


def test_a_model_gone_to_nan_is_an_error_not_a_short_ranking() -> None:
    with pytest.raises(ModelError, match="not all finite"):
        beam_search(
            PathModel(sharpness=np.nan), build_trie([[1, END], [2, END]]), [[1]], 1, [[]], 1
        )


def test_the_fakes_and_the_search_fit_their_protocols() -> None:
    model: StepModel = PathModel()
    session: Session = model.start([[1]])
    search = beam_search
    assert len(session.root) == 1
    assert search(model, build_trie([[1, END]]), [[1]], 1, [[]], 1).items.tolist() == [[0]]
