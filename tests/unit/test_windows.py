"""Training and validation windows: what is a target, and what is context."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from made_world import World, make_world, worlds

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.data.split import held_out
from genrec_cli.language.windows import (
    Window,
    held_out_windows,
    prompt_windows,
    split_windows,
    training_windows,
)

OVERLAP = 1 / 8
CONTEXT = st.integers(1, 6)
PER_USER = st.none() | st.integers(1, 6)
TARGETS = st.sampled_from(["all", "last"])


def windows_of(world: World, row: int, context: int) -> list[Window]:
    windows = split_windows(np.array(world.training(row), np.int32), world.encoder, context)
    return list(islice(windows, 100))  # rather than for ever, should it never come to an end


def training(world: World, **values: Any) -> list[Window]:
    return training_windows(world.dataset, world.encoder, FinetuneSettings(**values))


def targets_of(windows: Sequence[Window]) -> list[int]:
    return [item for window in windows for item in window.items[window.first_target :].tolist()]


@settings(max_examples=200)
@given(worlds(), CONTEXT, PER_USER, TARGETS)
def test_every_training_item_after_the_context_or_only_the_newest_is_a_target_once_and_in_order(
    world: World, context: int, per_user: int | None, targets: str
) -> None:
    expected: list[int] = []
    for row in world.users:
        after = world.training(row)[context:]
        expected += after if per_user is None else after[-per_user:]
    windows = training(world, context_titles=context, targets_per_user=per_user, targets=targets)
    assert targets_of(windows) == expected
    assert [window.targets for window in windows if window.targets < 1] == []


@settings(max_examples=200)
@given(worlds(), CONTEXT, PER_USER, TARGETS)
def test_a_window_is_a_run_of_one_training_part_with_context_and_within_max_length(
    world: World, context: int, per_user: int | None, targets: str
) -> None:
    texts = [world.training(row) for row in world.users]
    for window in training(
        world, context_titles=context, targets_per_user=per_user, targets=targets
    ):
        items, size = window.items.tolist(), len(window.items)
        begins = [(text, text.index(items[0])) for text in texts if items[0] in text]
        assert any(text[begin : begin + size] == items for text, begin in begins)
        assert window.first_target >= 1
        assert world.size(window.items) <= world.encoder.room


@settings(max_examples=200)
@given(worlds(), CONTEXT)
def test_a_window_repeats_an_eighth_of_the_room_unless_the_next_title_would_not_fit(
    world: World, context: int
) -> None:
    room = world.encoder.room
    for row in world.users:
        windows = windows_of(world, row, context)
        for before, window in zip(windows, windows[1:], strict=False):
            repeated = window.items[: window.first_target]
            assert repeated.tolist() == before.items[-len(repeated) :].tolist()
            # One title less would be less than an eighth; one more, more than needed.
            assert world.size(repeated[1:]) < OVERLAP * room
            if world.size(repeated) < OVERLAP * room:
                older = before.items[-len(repeated) - 1 :][:1]
                fixed = world.size(window.items[: window.first_target + 1])
                assert not len(older) or fixed + world.size(older) > room


@settings(max_examples=200)
@given(worlds(), st.integers(1, 20))
def test_the_first_window_has_as_much_history_as_its_targets_leave_room_for(
    world: World, context: int
) -> None:
    room, longest = world.encoder.room, int(world.encoder.titles.lengths.max())
    for row in world.users:
        windows, text = windows_of(world, row, context), world.training(row)
        if not windows:
            continue
        history = windows[0].items[: windows[0].first_target]
        rest = world.size(np.array(text[context:], np.int32))
        cut = len(history) < context
        if rest <= room / 2 - longest:  # the few newest are wanted: one window is enough
            assert len(windows) == 1
            assert not cut or world.size(windows[0].items) > room - longest
        assert not cut or world.size(history) > min(room / 2, room - longest) - longest


@settings(max_examples=200)
@given(worlds(), CONTEXT)
def test_a_prompt_window_has_one_target_and_as_much_history_as_fits(
    world: World, context: int
) -> None:
    for row in world.users:
        text = world.training(row)
        windows = list(prompt_windows(np.array(text, np.int32), world.encoder, context))
        assert targets_of(windows) == text[context:]
        for place, window in enumerate(windows, context):
            assert window.targets == 1
            begin = place + 1 - len(window.items)
            assert window.items.tolist() == text[begin : place + 1]
            one_more = np.array(text[max(0, begin - 1) : place + 1], np.int32)
            assert begin == 0 or world.size(one_more) > world.encoder.room
    assert {window.targets for window in training(world, targets="last")} <= {1}


def test_what_is_repeated_leaves_room_for_a_target_however_long_the_titles() -> None:
    lengths = [9, 2, 9, 9, 2, 9, 9, 2, 9, 9]
    world = make_world([*lengths, 2, 2], [list(range(12))], (0, 0), slack=0)
    windows = windows_of(world, 0, 1)
    assert targets_of(windows) == list(range(1, 10))
    assert max(world.size(window.items) for window in windows) <= world.encoder.room
    assert min(window.first_target for window in windows) >= 1


def test_the_newest_targets_are_read_at_once_behind_the_history_that_fits() -> None:
    world = make_world([4] * 40, [list(range(40))], (0, 0), slack=72)  # room for 20 titles
    (window,) = training(world, targets_per_user=5)
    assert window.items.tolist() == list(range(18, 38))
    assert window.first_target == 15


@settings(max_examples=50)
@given(worlds(), CONTEXT, TARGETS)
def test_training_windows_never_hold_an_item_that_is_only_held_out(
    world: World, context: int, targets: str
) -> None:
    learnt = {item for row in world.users for item in world.training(row)}
    windows = training(world, context_titles=context, targets=targets)
    assert {int(item) for window in windows for item in window.items} <= learnt


@settings(max_examples=100)
@given(worlds())
def test_a_validation_window_predicts_the_held_out_item_and_nothing_else(world: World) -> None:
    windows = held_out_windows(held_out(world.dataset, "validation"), world.encoder)
    assert len(windows) == len(world.users)
    for row, window in enumerate(windows):
        sequence = world.dataset.sequence(row)
        assert window.targets == 1
        assert int(window.items[-1]) == int(sequence[-2])
        history = world.encoder.newest(sequence[:-2])
        assert window.items[:-1].tolist() == history.tolist()
        assert world.size(window.items) <= world.encoder.room
