"""What networks are trained on: windows, pairs, and the loss of the next item."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from small_data import items_of
from torch.nn import functional

from genrec_cli.language.seeding import seeded
from genrec_cli.recommenders.base import Items
from genrec_cli.recommenders.neural.loss import next_item_loss
from genrec_cli.recommenders.neural.pairs import NEGATIVES, Pairing
from genrec_cli.recommenders.neural.windows import NO_TARGET, Batch, batches, cut

ITEMS = 1000
lengths_of_histories = st.lists(st.integers(0, 30), min_size=1, max_size=12)
seeds = st.integers(0, 2**32)


def counted_up(lengths: list[int]) -> list[Items]:
    """Histories in which no event is like another."""
    ends = np.cumsum(lengths)
    return [
        np.arange(end - length, end, dtype=np.int32)
        for end, length in zip(ends, lengths, strict=True)
    ]


# Windows


@given(lengths_of_histories, st.integers(1, 40), seeds)
def test_every_event_but_the_first_is_a_target_once_and_in_order(
    lengths: list[int], length: int, seed: int
) -> None:
    histories = counted_up(lengths)
    windows = cut(histories, length, np.random.default_rng(seed))
    assert all(2 <= len(window) <= length + 1 for window in windows)
    steps = [step for window in windows for step in pairwise(window.tolist())]
    assert steps == [step for history in histories for step in pairwise(history.tolist())]


def test_cuts_of_a_long_history_move_from_epoch_to_epoch() -> None:
    history = np.arange(100, dtype=np.int32)
    firsts = {len(cut([history], 10, np.random.default_rng([0, epoch]))[0]) for epoch in range(50)}
    assert firsts == set(range(2, 12))


@given(st.lists(st.integers(2, 30), min_size=1, max_size=30), st.integers(1, 100), seeds)
def test_batches_hold_every_window_once_and_no_more_than_they_may(
    lengths: list[int], tokens: int, seed: int
) -> None:
    windows = counted_up(lengths)
    made = list(batches(windows, ITEMS, tokens, np.random.default_rng(seed)))
    found = [window for batch in made for window in unpadded(batch)]
    assert sorted(found) == [window.tolist() for window in windows]
    assert all(len(batch.inputs) == 1 or batch.inputs.numel() <= tokens for batch in made)


def unpadded(batch: Batch) -> list[list[int]]:
    """Windows as they were, after a look at what fills them up."""
    assert batch.inputs.dtype == batch.targets.dtype == torch.int64
    behind = torch.arange(batch.inputs.shape[1]) >= batch.lengths[:, None]
    assert torch.equal(batch.inputs == ITEMS, behind)
    assert torch.equal(batch.targets == NO_TARGET, behind)
    assert int(batch.lengths.max()) == batch.inputs.shape[1]
    windows = []
    for inputs, targets, length in zip(batch.inputs, batch.targets, batch.lengths, strict=True):
        assert torch.equal(inputs[1:length], targets[: length - 1])
        windows.append([*inputs[:length].tolist(), int(targets[length - 1])])
    return windows


# Pairs


def test_in_pairs_every_item_of_every_history_is_a_target_once() -> None:
    rng = np.random.default_rng(0)
    sizes = rng.integers(2, 120, size=60)
    histories = [np.sort(rng.choice(150, size, False)).astype(np.int32) for size in sizes]
    targets = []
    for pairs in Pairing(histories, 150).epoch(rng):
        read = np.split(pairs.read.numpy(), pairs.starts.numpy()[1:])
        assert [len(history) for history in read] == pairs.sizes.tolist()
        rows = [row_of(history, histories) for history in read]
        asked, counted = pairs.asked.numpy(), pairs.counted.numpy()
        assert asked.shape == counted.shape == (len(pairs.owners), 1 + NEGATIVES)
        for owner, items, counts in zip(pairs.owners.tolist(), asked, counted, strict=True):
            targets.append((rows[owner], int(items[0])))
            # The target counts, and of those drawn all that she has not touched.
            assert counts.tolist() == [True, *~np.isin(items[1:], read[owner])]
    expected = [(row, int(item)) for row, history in enumerate(histories) for item in history]
    assert sorted(targets) == expected


def row_of(history: NDArray[np.int64], histories: list[Items]) -> int:
    (row,) = [row for row, other in enumerate(histories) if np.array_equal(history, other)]
    return row


def test_negatives_are_drawn_from_the_whole_catalog() -> None:
    drawn: NDArray[np.int64] = np.concatenate(
        [
            pairs.asked[:, 1:].numpy().ravel()
            for epoch in range(300)
            for pairs in Pairing([items_of(0, 9)], 10).epoch(np.random.default_rng(epoch))
        ]
    )
    shares = np.bincount(drawn, minlength=10) / len(drawn)
    np.testing.assert_allclose(shares, 0.1, atol=0.03)  # five standard deviations


# Loss


@pytest.mark.parametrize("rows", [1, 7, 2500])
def test_the_loss_and_its_gradients_are_those_of_torch(rows: int) -> None:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(rows, 16, generator=generator)
    catalog = torch.randn(50, 16, generator=generator)
    targets = torch.randint(50, (rows,), generator=generator)
    found: list[Any] = []
    expected: list[Any] = []
    for results, loss_of in ((found, next_item_loss), (expected, torch_loss)):
        mine, theirs = hidden.clone().requires_grad_(), catalog.clone().requires_grad_()
        loss = loss_of(mine, theirs, targets)
        (3 * loss).backward()
        results += [loss.detach(), mine.grad, theirs.grad]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def torch_loss(hidden: torch.Tensor, catalog: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(hidden @ catalog.T, targets)


def test_large_logits_do_not_overflow() -> None:
    hidden, catalog = torch.full((2, 1), 1000.0), torch.tensor([[1.0], [-1.0]])
    loss = next_item_loss(hidden, catalog, torch.tensor([0, 1]))
    assert float(loss) == pytest.approx(1000)


def test_a_sampled_loss_is_near_the_full_one() -> None:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(40, 8, generator=generator)
    catalog = 0.3 * torch.randn(20_001, 8, generator=generator)
    targets = torch.randint(20_001, (40,), generator=generator)
    with seeded(0):
        sampled = [float(next_item_loss(hidden, catalog, targets)) for _ in range(100)]
    # A single one scatters by some .01; the logarithm of a mean is a little below.
    assert np.std(sampled) < 0.03
    assert np.mean(sampled) == pytest.approx(float(torch_loss(hidden, catalog, targets)), abs=0.003)


def test_a_sampled_loss_never_counts_the_target_twice() -> None:
    # 64 targets of which 4,096 draws hit some 13; each alone has the probability of nearly one.
    hidden, catalog = 50 * torch.eye(64), torch.zeros(20_001, 64)
    catalog[:64] = torch.eye(64)
    with seeded(0):
        assert float(next_item_loss(hidden, catalog, torch.arange(64))) < 1e-6
