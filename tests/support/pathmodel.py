"""A small recurrent model in numpy that answers searches, and brute-force scores to compare."""

from collections.abc import Sequence

import numpy as np

from genrec_cli.core.settings import Normaliser
from genrec_cli.decoding.question import Ranking
from genrec_cli.decoding.ragged import Float64, Int64

WIDTH, VOCABULARY, END = 8, 9, 0
Title = tuple[int, ...]
Scored = list[tuple[int, float]]


class PathModel:
    """A hidden state is tanh(W parent + E token): it depends on the whole path and nothing else."""

    def __init__(self, seed: int = 0, sharpness: float = 3.0, vocabulary: int = VOCABULARY) -> None:
        rng = np.random.default_rng(seed)
        self.weight = rng.normal(size=(WIDTH, WIDTH)) / WIDTH**0.5
        self.embedding = rng.normal(size=(vocabulary, WIDTH))
        self.head = sharpness * rng.normal(size=(vocabulary, WIDTH))
        self.sessions: list[PathSession] = []

    def after(self, hidden: Float64, token: int) -> Float64:
        state: Float64 = np.tanh(self.weight @ hidden + self.embedding[token])
        return state

    def read(self, prompt: Sequence[int]) -> Float64:
        hidden = np.zeros(WIDTH)
        for token in prompt:
            hidden = self.after(hidden, token)
        return hidden

    def start(self, prompts: Sequence[Sequence[int]]) -> "PathSession":
        self.sessions.append(PathSession(self, [self.read(prompt) for prompt in prompts]))
        return self.sessions[-1]


class PathSession:
    """Holds the state of every slot; a forgotten one is gone, to show if it is ever used."""

    def __init__(self, model: PathModel, roots: list[Float64]) -> None:
        self.model = model
        self.users = len(roots)
        self.states: list[Float64 | None] = list(roots)
        self.owner = list(range(len(roots)))
        self.most_kept = self.tokens_run = self.calls = 0

    @property
    def size(self) -> int:
        return len(self.states)

    def extend(self, parents: Int64, tokens: Int64) -> Int64:
        assert parents.shape == tokens.shape
        assert len(tokens) > 0
        self.calls += 1
        first = len(self.states)
        for parent, token in zip(parents.tolist(), tokens.tolist(), strict=True):
            self.states.append(self.model.after(self.state(parent), token))
            self.owner.append(self.owner[parent])
            self.tokens_run += 1
        kept = np.bincount(
            [u for u, s in zip(self.owner, self.states, strict=True) if s is not None]
        )
        self.most_kept = max(self.most_kept, int(kept.max()) - 1)
        return np.arange(first, len(self.states))

    def state(self, slot: int) -> Float64:
        state = self.states[slot]
        assert state is not None, "a forgotten slot was used"
        return state

    def logits(self, slots: Int64, rows: Int64, tokens: Int64) -> Float64:
        hidden = np.array([self.state(slot) for slot in slots.tolist()])
        logits: Float64 = (hidden[rows] * self.model.head[tokens]).sum(-1)
        return logits

    def log_totals(self, slots: Int64) -> Float64:
        hidden = np.array([self.state(slot) for slot in slots.tolist()])
        totals: Float64 = np.log(np.exp(hidden @ self.model.head.T).sum(1))
        return totals

    def forget(self, user: int) -> None:
        for slot in range(self.users, len(self.states)):
            if self.owner[slot] == user:
                self.states[slot] = None


def log_probabilities(
    model: PathModel, titles: Sequence[Title], prompt: Sequence[int], over: Normaliser
) -> list[float]:
    """Every title scored by itself, the allowed tokens read off the list of titles."""
    return [_score(model, titles, model.read(prompt), title, over) for title in titles]


def _score(
    model: PathModel, titles: Sequence[Title], hidden: Float64, title: Title, over: Normaliser
) -> float:
    score = 0.0
    for i, token in enumerate(title):
        sharing = sorted({t[i] for t in titles if t[:i] == title[:i]})
        if over == "vocabulary":
            sharing = list(range(VOCABULARY))
        exponentials = np.exp(model.head[sharing] @ hidden)
        score += float(np.log(exponentials[sharing.index(token)] / exponentials.sum()))
        hidden = model.after(hidden, token)
    return score


def ranked(scores: Sequence[float], k: int, allowed: Sequence[int]) -> Scored:
    """The k best allowed items; equal scores by item number."""
    return [(i, scores[i]) for i in sorted(allowed, key=lambda i: (-scores[i], i))[:k]]


def listed(ranking: Ranking, user: int) -> Scored:
    """A user's items and scores, and a check that the padding comes last."""
    items, scores = ranking.items[user].tolist(), ranking.scores[user].tolist()
    found = [(item, score) for item, score in zip(items, scores, strict=True) if item >= 0]
    padding = len(items) - len(found)
    assert items == [item for item, _ in found] + [-1] * padding
    assert scores == [score for _, score in found] + [-np.inf] * padding
    return found


def assert_same(found: Scored, expected: Scored) -> None:
    """The same items in the same order, scores to 1e-5."""
    assert [item for item, _ in found] == [item for item, _ in expected]
    np.testing.assert_allclose([s for _, s in found], [s for _, s in expected], atol=1e-5)
