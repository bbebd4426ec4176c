"""The exact search over a million titles, against scoring all of them, level by level."""

import numpy as np
import pytest
from pathmodel import WIDTH, PathModel, assert_same, listed, ranked

from genrec_cli.decoding.question import Question
from genrec_cli.decoding.ragged import Float64, log_softmax
from genrec_cli.decoding.search import best_first
from genrec_cli.decoding.trie import TokenTrie, build_trie

MILLION, VOCABULARY, LONGEST = 1_000_000, 4000, 9


@pytest.fixture(scope="module")
def trie() -> TokenTrie:
    """Titles of two to nine tokens, frequent tokens first among them, each with its end."""
    rng = np.random.default_rng(0)
    tokens = 1 + (rng.random((MILLION, LONGEST)) ** 3 * (VOCABULARY - 1)).astype(np.int64)
    tokens[:, :2] = 1 + np.stack(np.divmod(np.arange(MILLION), 1000), axis=1) % (VOCABULARY - 1)
    tokens[:, 0] += 1000 * (rng.random(MILLION) < 0.5)  # no two titles share their first two
    lengths = rng.integers(2, LONGEST + 1, MILLION)
    tokens = np.pad(tokens, ((0, 0), (0, 1)))
    inside = np.arange(LONGEST + 1) <= lengths[:, None]
    tokens[np.arange(MILLION), lengths] = 0
    return build_trie((tokens[inside], np.append(0, np.cumsum(inside.sum(1)))))


def all_scores(model: PathModel, trie: TokenTrie, prompt: list[int]) -> Float64:
    """Log-probability of every title, by running every node once."""
    hidden = np.zeros((len(trie.token), WIDTH))
    score = np.zeros(len(trie.token))
    hidden[0] = model.read(prompt)
    ends = np.searchsorted(trie.depth, np.arange(int(trie.depth.max()) + 2))
    for depth in range(int(trie.depth.max())):
        nodes = np.arange(ends[depth], ends[depth + 1])
        counts = trie.n_children(nodes)
        children = np.arange(ends[depth + 1], ends[depth + 2])
        parents, tokens = np.repeat(nodes, counts), trie.token[children]
        logits = np.einsum("ij,ij->i", hidden[parents], model.head[tokens])
        score[children] = score[parents] + log_softmax(logits, counts[counts > 0])
        hidden[children] = np.tanh(hidden[parents] @ model.weight.T + model.embedding[tokens])
    leaves = np.flatnonzero(trie.n_children(np.arange(len(trie.token))) == 0)
    scores = np.zeros(trie.n_items)
    scores[trie.leaf_item[trie.leaf_lo[leaves]]] = score[leaves]
    return scores


def test_the_top_of_a_million_titles_is_found(trie: TokenTrie) -> None:
    model = PathModel(sharpness=4, vocabulary=VOCABULARY)
    prompts = [[1, 2, 3], [7]]
    scores = [all_scores(model, trie, prompt) for prompt in prompts]
    assert np.exp(scores[0]).sum() == pytest.approx(1)
    seen = [np.argsort(-row)[:3] for row in scores]
    session = model.start(prompts)
    ranking = best_first(session, trie, Question(20, seen))
    assert ranking.exact.all()
    for user, row in enumerate(scores):
        row[seen[user]] = -np.inf
        best = np.argsort(-row)[:40].tolist()
        assert_same(listed(ranking, user), ranked(row.tolist(), 20, best))
    assert session.tokens_run < 2000  # of some five million
