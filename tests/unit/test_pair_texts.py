"""What encoder-decoders read and write: P5's wordings, masked sequences, whose history it is."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_data import dataset_of, items_of

from genrec_cli.core.errors import DataError
from genrec_cli.core.settings import FinetuneSettings, ItemWords
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import held_out, training_part
from genrec_cli.language.backbones.names import find_source
from genrec_cli.language.corpus import Corpus, make_corpus
from genrec_cli.language.itemnames import tokenizer_for
from genrec_cli.language.itemwords.words import item_words, user_words
from genrec_cli.language.pairs.encoder import PairEncoder
from genrec_cli.language.pairs.examples import PairExamples
from genrec_cli.language.pairs.people import KnownUsers
from genrec_cli.language.pairs.targets import TargetWindows
from genrec_cli.language.pairs.wordings import ASKED, DIRECT, HISTORY, SEQUENTIAL, USER
from genrec_cli.language.reading import Reading
from genrec_cli.language.sampler import Draw

SEQUENCES = [[0, 1, 2, 3, 4, 5], [3, 4, 5, 6, 7], [6, 0, 2, 8], [1, 2, 3, 9, 4, 0, 5]]
DATASET = dataset_of(SEQUENCES)
MASK = "<mask>"


class Texts:
    """A corpus of one method, its tokenizer, and what it calls items and users."""

    def __init__(self, **values: Any) -> None:
        values = {"method": "p5", "base_model": "nano-t5", "max_length": 64, **values}
        self.settings = FinetuneSettings(**values)
        kind = self.settings.item_words
        words = item_words(DATASET, kind, 0)
        names = None if kind == "titles" else words
        self.items = DATASET.titles if names is None else words
        self.users = user_words(len(SEQUENCES), 0)
        source = find_source(self.settings.base_model)
        self.tokenizer = tokenizer_for(source, DATASET, self.settings, names)
        self.corpus: Corpus = make_corpus(DATASET, self.tokenizer, self.settings, names)

    @property
    def encoder(self) -> PairEncoder:
        assert isinstance(self.corpus.encoder, PairEncoder)
        return self.corpus.encoder

    @property
    def training(self) -> PairExamples:
        assert isinstance(self.corpus.training, PairExamples)
        return self.corpus.training

    def text(self, reading: Reading) -> str:
        return str(self.tokenizer.decode(reading.tokens.tolist())).strip()

    def asked(self, history: Sequence[int], row: int | None) -> str:
        return self.text(self.encoder.prompts([items_of(*history)], [row])[0])

    def drawn(self, epochs: int, masked: bool = False) -> list[tuple[int, str, str, bool]]:
        """Of each draw the window, what is read, what is written, and whether it was hidden."""
        found = []
        for epoch in range(epochs):
            for number in range(len(self.training)):
                (example,) = self.training[Draw(epoch, number, masked)]
                assert example.reading is not None
                written = self.tokenizer.decode(example.tokens[1:].tolist()).strip()
                found.append((number, self.text(example.reading), written, example.masked))
        return found


def spoken(wording: str, items: Sequence[str], user: str) -> str:
    return wording.replace(HISTORY, " ".join(items)).replace(USER, user)


def test_p5_asks_with_the_wording_that_training_never_sees() -> None:
    texts = Texts()
    history = [texts.items[item] for item in (3, 4)]
    assert texts.asked([3, 4], 1) == spoken(ASKED, history, texts.users[1])
    assert texts.asked([3, 4], None) == spoken(ASKED, history, "somebody")
    trained = {read for _, read, _, _ in texts.drawn(20)}
    held_out = re.escape(ASKED).replace(re.escape(HISTORY), ".*").replace(re.escape(USER), ".*")
    assert not [read for read in trained if re.fullmatch(held_out, read)]


@pytest.mark.parametrize("method", ["p5", "masked"])
def test_whom_training_never_names_is_not_named_either_when_asked(method: str) -> None:
    texts = Texts(method=method, anonymous=1, task_weights={"direct": 0})
    named = Texts(method=method, anonymous=0.9, task_weights={"direct": 0})
    assert texts.asked([3, 4], 1) == texts.asked([3, 4], None) == named.asked([3, 4], None)
    assert named.asked([3, 4], 1) != named.asked([3, 4], None)
    assert not [read for _, read, _, _ in texts.drawn(3) if "user_" in read]


def test_every_word_that_p5_asks_with_stands_in_a_wording_that_is_trained() -> None:
    assert set(ASKED.split()) <= set(" ".join((*SEQUENTIAL, *DIRECT)).split())


def test_p5_writes_every_wording_of_every_task_with_the_window_and_its_target() -> None:
    texts = Texts(task_weights={"sequential": 1, "direct": 1})
    used: Counter[str] = Counter()
    for number, read, written, hidden in texts.drawn(60):
        window, row = texts.training.windows[number], int(texts.training.windows.rows[number])
        history = [texts.items[item] for item in window.items[:-1]]
        assert (written, hidden) == (texts.items[window.items[-1]], False)
        said = [
            wording
            for wording in (*SEQUENTIAL, *DIRECT)
            if read in (spoken(wording, history, user) for user in (texts.users[row], "somebody"))
        ]
        assert len(said) == 1, read
        used[said[0]] += 1
    assert set(used) == {*SEQUENTIAL, *DIRECT}
    direct = sum(used[wording] for wording in DIRECT) / used.total()
    assert 0.4 < direct < 0.6


def test_a_task_without_weight_is_not_trained() -> None:
    texts = Texts(task_weights={"sequential": 0, "direct": 1})
    assert not [read for _, read, _, _ in texts.drawn(5) if "item_" in read]


def test_p5_numbers_the_words_of_a_text() -> None:
    texts = Texts()
    (reading,) = texts.encoder.prompts([items_of(3, 4)], [1])
    words = spoken(ASKED, [texts.items[3], texts.items[4]], texts.users[1]).split()
    pieces = [
        texts.tokenizer.decode(reading.tokens[reading.words == number].tolist()).strip()
        for number in range(1, reading.words.max() + 1)
    ]
    assert pieces == words


@pytest.mark.parametrize("base_model", ["nano", "nano-t5"])
@pytest.mark.parametrize("kind", ["independent", "hybrid"])
def test_tokens_of_their_own_are_whole_and_teach_no_pieces(
    kind: ItemWords, base_model: str
) -> None:
    settings = FinetuneSettings(method="p5", base_model=base_model, items=kind)
    names = item_words(DATASET, settings.item_words, 0)
    tokenizer = tokenizer_for(find_source(base_model), DATASET, settings, names)
    own = {f"<{name.partition('<')[2]}" for name in names}
    assert {token for token in tokenizer.get_vocab() if "<item" in token} == own
    for name in names:
        assert tokenizer.convert_ids_to_tokens(tokenizer.encode(f" {name}"))[-1] in own


@pytest.mark.parametrize("kind", ["random", "independent", "titles"])
def test_masked_reads_a_bare_sequence_and_writes_what_is_under_the_mask(kind: str) -> None:
    texts = Texts(method="masked", base_model="nano-bart", items=kind)
    ids = kind == "random"

    def bare(user: str, items: Sequence[str]) -> str:
        words = [word for word in (user, *items) if word]
        if kind == "titles":
            return "\n".join(words)
        return (" " if ids else "").join(words).replace(f" {MASK}", MASK)

    assert texts.asked([3, 4], 1) == bare(texts.users[1], [texts.items[3], texts.items[4], MASK])
    places: Counter[int] = Counter()
    anonymous = 0
    for stage in (False, True):
        for number, read, written, hidden in texts.drawn(40, masked=stage):
            window, row = texts.training.windows[number], int(texts.training.windows.rows[number])
            named = [texts.items[item] for item in window.items]
            matches = [
                (place, user)
                for place in range(len(named))
                for user in (texts.users[row], "")
                if read == bare(user, [*named[:place], MASK, *named[place + 1 :]])
            ]
            ((place, user),) = matches
            assert (written, hidden) == (named[place], stage)
            places[len(named) - 1 - place if stage else -1 - (len(named) - 1 - place)] += 1
            anonymous += not user
    assert [place for place in places if place < -1] == []  # the second stage hides the last alone
    assert places[0] > places[1] > 0 < places[2]
    assert 0.05 < anonymous / places.total() < 0.15


def test_masked_names_items_and_users_by_rows_of_one_table() -> None:
    texts = Texts(method="masked")
    (reading,) = texts.encoder.prompts([items_of(3, 8)], [2])
    runs = [
        int(word)
        for place, word in enumerate(reading.words)
        if place == 0 or word != reading.words[place - 1]
    ]
    assert runs == [1 + 10 + 2, 1 + 3, 1 + 8, 0]
    assert texts.encoder.phrasing.words == 1 + 10 + len(SEQUENCES)


def test_draws_are_known_by_their_seed_and_epochs_differ() -> None:
    first, again, other = Texts(), Texts(), Texts(seed=1)
    assert first.drawn(2) == again.drawn(2)
    assert first.drawn(1) != first.drawn(2)[len(first.training) :]
    assert first.drawn(1) != other.drawn(1)


def test_validation_is_asked_as_serving_asks() -> None:
    texts = Texts()
    for row, example in enumerate(texts.corpus.validation):
        history = SEQUENCES[row][:-2]
        assert example.reading is not None
        assert texts.text(example.reading) == texts.asked(history, row)
        written = texts.tokenizer.decode(example.tokens[1:].tolist()).strip()
        assert written == texts.items[SEQUENCES[row][-2]]


def test_a_window_too_short_for_one_item_is_refused_with_the_length_that_is_enough() -> None:
    encoder = Texts().encoder

    def of(max_length: int) -> PairEncoder:
        return PairEncoder(encoder.lexicon, encoder.phrasing, max_length)

    with pytest.raises(DataError) as refused:
        of(4)
    enough = int(str(refused.value.fix).split()[3])
    (reading,) = of(enough).prompts([items_of(*range(10))], [3])
    assert len(reading) <= enough
    assert "item_" in Texts().text(reading)
    with pytest.raises(DataError):
        of(enough - 1)


@st.composite
def small_datasets(draw: st.DrawFn) -> Dataset:
    items = st.lists(st.integers(0, 9), min_size=3, max_size=9)
    return dataset_of(draw(st.lists(items, min_size=1, max_size=5)), items=10)


@settings(max_examples=200)
@given(
    small_datasets(),
    st.lists(st.integers(1, 4), min_size=10, max_size=10),
    st.integers(4, 20),
    st.integers(1, 3),
    st.none() | st.integers(1, 4),
)
def test_windows_are_all_targets_in_order_with_as_much_history_as_fits(
    dataset: Dataset, lengths: list[int], room: int, context: int, per_user: int | None
) -> None:
    chosen = FinetuneSettings(context_titles=context, targets_per_user=per_user)
    windows = TargetWindows(dataset, np.array(lengths), room, chosen)
    expected = []
    for row in range(len(dataset.user_ids)):
        items = training_part(dataset, row).tolist()
        places = list(range(context, len(items)))
        for place in places if per_user is None else places[-per_user:]:
            first = place
            while first and sum(lengths[item] for item in items[first - 1 : place]) <= room:
                first -= 1
            expected.append((row, items[first:place], items[place]))
    found = [
        (row, window.items[:-1].tolist(), int(window.items[-1]))
        for row, window in zip(windows.rows.tolist(), windows, strict=True)
    ]
    assert found == expected
    assert windows.read.tolist() == [sum(lengths[i] for i in read) for _, read, _ in expected]
    assert windows.targets.tolist() == [target for _, _, target in expected]


def test_users_are_known_by_what_they_were_asked_with_and_strangers_are_not() -> None:
    dataset = dataset_of([*SEQUENCES, SEQUENCES[0]])  # two of them cannot be told apart
    known = KnownUsers(dataset)
    for split in ("validation", "test"):
        cases = held_out(dataset, split)
        assert known.rows(cases.histories) == [None, 1, 2, 3, None]
    assert known.rows([items_of(*SEQUENCES[3]), items_of(1, 2), items_of()]) == [3, None, None]
