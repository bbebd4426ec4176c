"""The head's loss against autograd through plain logits, and what memory it takes."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from genrec_cli.decoding.trie import build_trie
from genrec_cli.language import headloss
from genrec_cli.language.choices import Allowed, Group
from genrec_cli.language.headloss import HeadLoss

T, D, V = 50, 8, 300


def made(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def drawn(high: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))


def groups() -> dict[str, Group]:
    """One of each kind; in each a place occurs twice."""
    places = torch.cat([torch.arange(1, T, 2), torch.tensor([3])])
    count = len(places)
    weights = made(count, seed=1).abs()
    wide = torch.arange(0, V, 3)
    narrow = torch.stack(
        [torch.randperm(V, generator=torch.Generator().manual_seed(i))[:6] for i in range(count)]
    )
    narrow[::2, 4:] = -1
    trie = build_trie([[a, b] for a in range(0, 40) for b in range(a, V, 7)])
    nodes = drawn(40, count) + 1
    allowed = Allowed(trie, nodes.numpy())
    some = torch.tensor([int(trie.allowed(int(node))[-1]) for node in nodes])
    return {
        "wide": Group(places, wide, drawn(len(wide), count), weights),
        "narrow": Group(places, narrow, drawn(4, count), weights),
        "all": Group(places, None, drawn(V, count), weights),
        "masked": Group(places, None, some, weights, allowed),
    }


def plain(hidden: Tensor, head: Tensor, group: Group) -> Tensor:
    """One decision at a time, by autograd."""
    total = torch.zeros(())
    mask = None if group.allowed is None else group.allowed.mask(V)
    for row, place in enumerate(group.places.tolist()):
        logits = hidden[place].float() @ head.float().T
        picked = int(group.picked[row])
        if mask is not None:
            logits = logits.masked_fill(~mask[row], -torch.inf)
        if group.tokens is not None:
            among = group.tokens if group.tokens.ndim == 1 else group.tokens[row]
            logits = logits[among[among >= 0]]
        total = total - group.weights[row] * logits.log_softmax(0)[picked]
    return total


def ours(hidden: Tensor, head: Tensor, chosen: list[Group]) -> Tensor:
    loss: Tensor = HeadLoss.apply(hidden, head, chosen)  # type: ignore[no-untyped-call]
    return loss


def naive(hidden: Tensor, head: Tensor, chosen: list[Group]) -> Tensor:
    return torch.stack([plain(hidden, head, group) for group in chosen]).sum()


def run(function: Any, hidden: bool, head: bool, factor: float = 1.0, **options: Any) -> Any:
    """A loss, and gradients of what is trained."""
    given = made(T, D, **options).requires_grad_(hidden), made(V, D, seed=5).requires_grad_(head)
    loss = function(*given)
    (loss * factor).backward()
    return loss.item(), given[0].grad, given[1].grad


@pytest.mark.parametrize("numbers", [1, 500, headloss._NUMBERS_AT_ONCE])
@pytest.mark.parametrize(("hidden", "head"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("kinds", [["wide"], ["narrow"], ["all"], ["masked"], list(groups())])
def test_loss_and_gradients_are_those_of_autograd(
    kinds: list[str], hidden: bool, head: bool, numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headloss, "_NUMBERS_AT_ONCE", numbers)
    chosen = [groups()[kind] for kind in kinds]
    found = run(lambda x, w: ours(x, w, chosen), hidden, head, factor=0.5)
    expected = run(lambda x, w: naive(x, w, chosen), hidden, head, factor=0.5)
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    for mine, theirs, trained in zip(found[1:], expected[1:], (hidden, head), strict=True):
        assert (mine is not None) == trained
        if trained:
            torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)


def test_nothing_to_decide_costs_nothing_and_has_gradients_of_zero() -> None:
    loss, hidden, head = run(lambda x, w: ours(x, w, []), True, True)
    assert loss == 0
    assert not hidden.any()
    assert not head.any()


def test_without_gradients_the_loss_is_the_same() -> None:
    chosen = list(groups().values())
    with torch.no_grad():
        found = ours(made(T, D), made(V, D, seed=5), chosen)
    assert found.item() == run(lambda x, w: ours(x, w, chosen), True, True)[0]
    assert not found.requires_grad


def test_half_precision_is_computed_in_float32_and_gets_gradients_of_its_own_kind() -> None:
    chosen = list(groups().values())
    low = made(T, D).bfloat16(), made(V, D, seed=5).bfloat16()
    whole = [x.float().requires_grad_() for x in low]
    given = [x.requires_grad_() for x in low]
    with torch.autocast("cpu", torch.bfloat16):
        loss = ours(given[0], given[1], chosen)
        loss.backward()
    exact = naive(whole[0], whole[1], chosen)
    exact.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=1e-5)
    for found, expected in zip(given, whole, strict=True):
        assert found.grad is not None
        assert expected.grad is not None
        assert found.grad.dtype == torch.bfloat16
        torch.testing.assert_close(found.grad, expected.grad.bfloat16(), rtol=0.01, atol=1e-4)


class Largest(TorchDispatchMode):
    """Notes how many numbers the largest tensor made has."""

    numbers: int = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        made = function(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else [made]:
            if isinstance(tensor, Tensor):
                self.numbers = max(self.numbers, tensor.numel())
        return made


def largest_tensor(group: Group) -> int:
    """Numbers of the largest tensor that a step with a frozen head makes."""
    given = made(T, D).requires_grad_(), made(V, D, seed=5)
    with Largest() as largest:  # type: ignore[no-untyped-call]
        ours(*given, [group]).backward()
    return int(largest.numbers)


@pytest.mark.parametrize(
    ("kind", "most"),
    [("narrow", 800), ("all", V * D), ("masked", V * D)],  # these look at the whole head
)
def test_neither_logits_nor_gathered_rows_fill_memory(
    kind: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbounded = largest_tensor(groups()[kind])
    monkeypatch.setattr(headloss, "_NUMBERS_AT_ONCE", 800)
    assert largest_tensor(groups()[kind]) <= most < unbounded
