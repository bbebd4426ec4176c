"""Packs as a model reads them: no example sees another, and padding changes nothing."""

from dataclasses import replace
from functools import cache
from itertools import accumulate, pairwise
from typing import Any

import pytest
import torch
from catalogs import MAKERS, Catalog, catalog_of, gradients, pack_of
from tiny import random_titles, tiny_llama
from torch import Tensor

from genrec_cli.language.examples import NO_TARGET, Example
from genrec_cli.language.objective import LossModel, TitleLoss, packed_hidden
from genrec_cli.language.packing import Pack

MULTIPLE = 64
every_model = pytest.mark.parametrize("name", MAKERS)


@cache
def catalog() -> Catalog:
    return catalog_of(random_titles(60, 0))


@cache
def examples() -> list[Example]:
    return catalog().mixed(3, 0)


@pytest.fixture(scope="module")
def pack() -> Pack:
    return pack_of(examples())


def hidden_of(network: Any, pack: Pack) -> list[Tensor]:
    """Hidden states of each example."""
    with torch.no_grad():
        return list(packed_hidden(network, pack).split(list(pack.lengths)))


def changed(pack: Pack, number: int) -> Pack:
    """With other tokens in one example."""
    begin, end = list(accumulate(pack.lengths, initial=0))[number : number + 2]
    tokens = pack.tokens.clone()
    tokens[begin:end] = (tokens[begin:end] + 7) % 40
    return replace(pack, tokens=tokens)


@every_model
def test_hidden_states_in_a_pack_are_those_of_each_example_alone(name: str, pack: Pack) -> None:
    network, plain = MAKERS[name](), MAKERS[name]()
    decoder = plain.get_base_model().model if name.startswith("peft") else plain.model
    for example, found in zip(examples(), hidden_of(network, pack), strict=True):
        ids = torch.from_numpy(example.tokens).long()[None]
        with torch.no_grad():
            expected = decoder(input_ids=ids).last_hidden_state[0]
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_changing_one_example_changes_no_hidden_state_of_another(pack: Pack) -> None:
    network = tiny_llama()
    before = hidden_of(network, pack)
    for number in range(len(pack.lengths)):
        after = hidden_of(network, changed(pack, number))
        for other in range(len(pack.lengths)):
            assert torch.equal(before[other], after[other]) == (other != number)


def embedding_gradient(pack: Pack, counted: range) -> Tensor:
    """Gradient of the embedded tokens, [T, D], when only these tokens' losses count."""
    network = tiny_llama()
    embedded: list[Tensor] = []

    def keep(_: Any, __: Any, output: Tensor) -> None:
        output.retain_grad()
        embedded.append(output)

    network.get_input_embeddings().register_forward_hook(keep)
    weights = torch.zeros(len(pack.tokens))
    weights[counted] = 1
    LossModel(network, TitleLoss(catalog().trie))(replace(pack, weights=weights)).backward()
    gradient = embedded[0].grad
    assert gradient is not None
    return gradient[0]


def test_the_loss_of_one_example_has_no_gradient_in_another(pack: Pack) -> None:
    ends = list(accumulate(pack.lengths, initial=0))
    for number, (begin, end) in enumerate(pairwise(ends)):
        found = embedding_gradient(pack, range(begin, end))
        assert found[begin:end].abs().max() > 1e-3
        assert not found[:begin].any()
        assert not found[end:].any()
        other = changed(pack, (number + 1) % len(pack.lengths))
        # What another example reads does not matter, if its losses do not count.
        nodes = torch.full_like(pack.nodes, NO_TARGET)
        nodes[begin:end] = pack.nodes[begin:end]
        again = embedding_gradient(replace(other, nodes=nodes), range(begin, end))
        atol = 1e-5 * float(found.abs().max())
        torch.testing.assert_close(again, found, rtol=1e-5, atol=atol)


def test_positions_begin_anew_in_every_example(pack: Pack) -> None:
    assert pack.positions().tolist() == [i for n in pack.lengths for i in range(n)]
    first, again, _ = hidden_of(tiny_llama(), pack_of([examples()[i] for i in (0, 0, 1)]))
    torch.testing.assert_close(first, again, rtol=1e-6, atol=1e-6)


@every_model
@pytest.mark.parametrize("change", ["padded", "filled", "both"])
def test_padding_and_filling_change_nothing_but_cost(name: str, change: str, pack: Pack) -> None:
    larger = pack.padded() if change != "filled" else pack
    larger = larger.filled(MULTIPLE) if change != "padded" else larger
    found = []
    for each in (pack, larger):
        network = MAKERS[name]()
        loss = LossModel(network, TitleLoss(catalog().trie))(each)
        loss.backward()
        found.append((loss.item(), gradients(network)))
    (loss, expected), (other, grads) = found
    assert other == pytest.approx(loss, rel=1e-6)
    for key, gradient in expected.items():
        atol = 1e-5 * float(gradient.abs().max())
        torch.testing.assert_close(grads[key], gradient, rtol=1e-5, atol=atol)
    assert len(larger.tokens) == sum(larger.lengths) > len(pack.tokens)
    if change == "padded":
        assert set(larger.lengths) == {max(pack.lengths)}
    else:
        assert len(larger.tokens) % MULTIPLE == 0
    assert larger.filled(len(larger.tokens)) is larger
