"""Figures of a corpus, and whose window is whose, against naive counts."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_world import World, targets_of, worlds
from small_data import dataset_of

from genrec_cli.core.settings import FinetuneSettings, Targets
from genrec_cli.data.split import Cut, bounds
from genrec_cli.language.backbones.nano import train_tokenizer
from genrec_cli.language.corpus import make_corpus
from genrec_cli.language.inspection import corpus_figures, rows_of_windows
from genrec_cli.language.narrowing import Beginning, Stretch, title_choices
from genrec_cli.language.prompt import tokenise_titles
from genrec_cli.language.readback import Reader
from genrec_cli.language.sampler import Draw
from genrec_cli.language.windows import training_windows

TITLES = ["The Old Film", "The Old Boat", "The New Boat", "千と", "Up", "Up Again"]
TOKENIZER = train_tokenizer([*TITLES[:3], "Up Again", "Titles:\n"])


@settings(max_examples=200)
@given(worlds(), st.integers(1, 6), st.none() | st.integers(1, 6), st.sampled_from(["all", "last"]))
def test_each_window_lies_in_the_training_part_of_its_row(
    world: World, context: int, per_user: int | None, targets: Targets
) -> None:
    chosen = FinetuneSettings(context_titles=context, targets_per_user=per_user, targets=targets)
    windows = training_windows(world.dataset, world.encoder, chosen)
    rows = rows_of_windows(world.dataset, windows, chosen)
    expected: Counter[int] = Counter()
    for row in world.users:
        after = len(world.training(row)) - context
        expected[row] = max(0, after if per_user is None else min(per_user, after))
    found: Counter[int] = Counter()
    for window, row in zip(windows, rows.tolist(), strict=True):
        found[row] += window.targets
        training = np.array(world.training(row))
        places = np.flatnonzero(training == window.items[0])
        assert any(
            training[place : place + len(window.items)].tolist() == window.items.tolist()
            for place in places
        )
    assert found == +expected


def test_the_figures_of_a_corpus(tmp_path: Path) -> None:
    sequences = [[0, 1] * 30, [4, 5, 0], [1, 4, 2, 3], [2, 2, 2, 2, 2]]
    dataset = replace(dataset_of(sequences, 6), folder=tmp_path, titles=TITLES)
    chosen = FinetuneSettings(instruction="Titles:", max_length=24, mask_weight=0.5)
    corpus = make_corpus(dataset, TOKENIZER, chosen)
    figures = corpus_figures(dataset, corpus, chosen)
    texts = [corpus.training[Draw(0, window)][0] for window in range(len(corpus.training))]
    assert figures.windows == len(texts)
    assert figures.targets == sum(targets_of(text) for text in texts) == 57 + 0 + 1 + 2
    assert figures.tokens == 2 * sum(len(text.tokens) for text in texts)
    assert (figures.users, figures.users_trained_on) == (4, 3)
    lengths = tokenise_titles(TOKENIZER, TITLES).lengths
    room = 24 - len(TOKENIZER.encode("Titles:\n"))
    longer = [sum(lengths[item] for item in sequence[:-2]) > room for sequence in sequences]
    assert (figures.room, figures.users_with_longer_history) == (room, sum(longer)) == (room, 1)
    assert figures.longest_titles[0].title == "千と"
    assert figures.longest_titles[0].tokens == lengths[3] == lengths.max()


def test_training_parts_that_are_empty_have_no_windows(tmp_path: Path) -> None:
    whole = dataset_of([[0, 1, 2], [0, 1, 2, 4], [5, 4, 2]], 6)
    times = np.array([7, 8, 9, 1, 2, 3, 7, 8, 9, 9])
    split = bounds(whole.offsets, times, Cut(validation=7, test=9))
    dataset = replace(whole, folder=tmp_path, titles=TITLES, bounds=split)
    chosen = FinetuneSettings(instruction="Titles:", max_length=40)
    corpus = make_corpus(dataset, TOKENIZER, chosen)
    assert rows_of_windows(dataset, corpus.training.windows, chosen).tolist() == [1]
    assert corpus_figures(dataset, corpus, chosen).users_trained_on == 1


@pytest.mark.parametrize(
    ("item", "stretches"),
    [
        (1, [("The", 3), (" Old", 2), (" Boat", 2), ("\n", 1)]),
        (2, [("The", 3), (" New", 2), (" Boat\n", 1)]),
        (4, [("Up", 3), ("\n", 2)]),
        (3, [("", 3), ("千と\n", 1)]),  # the first byte of a character tells it from the others
    ],
)
def test_a_target_is_followed_through_the_trie(
    tmp_path: Path, item: int, stretches: list[tuple[str, int]]
) -> None:
    dataset = replace(dataset_of([[0, item, 0, 0]], 6), folder=tmp_path, titles=TITLES)
    chosen = FinetuneSettings(instruction="Titles:", max_length=60)
    corpus = make_corpus(dataset, TOKENIZER, chosen)
    (example,) = Reader(corpus, TOKENIZER, "vocabulary").read(Draw(0, 0))
    found = title_choices(example.targets[0], dataset, corpus, TOKENIZER)
    assert found.title == TITLES[item]
    assert found.stretches == [Stretch(text, choices) for text, choices in stretches]
    assert found.beginnings == [Beginning("The", 3), Beginning("Up", 2)]  # and half a character
