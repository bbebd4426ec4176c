"""What encoder-decoders read and write, read back: texts, roles, items and choices."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from small_data import dataset_of

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.data.dataset import Dataset
from genrec_cli.language.backbones.nano_pairs import train_pair_tokenizer
from genrec_cli.language.corpus import Corpus, make_corpus
from genrec_cli.language.examples import Example
from genrec_cli.language.inspection import corpus_figures, reseeded, rows_of_windows
from genrec_cli.language.itemnames import names_of_items
from genrec_cli.language.itemwords.words import user_words
from genrec_cli.language.narrowing import title_choices
from genrec_cli.language.pairs.examples import PairExamples
from genrec_cli.language.pairs.wordings import DIRECT, SEQUENTIAL, SOMEBODY
from genrec_cli.language.prompt import Tokenizer
from genrec_cli.language.readback import Line, Reader, ReadExample
from genrec_cli.language.sampler import Draw
from genrec_cli.language.templates import texts_of
from genrec_cli.language.windows import Window

TITLES = ["The Matrix (1999)", "The Matrix Reloaded", "Amélie", "千と千尋", "user_1", "{user}", "A"]
# Repeats stand beside each other, too: what is read of them is one run of one whole word.
SEQUENCES = [[0, 0, 0, 3, 5, 4, 4, 6, 1, 2], [4, 5, 6, 1, 0], [5, 2, 2, 5], [1, 6, 3, 0, 0, 4, 2]]
KINDS = [("p5", "random"), ("p5", "titles"), ("masked", "random"), ("masked", "titles")]


class Made(NamedTuple):
    dataset: Dataset
    corpus: Corpus
    settings: FinetuneSettings
    tokenizer: Tokenizer
    names: Sequence[str] | None

    @property
    def words(self) -> list[str]:
        """What items are written as."""
        return TITLES if self.names is None else list(self.names)

    def draws(self, masked: bool = False) -> Iterator[tuple[Draw, Window, Example, ReadExample]]:
        training = self.corpus.training
        reader = Reader(self.corpus, self.tokenizer, self.settings.normaliser)
        for epoch in range(6):
            for number, window in enumerate(training.windows):
                draw = Draw(epoch, number, masked)
                (example,), (read,) = training[draw], reader.read(draw)
                yield draw, window, example, read


def made(folder: Path, method: str, items: str, **values: Any) -> Made:
    defaults: dict[str, Any] = {"max_length": 120, "task_weights": {"direct": 0.5}}
    settings = FinetuneSettings.model_validate(
        {**defaults, **values, "method": method, "items": items}
    )
    dataset = replace(dataset_of(SEQUENCES, len(TITLES)), folder=folder, titles=TITLES)
    names = names_of_items(dataset, settings, folder)
    tokenizer = train_pair_tokenizer([*texts_of(settings), " item_1", *TITLES])
    corpus = make_corpus(dataset, tokenizer, settings, names)
    return Made(dataset, corpus, settings, tokenizer, names)


def of_role(read: ReadExample, *roles: str) -> list[Line]:
    return [line for line in read.lines if line.role in roles]


def around_items(read: ReadExample) -> str:
    """Wording and user; beside titles users have an end, too."""
    return "".join(line.text for line in of_role(read, "prompt")).replace("\n", "")


@pytest.mark.parametrize(("method", "items"), KINDS)
@pytest.mark.parametrize("masked", [False, True])
def test_all_that_is_read_and_written_is_there_in_order(
    tmp_path: Path, method: str, items: str, masked: bool
) -> None:
    world = made(tmp_path, method, items)
    for _, _, example, read in world.draws(masked):
        assert example.reading is not None
        ids = [*example.reading.tokens.tolist(), *example.tokens[1:].tolist()]
        assert [token.id for token in read.tokens] == ids
        told = "".join(line.text for line in read.lines[:-1])
        assert told == world.tokenizer.decode(example.reading.tokens)
        assert [line.role for line in read.targets] == ["answer" if read.masked else "target"]
        assert read.targets == [read.lines[-1]]
        for line in read.lines:
            if line.item is not None:
                assert line.text.strip() == world.words[line.item]


@pytest.mark.parametrize("items", ["random", "titles"])
def test_a_wording_of_p5_is_told_from_its_items(tmp_path: Path, items: str) -> None:
    world = made(tmp_path, "p5", items)
    users = user_words(len(SEQUENCES), world.settings.seed)
    rows = rows_of_windows(world.dataset, world.corpus.training.windows, world.settings)
    tasks = set()
    for draw, window, _, read in world.draws():
        who = users[rows[draw.window]]
        told = [line.item for line in of_role(read, "history")]
        wordings = SEQUENTIAL if told else DIRECT
        assert told in ([], window.items[:-1].tolist())
        assert read.targets[0].item == window.items[-1]
        assert read.titles == len(told) + 1
        around = around_items(read)
        texts = [wording.replace("{history} ", "") for wording in wordings]
        asked = {f" {text.replace('{user}', name)}" for text in texts for name in (who, SOMEBODY)}
        assert around in asked
        tasks.add((bool(told), SOMEBODY in around))
    assert tasks == {(True, True), (True, False), (False, False)}


@pytest.mark.parametrize("items", ["random", "titles"])
@pytest.mark.parametrize("masked", [False, True])
def test_one_item_of_a_sequence_is_hidden_and_written(
    tmp_path: Path, items: str, masked: bool
) -> None:
    world = made(tmp_path, "masked", items)
    users = user_words(len(SEQUENCES), world.settings.seed)
    rows = rows_of_windows(world.dataset, world.corpus.training.windows, world.settings)
    places, told_of = set(), set()
    for draw, window, _, read in world.draws(masked):
        sequence = of_role(read, "history", "hidden")
        place = [line.role for line in sequence].index("hidden")
        whole = [read.targets[0].item if n == place else x.item for n, x in enumerate(sequence)]
        assert whole == window.items.tolist()
        assert (sequence[place].text.strip(), sequence[place].item) == ("<mask>", None)
        assert read.titles == len(window.items)
        assert read.masked == masked
        places.add(len(sequence) - place)
        told = around_items(read)
        assert told in ("", f" {users[rows[draw.window]]}")
        told_of.add(told == "")
    assert told_of == {True, False}
    assert len(places) > 3 if masked else places == {1}


def test_only_choices_among_ids_carry_loss(tmp_path: Path) -> None:
    world = made(tmp_path, "p5", "random")
    for _, _, _, read in world.draws():
        *item, number, end = read.targets[0].tokens
        assert "".join(token.text for token in item) == " item_"
        assert {token.choices for token in item} == {1}
        assert (number.choices, end.choices, read.decisions) == (len(TITLES), 1, 1)
        assert {token.choices for line in read.lines[:-1] for token in line.tokens} == {None}
    every = made(tmp_path, "p5", "random", normaliser="vocabulary")
    for _, _, _, read in every.draws():
        choices = {token.choices for token in read.targets[0].tokens}
        assert choices == {len(every.tokenizer)}


@pytest.mark.parametrize(("method", "items"), KINDS)
def test_the_figures_of_pairs(tmp_path: Path, method: str, items: str) -> None:
    world = made(tmp_path, method, items, max_length=130)
    figures = corpus_figures(world.dataset, world.corpus, world.settings, world.names)
    training = [sequence[:-2] for sequence in SEQUENCES]
    assert figures.targets == figures.windows == sum(len(part) - 1 for part in training)
    assert (figures.users, figures.users_trained_on) == (4, 4)
    encoder = world.corpus.encoder
    ends = items == "titles"  # these are read with their ends
    lengths = [int(length) - (not ends) for length in encoder.titles.lengths]
    histories = [sum(lengths[item] for item in part[:-1]) for part in training]
    assert figures.room >= max(histories)
    assert figures.users_with_longer_history == 0
    least = 130 - figures.room + max(lengths)
    tight = made(tmp_path, method, items, max_length=max(16, least))
    cut = corpus_figures(tight.dataset, tight.corpus, tight.settings)
    assert cut.users_with_longer_history == sum(tokens > cut.room for tokens in histories) > 0
    longest = figures.longest_titles[0]
    assert longest.tokens == encoder.titles.lengths.max()
    written = longest.title if longest.id is None else longest.id
    assert written == world.words[TITLES.index(longest.title)]
    assert (longest.id is None) == ends


def test_rows_are_those_of_the_targets_users(tmp_path: Path) -> None:
    world = made(tmp_path, "p5", "random", context_titles=2, targets_per_user=3)
    windows = world.corpus.training.windows
    rows = rows_of_windows(world.dataset, windows, world.settings).tolist()
    assert rows == [0, 0, 0, 1, 3, 3, 3]
    for row, window in zip(rows, windows, strict=True):
        sequence = SEQUENCES[row][:-2]
        before = [sequence[: place + 1] for place in range(2, len(sequence))]
        assert window.items.tolist() in before


def test_another_seed_draws_otherwise_and_calls_users_what_they_were(tmp_path: Path) -> None:
    world = made(tmp_path, "masked", "random")
    other = world._replace(corpus=reseeded(world.corpus, 7))
    assert isinstance(other.corpus.training, PairExamples)

    def told(world: Made) -> list[list[str]]:
        return [[line.text for line in read.lines] for *_, read in world.draws(masked=True)]

    assert told(world) != told(other)
    users = {word for lines in told(world) for word in lines if "user" in word}
    assert users == {word for lines in told(other) for word in lines if "user" in word}
    assert told(world) == told(world._replace(corpus=reseeded(world.corpus, world.settings.seed)))


def test_an_id_is_followed_through_the_trie_and_named(tmp_path: Path) -> None:
    world = made(tmp_path, "p5", "random")
    *_, read = next(world.draws())
    (line,) = read.targets
    assert line.item is not None
    found = title_choices(line, world.dataset, world.corpus, world.tokenizer, world.names)
    assert (found.title, found.id) == (TITLES[line.item], world.words[line.item])
    assert "".join(stretch.text for stretch in found.stretches) == f" {found.id}\n"
    assert [stretch.choices for stretch in found.stretches] == [1, len(TITLES), 1]
    assert sum(beginning.titles for beginning in found.beginnings) == len(TITLES)
