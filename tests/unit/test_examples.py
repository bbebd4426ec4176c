"""Windows written as token ids: the order they come in, next titles, hidden titles, wordings."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_world import END, HEAD, TAIL, World, make_world, targets_of, worlds

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.language.examples import NO_TARGET, Example, TrainingExamples, Writer
from genrec_cli.language.masking import Masking
from genrec_cli.language.prompt import Encoder
from genrec_cli.language.sampler import Draw, EndlessOrder
from genrec_cli.language.windows import Window, training_windows

HIDDEN, ANSWERS = 7, 8
MASKING = Masking(np.array([HIDDEN, END], np.int32), np.array([ANSWERS, END], np.int32))
SEEDS = st.integers(0, 2**32 - 1)


@given(st.integers(1, 60), st.integers(0, 300), SEEDS)
def test_every_epoch_draws_every_window_once_and_batches_run_on_across_epochs(
    windows: int, draws: int, seed: int
) -> None:
    order = list(EndlessOrder(windows, draws, seed))
    assert len(order) == len(EndlessOrder(windows, draws, seed)) == draws
    for place, draw in enumerate(order):
        assert draw.epoch == place // windows
    for epoch in range(draws // windows):
        drawn = [draw.window for draw in order[epoch * windows : (epoch + 1) * windows]]
        assert sorted(drawn) == list(range(windows))
    assert max(Counter(order).values(), default=1) == 1


@given(st.integers(1, 60), st.integers(0, 200), st.integers(0, 200), SEEDS)
def test_a_longer_run_begins_as_a_shorter_one_of_its_seed(
    windows: int, draws: int, more: int, seed: int
) -> None:
    short, long = (list(EndlessOrder(windows, n, seed)) for n in (draws, draws + more))
    assert long[:draws] == short


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = set()
    for seed in (0, 1):
        order = [draw.window for draw in EndlessOrder(50, 150, seed)]
        orders |= {tuple(order[start : start + 50]) for start in (0, 50, 100)}
    assert len(orders) == 6


def windows_of(world: World) -> list[Window]:
    return training_windows(world.dataset, world.encoder, FinetuneSettings())


def lines_of(ids: list[int]) -> list[list[int]]:
    """Ids cut behind each end of a title."""
    ends = [0, *(place + 1 for place, token in enumerate(ids) if token == END)]
    assert ends[-1] == len(ids)
    return [ids[begin:end] for begin, end in pairwise(ends)]


def target_nodes(world: World, items: list[int]) -> list[int]:
    offsets, nodes = world.encoder.titles.offsets, world.nodes.tolist()
    return [node for item in items for node in nodes[offsets[item] : offsets[item + 1]]]


@settings(max_examples=50)
@given(worlds())
def test_an_example_is_its_windows_titles_and_marks_where_target_tokens_are_chosen(
    world: World,
) -> None:
    head, tail = [HEAD] * len(world.encoder.head), [TAIL] * len(world.encoder.tail)
    titles = world.encoder.titles
    windows = windows_of(world)
    for window in windows:
        example = world.writer.next_titles(window)
        items, split = window.items.tolist(), window.first_target
        context, targets = (
            [t for i in part for t in titles[i].tolist()] for part in (items[:split], items[split:])
        )
        assert example.tokens.tolist() == [*head, *context, *tail, *targets]
        before = len(head) + len(context) + len(tail)
        assert example.nodes.tolist() == [NO_TARGET] * before + target_nodes(world, items[split:])
        assert targets_of(example) == window.targets
        assert not example.masked
    if windows:
        data = TrainingExamples(windows, [world.writer])
        counts = [len(data[Draw(0, i)][0].tokens) for i in range(len(data))]
        assert data.token_counts.tolist() == counts
        assert data.tokens == sum(counts)
        assert data.targets == sum(window.targets for window in windows)


def hidden_of(world: World, window: Window, seed: int) -> Example:
    return world.writer.hidden_titles(window, MASKING, np.random.default_rng(seed))


def check_hidden(world: World, window: Window, example: Example) -> None:
    """One in five titles is hidden; behind the text stand the hidden ones in their order."""
    encoder, ids = world.encoder, example.tokens.tolist()
    head = len(encoder.head)
    assert ids[:head] == [HEAD] * head
    lines = lines_of(ids[head:])
    split = lines.index([ANSWERS, END])
    shown, answers = lines[:split], lines[split + 1 :]
    hidden = [line == [HIDDEN, END] for line in shown]
    assert sum(hidden) == len(answers) == -(-len(shown) // 5)  # rounded up, so at least one
    rest = iter(answers)
    whole = [next(rest) if hide else line for line, hide in zip(shown, hidden, strict=True)]
    items = window.items[len(window.items) - len(whole) :].tolist()
    assert whole == [encoder.titles[item].tolist() for item in items]
    asked = [item for item, hide in zip(items, hidden, strict=True) if hide]
    targets = target_nodes(world, asked)
    assert example.nodes.tolist() == [NO_TARGET] * (len(ids) - len(targets)) + targets
    assert targets_of(example) == len(asked)
    assert example.masked


@settings(max_examples=100)
@given(worlds(), SEEDS)
def test_a_fifth_of_a_window_is_hidden_and_written_behind_it(world: World, seed: int) -> None:
    for window in windows_of(world):
        check_hidden(world, window, hidden_of(world, window, seed))


@settings(max_examples=100)
@given(worlds(), SEEDS)
def test_hidden_titles_fit_as_many_as_can_and_one_in_any_case(world: World, seed: int) -> None:
    most = world.encoder.max_length
    for window in windows_of(world):
        example = hidden_of(world, window, seed)
        kept = len(lines_of(example.tokens.tolist()[len(world.encoder.head) :]))
        kept -= 1 + targets_of(example)  # lines of answers
        assert kept == 1 or len(example.tokens) <= most
        if kept < len(window.items):
            more = window.items[len(window.items) - kept - 1 :]
            masks = len(MASKING.line) * -(-len(more) // 5)
            around = len(world.encoder.head) + len(MASKING.answers)
            assert around + world.size(more) + masks > most


def test_the_newest_title_is_hidden_even_where_no_mask_fits() -> None:
    world = make_world([2] * 5, [[0, 1, 2, 3, 4]], (1, 0), slack=0)  # five tokens in all
    window = Window(np.array([0, 1], np.int32), 1)
    example = hidden_of(world, window, 0)
    assert example.tokens.tolist() == [HEAD, HIDDEN, END, ANSWERS, END, 11, END]
    check_hidden(world, window, example)


BIG = make_world([4] * 60, [list(range(n, n + 40)) for n in (0, 7, 14)], (3, 0), slack=120)


def texts(data: TrainingExamples, epoch: int, masked: bool = True) -> list[list[int]]:
    drawn = [data[Draw(epoch, window)] for window in range(len(data))]
    return [e.tokens.tolist() for examples in drawn for e in examples if e.masked == masked]


def masked_data(seed: int = 0) -> TrainingExamples:
    return TrainingExamples(windows_of(BIG), [BIG.writer], seed, MASKING)


def test_equal_draws_hide_the_same_and_other_epochs_windows_and_seeds_hide_others() -> None:
    data = masked_data()
    assert texts(data, 0) == texts(masked_data(), 0)
    assert texts(data, 1) == texts(masked_data(), 1)
    drawn = [texts(data, 0), texts(data, 1), texts(masked_data(1), 0)]
    assert len({str(each) for each in drawn}) == 3
    plain = TrainingExamples(windows_of(BIG), [BIG.writer])
    assert texts(data, 0, masked=False) == texts(plain, 0, masked=False) != []
    assert texts(plain, 0) == []
    assert data.tokens == 2 * plain.tokens
    first = windows_of(BIG)[0]
    same = TrainingExamples([first] * 6, [BIG.writer], 0, MASKING)
    assert len({str(text) for text in texts(same, 0)}) > 1


def test_every_place_of_a_window_is_hidden_as_often() -> None:
    window, rng, draws = windows_of(BIG)[0], np.random.default_rng(0), 1000
    counts: Counter[int] = Counter()
    for _ in range(draws):
        lines = lines_of(BIG.writer.hidden_titles(window, MASKING, rng).tokens.tolist()[3:])
        counts.update(place for place, line in enumerate(lines) if line[0] == HIDDEN)
    kept = lines.index([ANSWERS, END])
    share = -(-kept // 5) / kept
    assert sorted(counts) == list(range(kept))
    assert kept > 20
    deviation = np.sqrt(draws * share * (1 - share))
    assert max(abs(n - draws * share) for n in counts.values()) < 4 * deviation


@settings(max_examples=50)
@given(worlds(), st.integers(0, 3))
def test_nothing_but_training_items_is_ever_read(world: World, epoch: int) -> None:
    windows = windows_of(world)
    if not windows:
        return
    learnt = {10 + item for row in world.users for item in world.training(row)}
    data = TrainingExamples(windows, [world.writer], 0, MASKING)
    written = {t for masked in (False, True) for text in texts(data, epoch, masked) for t in text}
    assert {token for token in written if token >= 10} <= learnt


def reworded(token: int, count: int) -> Writer:
    titles = BIG.encoder.titles
    return Writer(Encoder(np.full(count, token, np.int32), titles, 140), BIG.nodes)


def test_each_wording_is_drawn_as_often_and_a_window_gets_others_in_other_epochs() -> None:
    data = TrainingExamples(windows_of(BIG), [reworded(1, 2), reworded(2, 3), reworded(3, 1)])
    words = [[text[0] for text in texts(data, epoch, masked=False)] for epoch in range(300)]
    counts = Counter(word for drawn in words for word in drawn)
    total = sum(counts.values())
    assert sorted(counts) == [1, 2, 3]
    assert max(abs(n - total / 3) for n in counts.values()) < 4 * np.sqrt(total * 2 / 9)
    assert {len(set(drawn)) for drawn in zip(*words, strict=True)} == {3}


@pytest.mark.parametrize("weight", [0, 1])
def test_one_wording_serves_both_texts_of_a_draw(weight: int) -> None:
    masking = MASKING if weight else None
    writers = [reworded(1, 2), reworded(2, 3)]
    data = TrainingExamples(windows_of(BIG), writers, masking=masking)
    for window in range(len(data)):
        heads = {int(example.tokens[0]) for example in data[Draw(0, window)]}
        assert len(heads) == 1
