"""The token tree behind a prompt against a plain forward pass over prompt and path."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from tiny import VOCABULARY, adapted, naive_scores, random_titles, tiny_llama
from torch import Tensor

from genrec_cli.decoding.search import Session, StepModel, beam_search
from genrec_cli.decoding.trie import build_trie
from genrec_cli.language.objective import base_model, head_weight, last_hidden
from genrec_cli.language.stepmodel import TreeModel

MAKERS: dict[str, Callable[[], Any]] = {
    "sdpa": tiny_llama,
    "eager": lambda: tiny_llama(attn_implementation="eager"),
    "peft": lambda: adapted(tiny_llama()),
}
PROMPTS = [[20, 21, 22, 1, 2, 0], [20], [20, 21, 22, 7, 3, 3, 5, 0, 9, 0], [20, 4]]


@pytest.fixture(scope="module", params=MAKERS)
def model(request: pytest.FixtureRequest) -> Any:
    return MAKERS[request.param]()


def plain(model: Any, ids: Sequence[int]) -> Tensor:
    """Hidden state of the last token, by a forward pass without a cache."""
    with torch.no_grad():
        return last_hidden(model, torch.tensor([list(ids)]))[0, -1]


class Tree:
    """Random tokens behind each prompt, and the path to each."""

    def __init__(self, users: int, seed: int) -> None:
        self.rng = random.Random(seed)
        self.paths: list[list[list[int] | None]] = [[] for _ in range(users)]

    def grow(self, columns: int) -> tuple[Tensor, Tensor]:
        """Tokens and parents of one more call, [B, N]; about a quarter is padding."""
        calls = [[self._slot(paths) for _ in range(columns)] for paths in self.paths]
        both = torch.tensor(calls)
        return both[..., 0].contiguous(), both[..., 1].contiguous()

    def _slot(self, paths: list[list[int] | None]) -> tuple[int, int]:
        if self.rng.random() < 0.25:
            paths.append(None)
            return -1, -1
        parents = [-1, *(slot for slot, path in enumerate(paths) if path is not None)]
        token, parent = self.rng.randrange(VOCABULARY), self.rng.choice(parents)
        before = [] if parent < 0 else paths[parent]
        assert before is not None
        paths.append([*before, token])
        return token, parent


@pytest.mark.parametrize("seed", range(4))
def test_every_token_of_a_tree_is_as_in_a_plain_forward_pass(model: Any, seed: int) -> None:
    tree, session = Tree(len(PROMPTS), seed), TreeModel(model).start(PROMPTS)
    with torch.inference_mode():
        calls = [session.extend(*tree.grow(columns)) for columns in (5, 1, 7, 3)]
    hidden_BSD = torch.cat(calls, dim=1)
    assert hidden_BSD.shape == (len(PROMPTS), 16, 32)
    for user, prompt in enumerate(PROMPTS):
        torch.testing.assert_close(
            session.root[user], plain(model, prompt), atol=1e-4, rtol=0, check_stride=False
        )
        for slot, path in enumerate(tree.paths[user]):
            if path is not None:
                expected = plain(model, [*prompt, *path])
                torch.testing.assert_close(hidden_BSD[user, slot], expected, atol=1e-4, rtol=0)


def test_logits_are_those_of_the_model_at_the_rows_and_tokens_asked_for(model: Any) -> None:
    session = TreeModel(model).start(PROMPTS)
    rows, tokens = torch.tensor([0, 0, 3, 1, 3]), torch.tensor([5, 0, 39, 5, 2])
    with torch.no_grad():
        found = session.logits(session.root, rows, tokens)
        whole = [model(input_ids=torch.tensor([p])).logits[0, -1] for p in PROMPTS]
    assert found.dtype == torch.float32
    expected = torch.stack([whole[row][token] for row, token in zip(rows, tokens, strict=True)])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_a_beam_as_wide_as_the_catalog_ranks_as_naive_scoring_does(model: Any) -> None:
    titles = random_titles(60, 1)
    ranking = beam_search(
        TreeModel(model), build_trie(titles), PROMPTS, 60, [[] for _ in PROMPTS], 60
    )
    for user, prompt in enumerate(PROMPTS):
        scores = naive_scores(model, titles, prompt)
        order = sorted(range(len(titles)), key=lambda item: -scores[item])
        assert ranking.items[user].tolist() == order
        assert ranking.scores[user].tolist() == pytest.approx(
            [scores[item] for item in order], abs=1e-4
        )


@contextmanager
def recorded(model: Any) -> Iterator[list[Tensor]]:
    """The ids of every call of the decoder."""
    calls: list[Tensor] = []
    decoder = base_model(model).get_decoder()
    handle = decoder.register_forward_pre_hook(
        lambda _, __, inputs: calls.append(inputs["input_ids"].clone()), with_kwargs=True
    )
    yield calls
    handle.remove()


def test_prompts_run_once_in_one_pass_and_then_only_title_tokens_run(model: Any) -> None:
    titles = random_titles(60, 1)
    with recorded(model) as calls:
        beam_search(TreeModel(model), build_trie(titles), PROMPTS, 5, [[] for _ in PROMPTS], 10)
    assert len(calls) > 1
    assert calls[0].shape == (len(PROMPTS), max(len(prompt) for prompt in PROMPTS))
    assert max(int(call.max()) for call in calls[1:]) <= 5
    # A title has at most five tokens before its end, each in a pass of its own at worst.
    assert len(calls) <= 1 + 5


def test_a_batch_gives_each_user_what_she_gets_alone() -> None:
    model, titles = tiny_llama(), random_titles(40, 3)
    trie = build_trie(titles)
    batch = beam_search(TreeModel(model), trie, PROMPTS, 10, [[] for _ in PROMPTS], 20)
    for user, prompt in enumerate(PROMPTS):
        alone = beam_search(TreeModel(model), trie, [prompt], 10, [[]], 20)
        assert alone.items[0].tolist() == batch.items[user].tolist()
        assert alone.scores[0].tolist() == pytest.approx(batch.scores[user].tolist(), abs=1e-4)


def test_bfloat16_ranks_by_scores_near_those_of_float32() -> None:
    model, titles = tiny_llama(initializer_range=0.1), random_titles(20, 3)
    trie = build_trie(titles)
    exclude: list[list[int]] = [[] for _ in PROMPTS]
    exact = beam_search(TreeModel(model), trie, PROMPTS, 20, exclude, 20)
    rough = beam_search(TreeModel(model.bfloat16()), trie, PROMPTS, 20, exclude, 20)
    for user in range(len(PROMPTS)):
        scores = dict(zip(exact.items[user].tolist(), exact.scores[user].tolist(), strict=True))
        near = [scores[item] for item in rough.items[user].tolist()]
        assert rough.scores[user].tolist() == pytest.approx(near, abs=0.15)


def test_the_model_and_its_session_fit_the_protocols_of_the_search() -> None:
    model: StepModel = TreeModel(tiny_llama())
    session: Session = model.start([[1, 2]])
    assert session.root.shape == (1, head_weight(tiny_llama()).shape[1])
