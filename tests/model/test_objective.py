"""The trie-masked loss against naive scoring by the model's own logits."""

import math
import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from tiny import END, Title, adapted, naive_score, random_titles, tiny_llama
from torch import Tensor

from genrec_cli.decoding.trie import TokenTrie, build_trie
from genrec_cli.language.objective import TrieLoss, base_model, head_weight, last_hidden
from genrec_cli.language.prompt import Encoder, TitleTokens
from genrec_cli.language.windows import Window, WindowDataset, collate, count_targets

HEAD = (20, 21, 22)
MAKERS: dict[str, Callable[[], Any]] = {
    "llama": tiny_llama,
    "tied": lambda: tiny_llama(tie_word_embeddings=True),
    "peft": lambda: adapted(tiny_llama()),
}


@pytest.fixture(scope="module", params=MAKERS)
def model(request: pytest.FixtureRequest) -> Any:
    return MAKERS[request.param]()


class Catalog(NamedTuple):
    """Titles, and what is made of them."""

    titles: list[Title]
    encoder: Encoder
    trie: TokenTrie

    def batch(self, windows: Sequence[Window]) -> dict[str, Tensor]:
        tokens = self.encoder.titles
        data = WindowDataset(windows, self.encoder, self.trie.walk(tokens.flat, tokens.offsets))
        return collate([data[row] for row in range(len(data))])


def catalog_of(titles: list[Title]) -> Catalog:
    offsets = np.cumsum([0, *map(len, titles)]).astype(np.int64)
    flat = np.array([token for title in titles for token in title], dtype=np.int32)
    head = np.array(HEAD, dtype=np.int32)
    return Catalog(titles, Encoder(head, TitleTokens(flat, offsets), 200), build_trie(titles))


def random_windows(catalog: Catalog, count: int, seed: int) -> list[Window]:
    rng = random.Random(seed)
    return [
        Window(
            np.array(rng.choices(range(len(catalog.titles)), k=rng.randint(4, 12)), dtype=np.int32),
            rng.randint(1, 3),
        )
        for _ in range(count)
    ]


def loss_of(model: Any, catalog: Catalog, windows: Sequence[Window]) -> Tensor:
    batch = catalog.batch(windows)
    hidden = last_hidden(model, batch["input_ids"])
    loss: Tensor = TrieLoss(catalog.trie)(
        hidden, batch["input_ids"], batch["nodes"], head_weight(model)
    )
    return loss


def naive_loss(model: Any, catalog: Catalog, windows: Sequence[Window]) -> float:
    total = 0.0
    for window in windows:
        prompt = list(HEAD)
        for place, item in enumerate(window.items.tolist()):
            title = catalog.titles[item]
            if place >= window.first_target:
                total -= naive_score(model, catalog.titles, prompt, title)
            prompt += title
    return total


@pytest.mark.parametrize("seed", [0, 1])
def test_the_loss_of_a_batch_is_the_sum_of_naive_scores(model: Any, seed: int) -> None:
    catalog = catalog_of(random_titles(30, seed))
    windows = random_windows(catalog, 3, seed)
    loss = loss_of(model, catalog, windows)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(naive_loss(model, catalog, windows), rel=1e-4)


def test_neither_padding_nor_the_rest_of_a_batch_changes_a_window(model: Any) -> None:
    catalog = catalog_of(random_titles(30, 2))
    windows = random_windows(catalog, 5, 2)
    alone = [loss_of(model, catalog, [window]).item() for window in windows]
    for part in (slice(0, 2), slice(1, 4), slice(None)):
        together = loss_of(model, catalog, windows[part]).item()
        assert together == pytest.approx(sum(alone[part]), rel=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_the_probabilities_of_all_titles_after_one_history_sum_to_one(seed: int) -> None:
    catalog, model = catalog_of(random_titles(40, seed)), tiny_llama(seed=seed)
    history = [3, 1, 4]
    total = sum(
        math.exp(-loss_of(model, catalog, [Window(np.array([*history, item], np.int32), 3)]).item())
        for item in range(len(catalog.titles))
    )
    assert total == pytest.approx(1.0, abs=1e-5)


def test_a_catalog_of_one_title_costs_nothing() -> None:
    catalog, model = catalog_of([(1, 2, END)]), tiny_llama()
    loss = loss_of(model, catalog, [Window(np.zeros(3, np.int32), 1)])
    loss.backward()
    assert loss.item() == 0
    gradient = head_weight(model).grad
    assert gradient is not None
    assert not gradient.any()


def test_gradients_reach_the_head_only_at_tokens_that_some_title_has_a_choice_of() -> None:
    catalog = catalog_of([(1, 9, END), (2, 8, 3, END), (2, 8, 4, END)])
    model = tiny_llama()
    loss_of(model, catalog, [Window(np.array([0, 1, 2, 0], np.int32), 1)]).backward()
    # 8, 9 and the end are forced; 20 to 22 are the prompt's and no title's.
    gradient = head_weight(model).grad
    assert gradient is not None
    assert gradient.abs().sum(1).nonzero().flatten().tolist() == [1, 2, 3, 4]
    assert all(p.grad.any() for p in base_model(model).get_decoder().layers.parameters())


def test_a_title_that_is_context_gives_no_loss() -> None:
    catalog, model = catalog_of(random_titles(20, 4)), tiny_llama()
    items = np.array([5, 6, 7, 8], np.int32)
    whole = loss_of(model, catalog, [Window(items, 1)])
    parts = [loss_of(model, catalog, [Window(items[: n + 1], n)]).item() for n in (1, 2, 3)]
    assert whole.item() == pytest.approx(sum(parts), rel=1e-5)
    assert int(count_targets(catalog.batch([Window(items, 3), Window(items, 1)])["nodes"])) == 4


def test_hidden_states_and_head_are_those_that_the_model_itself_multiplies(model: Any) -> None:
    ids = torch.tensor([[1, 2, 3, 20, 21]])
    with torch.no_grad():
        ours = last_hidden(model, ids) @ head_weight(model).T
        theirs = model(input_ids=ids).logits
    torch.testing.assert_close(ours, theirs)
