"""The loss and its gradients against a naive implementation on real small models."""

import copy
import math
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
import torch
from catalogs import (
    MAKERS,
    Catalog,
    batch_of,
    catalog_of,
    gradients,
    loss_of,
    naive_loss,
    pack_of,
)
from tiny import END, naive_score, plain_logits, random_titles, tiny_llama
from torch import Tensor

from genrec_cli.core.settings import Normaliser
from genrec_cli.language import choices, headloss
from genrec_cli.language.examples import Example
from genrec_cli.language.networks import base_model, head_weight
from genrec_cli.language.objective import (
    LossModel,
    TitleLoss,
    packed_hidden,
)
from genrec_cli.language.packing import Counts, join, micro_batches
from genrec_cli.language.windows import Window

MASK_WEIGHT = 0.3
KINDS: list[tuple[Normaliser, bool]] = [
    ("catalog", True),
    ("catalog", False),
    ("vocabulary", True),
    ("vocabulary", False),
]
every_model = pytest.mark.parametrize("name", MAKERS)
every_kind = pytest.mark.parametrize(("over", "catalog_head"), KINDS)


class Truth(NamedTuple):
    """A naive loss and its gradients."""

    loss: float
    gradients: dict[str, Tensor]


@cache
def catalog() -> Catalog:
    return catalog_of(random_titles(60, 0))


@cache
def examples() -> list[Example]:
    return catalog().mixed(3, 0)


@cache
def truth(name: str, over: Normaliser) -> Truth:
    model = MAKERS[name]()
    loss = naive_loss(model, catalog().titles, examples(), MASK_WEIGHT, over)
    loss.backward()
    return Truth(loss.item(), gradients(model))


def ours(name: str, loss: TitleLoss, most: int, *, packing: bool) -> Truth:
    network = MAKERS[name]()
    model, total = LossModel(network, loss), 0.0
    for pack in micro_batches(batch_of(examples(), MASK_WEIGHT), most, packing=packing):
        part = model(pack)
        part.backward()
        total += part.item()
    return Truth(total, gradients(network))


def assert_equal(found: Truth, expected: Truth) -> None:
    """To 1e-5 of the loss, and of the largest gradient of each weight."""
    assert found.loss == pytest.approx(expected.loss, rel=1e-5)
    assert found.gradients.keys() == expected.gradients.keys()
    for name, gradient in expected.gradients.items():
        largest = float(gradient.abs().max())
        torch.testing.assert_close(
            found.gradients[name], gradient, rtol=1e-5, atol=1e-5 * largest, msg=name
        )


@pytest.mark.parametrize("packing", [True, False])
@pytest.mark.parametrize("most", [16, 130, 10**6], ids=["one a pack", "some", "all at once"])
@every_kind
@every_model
def test_loss_and_gradients_are_the_naive_ones_whatever_is_read_at_a_time(
    name: str, over: Normaliser, catalog_head: bool, most: int, packing: bool
) -> None:
    loss = TitleLoss(catalog().trie, over, catalog_head=catalog_head)
    assert_equal(ours(name, loss, most, packing=packing), truth(name, over))


@pytest.mark.parametrize("numbers", [1, 100, headloss._NUMBERS_AT_ONCE])
@pytest.mark.parametrize("wide", [1, 3, 10**9])
@every_kind
@pytest.mark.parametrize("name", ["llama", "peft"])
def test_loss_and_gradients_are_the_naive_ones_however_decisions_are_grouped_and_chunked(
    name: str,
    over: Normaliser,
    catalog_head: bool,
    wide: int,
    numbers: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(choices, "_WIDE", wide)
    monkeypatch.setattr(headloss, "_NUMBERS_AT_ONCE", numbers)
    loss = TitleLoss(catalog().trie, over, catalog_head=catalog_head)
    assert_equal(ours(name, loss, 10**6, packing=True), truth(name, over))


def test_the_batch_that_this_is_shown_on_has_all_that_may_differ() -> None:
    batch = join([examples()])
    counts = Counts.of(batch)
    assert min(counts) > 0
    assert len(set(batch["lengths"].tolist())) > 3
    sizes = {catalog().trie.n_children(np.array(e.nodes[e.nodes >= 0])).max() for e in examples()}
    assert max(sizes) > 3
    assert len(list(micro_batches(batch_of(examples()), 130, packing=True))) not in (1, 6)
    assert head_weight(MAKERS["tied"]()).requires_grad
    assert not head_weight(MAKERS["peft tied"]()).requires_grad


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable`:FutureWarning")
@pytest.mark.parametrize("name", ["llama", "peft"])
def test_computing_activations_twice_changes_nothing(name: str) -> None:
    network = MAKERS[name]()
    base_model(network).gradient_checkpointing_enable({"use_reentrant": False})
    network.train()
    model = LossModel(network, TitleLoss(catalog().trie))
    (pack,) = micro_batches(batch_of(examples(), MASK_WEIGHT), 10**6, packing=True)
    loss = model(pack)
    loss.backward()
    assert_equal(Truth(loss.item(), gradients(network)), truth(name, "catalog"))


@every_kind
def test_only_the_normaliser_changes_the_loss_and_the_head_only_its_cost(
    over: Normaliser, catalog_head: bool
) -> None:
    other: Normaliser = "vocabulary" if over == "catalog" else "catalog"
    found = ours(
        "llama", TitleLoss(catalog().trie, over, catalog_head=catalog_head), 10**6, packing=True
    )
    assert abs(found.loss - truth("llama", other).loss) > 1


def test_the_loss_is_what_naive_scoring_of_titles_gives() -> None:
    model, window = tiny_llama(), Window(np.array([3, 1, 4, 1, 5], np.int32), 2)
    titles = catalog().titles
    loss = loss_of(copy.deepcopy(model), catalog(), catalog().examples([window]))
    prompt = [20, 21, 22, *titles[3], *titles[1], 23]
    expected = 0.0
    for item in (4, 1, 5):
        expected -= naive_score(model, titles, prompt, titles[item])
        prompt += titles[item]
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_a_tokens_weight_is_its_own() -> None:
    model, titles = tiny_llama(), catalog().titles
    window = Window(np.array([3, 1, 4], np.int32), 2)
    (example,) = catalog().examples([window])
    prompt = [20, 21, 22, *titles[3], *titles[1], 23]
    first = sorted({title[0] for title in titles})
    expected = -plain_logits(model, prompt, titles[4])[0, first].log_softmax(0)
    weights = torch.zeros(len(example.tokens))
    weights[len(prompt)] = 2.0
    pack = replace(pack_of([example]), weights=weights)
    loss = LossModel(model, TitleLoss(catalog().trie))(pack)
    assert loss.item() == pytest.approx(2 * float(expected[first.index(titles[4][0])]), rel=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_the_probabilities_of_all_titles_after_one_history_sum_to_one(seed: int) -> None:
    catalog, model = catalog_of(random_titles(40, seed)), tiny_llama(seed=seed)
    total = 0.0
    for item in range(len(catalog.titles)):
        example = catalog.examples([Window(np.array([3, 1, 4, item], np.int32), 3)])
        total += math.exp(-loss_of(model, catalog, example).item())
    assert total == pytest.approx(1.0, abs=1e-5)


def test_a_catalog_of_one_title_costs_nothing() -> None:
    catalog, model = catalog_of([(1, 2, END)]), tiny_llama()
    loss = loss_of(model, catalog, catalog.examples([Window(np.zeros(3, np.int32), 1)]))
    loss.backward()
    assert loss.item() == 0
    gradient = head_weight(model).grad
    assert gradient is not None
    assert not gradient.any()


def test_gradients_reach_the_head_only_at_tokens_that_some_title_has_a_choice_of() -> None:
    catalog = catalog_of([(1, 9, END), (2, 8, 3, END), (2, 8, 4, END)])
    model = tiny_llama()
    window = Window(np.array([0, 1, 2, 0], np.int32), 1)
    loss_of(model, catalog, catalog.examples([window])).backward()
    # 8, 9 and the end are forced; 20 to 23 are the prompt's and no title's.
    gradient = head_weight(model).grad
    assert gradient is not None
    assert gradient.abs().sum(1).nonzero().flatten().tolist() == [1, 2, 3, 4]
    assert all(p.grad.any() for p in base_model(model).get_decoder().layers.parameters())


def test_a_title_that_is_context_gives_no_loss() -> None:
    catalog, model = catalog_of(random_titles(20, 4), after=()), tiny_llama()
    items = np.array([5, 6, 7, 8], np.int32)
    windows = [Window(items, 1), *(Window(items[: n + 1], n) for n in (1, 2, 3))]
    whole, *parts = (
        loss_of(model, catalog, [example]).item() for example in catalog.examples(windows)
    )
    assert whole == pytest.approx(sum(parts), rel=1e-5)


@every_model
def test_hidden_states_and_head_are_those_that_the_model_itself_multiplies(name: str) -> None:
    model = MAKERS[name]()
    ids = torch.from_numpy(examples()[0].tokens).long()
    with torch.no_grad():
        theirs = model(input_ids=ids[None]).logits[0]
        found = packed_hidden(model, pack_of(examples()[:1])) @ head_weight(model).T
    torch.testing.assert_close(found, theirs, rtol=1e-5, atol=1e-5)
