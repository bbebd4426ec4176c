"""The token tree behind a prompt against a plain forward pass over prompt and path."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from tiny import (
    VOCABULARY,
    adapted,
    naive_scores,
    plain_logits,
    random_titles,
    tiny_bart,
    tiny_llama,
    tiny_t5,
)

from genrec_cli.core.settings import Normaliser, SearchSettings
from genrec_cli.decoding.question import Question
from genrec_cli.decoding.search import Effort, best_first
from genrec_cli.decoding.steps import Session, StepModel
from genrec_cli.decoding.trie import build_trie
from genrec_cli.language.networks import base_model, is_pair_model
from genrec_cli.language.reading import Reading
from genrec_cli.language.serving.seq2seq import Seq2SeqModel
from genrec_cli.language.serving.stepmodel import TreeModel

MAKERS: dict[str, Callable[[], Any]] = {
    "sdpa": tiny_llama,
    "eager": lambda: tiny_llama(attn_implementation="eager"),
    "peft": lambda: adapted(tiny_llama()),
    "t5": tiny_t5,
    "t5-tied": lambda: tiny_t5(tie_word_embeddings=True),
    "bart": tiny_bart,
    "bart-peft": lambda: adapted(tiny_bart(), "SEQ_2_SEQ_LM"),
}
# Two of them begin alike, two are equal, and all of them begin with a 20.
PROMPTS = [[20, 21, 22, 1, 2, 0], [20], [20, 21, 22, 7, 3, 3, 5, 0, 9, 0], [20, 4], [20, 4]]
ALIKE = [[20, 21, 22, 1], [20, 21, 22, 5, 6], [20, 21, 22, 7, 8, 9]]
TWO: list[Normaliser] = ["catalog", "vocabulary"]


@pytest.fixture(scope="module", params=MAKERS)
def model(request: pytest.FixtureRequest) -> Any:
    return MAKERS[request.param]()


class Reader:
    """An encoder-decoder that is asked with token ids, of no words."""

    def __init__(self, model: Any) -> None:
        self._model = Seq2SeqModel(model)

    def start(self, prompts: Sequence[Sequence[int]]) -> Session:
        ids = [np.array(prompt, dtype=np.int32) for prompt in prompts]
        return self._model.start([Reading(row, np.zeros_like(row)) for row in ids])


def served(model: Any) -> StepModel[Sequence[int]]:
    return Reader(model) if is_pair_model(model) else TreeModel(model)


class Tree:
    """Random tokens behind each prompt, and the path to each."""

    def __init__(self, users: int, seed: int) -> None:
        self.rng = random.Random(seed)
        self.owner = list(range(users))
        self.paths: list[list[int]] = [[] for _ in range(users)]

    def grow(self, count: int) -> tuple[Any, Any]:
        """Parents and tokens of one more call; a parent may be of the same call."""
        parents, tokens = [], []
        for _ in range(count):
            parent, token = self.rng.randrange(len(self.paths)), self.rng.randrange(VOCABULARY)
            parents.append(parent)
            tokens.append(token)
            self.owner.append(self.owner[parent])
            self.paths.append([*self.paths[parent], token])
        return np.array(parents), np.array(tokens)


@pytest.mark.parametrize("prompts", [PROMPTS, ALIKE, PROMPTS[:1]], ids=["mixed", "alike", "one"])
@pytest.mark.parametrize("seed", range(2))
def test_every_token_of_a_tree_is_as_in_a_plain_forward_pass(
    model: Any, prompts: list[list[int]], seed: int
) -> None:
    tree, session = Tree(len(prompts), seed), served(model).start(prompts)
    for count in (9, 1, 30, 5, 80):  # more than there is room for at first
        first = len(tree.paths)
        assert session.extend(*tree.grow(count)).tolist() == list(range(first, first + count))
    check_slots(model, session, prompts, tree, range(0, len(tree.paths), 4))


def check_slots(
    model: Any, session: Session, prompts: list[list[int]], tree: Tree, slots: Sequence[int]
) -> None:
    """Logits and log totals of slots, against forward passes of their own."""
    tokens = np.arange(VOCABULARY)
    rows = np.repeat(np.arange(len(slots)), VOCABULARY)
    found = session.logits(np.array(slots), rows, np.tile(tokens, len(slots)))
    totals = session.log_totals(np.array(slots))
    for row, slot in enumerate(slots):
        expected = plain_logits(model, prompts[tree.owner[slot]], tree.paths[slot])[-1]
        np.testing.assert_allclose(found[rows == row], expected, rtol=1e-4, atol=1e-4)
        assert totals[row] == pytest.approx(float(torch.logsumexp(expected, 0)), rel=1e-4)


def test_a_forgotten_tree_leaves_room_and_no_trace(model: Any) -> None:
    tree, session = Tree(len(PROMPTS), 1), served(model).start(PROMPTS)
    session.extend(*tree.grow(40))
    session.forget(0)
    session.forget(2)
    # The prompts' ends are not forgotten.
    for _ in range(30):
        tree.owner.append(tree.owner[parent := tree.rng.choice([0, 2])])
        tree.paths.append([*tree.paths[parent], tree.rng.randrange(VOCABULARY)])
    new = range(len(tree.paths) - 30, len(tree.paths))
    parents = np.array([tree.owner[slot] for slot in new])
    session.extend(parents, np.array([tree.paths[slot][-1] for slot in new]))
    kept = [slot for slot in range(45) if tree.owner[slot] in (1, 3, 4)]
    check_slots(model, session, PROMPTS, tree, [0, 2, *kept[::4], *new[::4]])


@pytest.mark.parametrize("over", TWO)
def test_the_search_ranks_as_naive_scoring_does(model: Any, over: Normaliser) -> None:
    titles = random_titles(60, 1)
    nobody: list[list[int]] = [[] for _ in PROMPTS]
    effort = Effort(room=30)  # some trees are forgotten on the way
    for k in (7, 60):
        session, how = served(model).start(PROMPTS), SearchSettings(over=over)
        ranking = best_first(session, build_trie(titles), Question(k, nobody), how, effort)
        for user, prompt in enumerate(PROMPTS):
            scores = naive_scores(model, titles, prompt, over)
            order = sorted(range(len(titles)), key=lambda item: -scores[item])[:k]
            assert ranking.items[user].tolist() == order
            expected = [scores[item] for item in order]
            assert ranking.scores[user].tolist() == pytest.approx(expected, abs=1e-3)


@contextmanager
def recorded(model: Any) -> Iterator[list[int]]:
    """The number of tokens in every call of the decoder."""
    calls: list[int] = []
    decoder = base_model(model).get_decoder()
    handle = decoder.register_forward_pre_hook(
        lambda _, __, inputs: calls.append(inputs["input_ids"].numel()), with_kwargs=True
    )
    yield calls
    handle.remove()


def test_prompts_run_once_without_padding_and_what_they_share_once_for_all() -> None:
    model, titles = tiny_llama(), random_titles(60, 1)
    with recorded(model) as calls:
        session = TreeModel(model).start(ALIKE)
        best_first(session, build_trie(titles), Question(5, [[], [], []]))
    assert calls[0] == 3 + 1 + 2 + 3
    assert 1 < len(calls) <= 1 + 5  # a title has at most five tokens before its end


def test_a_batch_gives_each_user_what_she_gets_alone(model: Any) -> None:
    titles = random_titles(40, 3)
    trie = build_trie(titles)
    many = [*PROMPTS, *ALIKE] * 8
    session = served(model).start(many)
    batch = best_first(session, trie, Question(10, [[] for _ in many]))
    for user, prompt in enumerate(many[:8]):
        alone = best_first(served(model).start([prompt]), trie, Question(10, [[]]))
        assert alone.items[0].tolist() == batch.items[user].tolist()
        assert alone.scores[0].tolist() == pytest.approx(batch.scores[user].tolist(), abs=1e-4)
    assert batch.items.reshape(8, 8, 10).std(axis=0).max() == 0


def test_bfloat16_ranks_by_scores_near_those_of_float32() -> None:
    model, titles = tiny_llama(initializer_range=0.1), random_titles(20, 3)
    trie, question = build_trie(titles), Question(20, [[] for _ in PROMPTS])
    exact = best_first(TreeModel(model).start(PROMPTS), trie, question)
    rough = best_first(TreeModel(model.bfloat16()).start(PROMPTS), trie, question)
    for user in range(len(PROMPTS)):
        scores = dict(zip(exact.items[user].tolist(), exact.scores[user].tolist(), strict=True))
        near = [scores[item] for item in rough.items[user].tolist()]
        assert rough.scores[user].tolist() == pytest.approx(near, abs=0.15)


def test_the_model_attends_as_before_when_a_pass_is_over(model: Any) -> None:
    decoder = base_model(model).get_decoder()
    before = decoder.config._attn_implementation
    served(model).start(PROMPTS)
    assert decoder.config._attn_implementation == before
