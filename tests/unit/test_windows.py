"""Training and validation windows: what is a target, what is context, and in which order."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import bounds, held_out
from genrec_cli.decoding.trie import build_trie
from genrec_cli.language.prompt import Encoder, TitleTokens
from genrec_cli.language.sampler import LengthGroupedOrder
from genrec_cli.language.windows import (
    NO_TARGET,
    Window,
    WindowDataset,
    collate,
    count_targets,
    held_out_windows,
    split_windows,
    training_windows,
)

OVERLAP = 1 / 8
END, HEAD = 0, 3


class World(NamedTuple):
    """A made dataset in which nobody meets an item twice, and an encoder of its titles."""

    dataset: Dataset
    encoder: Encoder

    @property
    def room(self) -> int:
        return self.encoder.max_length - len(self.encoder.head)

    def size(self, items: NDArray[np.int32]) -> int:
        return int(self.encoder.titles.lengths[items].sum())

    def windows_as_data(self, windows: list[Window]) -> WindowDataset:
        titles = self.encoder.titles
        nodes = build_trie((titles.flat, titles.offsets)).walk(titles.flat, titles.offsets)
        return WindowDataset(windows, self.encoder, nodes)


def make_world(lengths: list[int], sequences: list[list[int]], head: int, slack: int) -> World:
    rows = [[10 + item, *[5] * (length - 2), END] for item, length in enumerate(lengths)]
    titles = TitleTokens(
        np.array([token for row in rows for token in row], dtype=np.int32),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
    )
    items = [item for sequence in sequences for item in sequence]
    offsets = np.concatenate([[0], np.cumsum([len(s) for s in sequences])]).astype(np.int64)
    dataset = Dataset(
        folder=Path("made"),
        manifest={},
        item_ids=[str(item) for item in range(len(lengths))],
        titles=[f"title {item}" for item in range(len(lengths))],
        train_counts=np.zeros(len(lengths), dtype=np.int64),
        user_ids=[str(user) for user in range(len(sequences))],
        offsets=offsets,
        items=np.array(items, dtype=np.int32),
        bounds=bounds(offsets, np.zeros(len(items), dtype=np.int64), None),
    )
    ids = np.full(head, HEAD, dtype=np.int32)
    return World(dataset, Encoder(ids, titles, head + 2 * max(lengths) + slack))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    lengths = draw(st.lists(st.integers(2, 9), min_size=3, max_size=25))
    everything = list(range(len(lengths)))
    sequences = [
        draw(st.permutations(everything))[: draw(st.integers(3, len(lengths)))]
        for _ in range(draw(st.integers(1, 4)))
    ]
    return make_world(lengths, sequences, draw(st.integers(0, 5)), draw(st.integers(0, 60)))


CONTEXT = st.integers(1, 6)


def windows_of(world: World, row: int, context: int) -> list[Window]:
    return list(split_windows(world.dataset.sequence(row)[:-2], world.encoder, context))


@settings(max_examples=200, deadline=None)
@given(worlds(), CONTEXT)
def test_every_training_item_after_the_context_is_a_target_once_and_in_order(
    world: World, context: int
) -> None:
    expected: list[int] = []
    for row in range(len(world.dataset.user_ids)):
        expected += world.dataset.sequence(row)[context:-2].tolist()
    windows = training_windows(world.dataset, world.encoder, context)
    found = [item for window in windows for item in window.items[window.first_target :].tolist()]
    assert found == expected
    assert [window.targets for window in windows if window.targets < 1] == []


@settings(max_examples=200, deadline=None)
@given(worlds(), CONTEXT)
def test_a_window_is_a_run_of_the_training_part_with_context_and_within_max_length(
    world: World, context: int
) -> None:
    for row in range(len(world.dataset.user_ids)):
        text = world.dataset.sequence(row)[:-2].tolist()
        for window in windows_of(world, row, context):
            begin = text.index(int(window.items[0]))
            assert window.items.tolist() == text[begin : begin + len(window.items)]
            assert window.first_target >= 1
            assert world.size(window.items) <= world.room


@settings(max_examples=200, deadline=None)
@given(worlds(), CONTEXT)
def test_a_window_repeats_an_eighth_of_the_room_unless_the_next_title_would_not_fit(
    world: World, context: int
) -> None:
    for row in range(len(world.dataset.user_ids)):
        windows = windows_of(world, row, context)
        for before, window in zip(windows, windows[1:], strict=False):
            repeated = window.items[: window.first_target]
            assert repeated.tolist() == before.items[-len(repeated) :].tolist()
            # One title less would be less than an eighth; one more, more than needed.
            assert world.size(repeated[1:]) < OVERLAP * world.room
            if world.size(repeated) < OVERLAP * world.room:
                older = before.items[-len(repeated) - 1 :][:1]
                fixed = world.size(window.items[: window.first_target + 1])
                assert not len(older) or fixed + world.size(older) > world.room


@settings(max_examples=100, deadline=None)
@given(worlds(), CONTEXT)
def test_training_windows_never_hold_the_validation_or_the_test_item(
    world: World, context: int
) -> None:
    for row in range(len(world.dataset.user_ids)):
        hidden = set(world.dataset.sequence(row)[-2:].tolist())
        seen = {int(i) for window in windows_of(world, row, context) for i in window.items}
        assert not seen & hidden


@settings(max_examples=100, deadline=None)
@given(worlds())
def test_a_validation_window_predicts_the_held_out_item_and_nothing_else(world: World) -> None:
    windows = held_out_windows(held_out(world.dataset, "validation"), world.encoder)
    assert len(windows) == len(world.dataset.user_ids)
    for row, window in enumerate(windows):
        sequence = world.dataset.sequence(row)
        assert window.targets == 1
        assert int(window.items[-1]) == int(sequence[-2])
        history = world.encoder.newest(sequence[:-2])
        assert window.items[:-1].tolist() == history.tolist()
        assert world.size(window.items) <= world.room


@settings(max_examples=50, deadline=None)
@given(worlds(), CONTEXT)
def test_a_batch_is_padded_on_the_right_and_marks_where_target_tokens_are_chosen(
    world: World, context: int
) -> None:
    windows = training_windows(world.dataset, world.encoder, context)
    if not windows:
        return
    data = world.windows_as_data(windows)
    batch = collate([data[row] for row in range(len(data))])
    titles = world.encoder.titles
    trie = build_trie((titles.flat, titles.offsets))
    assert batch["lengths"].tolist() == data.token_counts.tolist()
    assert batch["input_ids"].shape == batch["nodes"].shape == (len(data), data.token_counts.max())
    for row, window in enumerate(windows):
        ids = [HEAD] * len(world.encoder.head)
        nodes = [NO_TARGET] * len(ids)
        for place, item in enumerate(window.items):
            title = titles[int(item)]
            walked = trie.walk(title, np.array([0, len(title)])).tolist()
            ids += title.tolist()
            nodes += walked if place >= window.first_target else [NO_TARGET] * len(title)
        padding = batch["input_ids"].shape[1] - len(ids)
        assert batch["input_ids"][row].tolist() == ids + [0] * padding
        assert batch["nodes"][row].tolist() == nodes + [NO_TARGET] * padding
    assert int(count_targets(batch["nodes"])) == sum(window.targets for window in windows)


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 200), max_size=300),
    st.integers(1, 17),
    st.integers(0, 2**32 - 1),
    st.integers(0, 9),
)
def test_an_epoch_reads_every_window_once_and_a_seed_and_epoch_fix_the_order(
    lengths: list[int], batch: int, seed: int, epoch: int
) -> None:
    order = LengthGroupedOrder(np.array(lengths, dtype=np.int64), batch, seed)
    again = LengthGroupedOrder(np.array(lengths, dtype=np.int64), batch, seed)
    for each in (order, again):
        each.set_epoch(epoch)
    assert len(order) == len(lengths)
    assert sorted(order) == list(range(len(lengths)))
    assert list(order) == list(again)


@pytest.fixture(scope="module")
def lengths() -> NDArray[np.int64]:
    return np.random.default_rng(5).integers(10, 500, 1003)


def test_epochs_and_seeds_have_orders_of_their_own(lengths: NDArray[np.int64]) -> None:
    orders = set()
    for seed in (0, 1):
        order = LengthGroupedOrder(lengths, 8, seed)
        for epoch in range(3):
            order.set_epoch(epoch)
            orders.add(tuple(order))
    assert len(orders) == 6


def padded(lengths: NDArray[np.int64], order: list[int], batch: int) -> int:
    """Tokens of all batches, padding included."""
    parts = [lengths[order[i : i + batch]] for i in range(0, len(order), batch)]
    return sum(len(part) * int(part.max()) for part in parts)


@pytest.mark.parametrize("batch", [2, 8, 32])
def test_grouping_by_length_wastes_far_less_on_padding_than_a_random_order(
    lengths: NDArray[np.int64], batch: int
) -> None:
    grouped = padded(lengths, list(LengthGroupedOrder(lengths, batch, 0)), batch)
    shuffled = np.random.default_rng(0).permutation(len(lengths)).tolist()
    random, least = padded(lengths, shuffled, batch), int(lengths.sum())
    assert grouped - least < (random - least) / 5


def test_long_and_short_batches_are_mixed(lengths: NDArray[np.int64]) -> None:
    order = list(LengthGroupedOrder(lengths, 8, 0))
    first, second = lengths[order[:496]].mean(), lengths[order[496:992]].mean()
    assert abs(first - second) < 60
