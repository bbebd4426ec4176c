"""Titles as token ids, and histories as prompts, with small real tokenizers."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from genrec_cli.core.errors import DataError
from genrec_cli.decoding.trie import build_trie
from genrec_cli.language.backbones.nano import train_tokenizer
from genrec_cli.language.prompt import (
    Encoder,
    Prompt,
    TitleTokens,
    end_of_title,
    tokenise_titles,
)

AROUND = "Titles, in order:\n", "The next one:\n"
TITLES = [
    "The Matrix (1999)",
    "The Matrix Reloaded (2003)",
    "Amélie (2001)",
    "千と千尋の神隠し (2001)",
    "$",
    "M*A*S*H (1970)",
    "  two  spaces  ",
    "…And Justice for All (1979)",
    "Don't Look Now , or ?",
]
CATALOGS = st.lists(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20),
    min_size=1,
    max_size=20,
    unique=True,
)


def nano() -> PreTrainedTokenizerFast:
    return train_tokenizer([*TITLES, *AROUND])


def byte_level(*, folding: bool = False, special: bool = False) -> PreTrainedTokenizerFast:
    """A token a byte; it may fold case and width, and put <s> and </s> around a text."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["<s>", "</s>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if folding:
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    if special:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
        )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")


def with_special() -> PreTrainedTokenizerFast:
    return byte_level(special=True)


MAKERS = [nano, byte_level, with_special]
every_tokenizer = pytest.mark.parametrize("make", MAKERS)
Maker = Callable[[], PreTrainedTokenizerFast]


def rows_of(tokens: TitleTokens) -> list[list[int]]:
    return [tokens[item].tolist() for item in range(len(tokens.lengths))]


@every_tokenizer
def test_every_title_reads_back_from_its_ids(make: Maker) -> None:
    tokenizer = make()
    rows = rows_of(tokenise_titles(tokenizer, TITLES))
    assert [tokenizer.decode(row[:-1]) for row in rows] == TITLES


@every_tokenizer
def test_every_title_ends_in_the_end_of_title_and_holds_it_nowhere_else(make: Maker) -> None:
    tokenizer = make()
    end = end_of_title(tokenizer)
    assert tokenizer.decode([end]) == "\n"
    for row in rows_of(tokenise_titles(tokenizer, TITLES)):
        assert row.index(end) == len(row) - 1 > 0


BYTES, FOLDING = byte_level(), byte_level(folding=True)


@settings(max_examples=50)
@given(CATALOGS)
def test_any_titles_without_a_line_break_read_back_and_make_a_trie(titles: list[str]) -> None:
    tokens = tokenise_titles(BYTES, titles)
    assert [BYTES.decode(row[:-1]) for row in rows_of(tokens)] == titles
    assert tokens.flat.dtype == np.int32
    assert build_trie((tokens.flat, tokens.offsets)).n_items == len(titles)


@pytest.mark.parametrize(
    ("titles", "written"),
    [
        (["Heat", "HEAT"], ["heat", "heat #1"]),
        (["Heat", "Alien", "HEAT", "ｈｅａｔ"], ["heat", "alien", "heat #2", "heat #3"]),
        (["Heat", "HEAT", "heat #1"], ["heat", "heat #1", "heat #1 #2"]),
        (["Ⅸ", "ix", "IX"], ["ix", "ix #1", "ix #2"]),
    ],
)
def test_titles_that_a_tokenizer_folds_together_stay_one_to_one(
    titles: list[str], written: list[str]
) -> None:
    rows = rows_of(tokenise_titles(FOLDING, titles))
    assert [FOLDING.decode(row[:-1]) for row in rows] == written


def one_by_one(tokenizer: PreTrainedTokenizerFast, titles: list[str]) -> list[list[int]]:
    """The rule without any haste: each title by itself, with its number if its ids are taken."""
    rows: list[list[int]] = []
    for number, title in enumerate(titles):
        ids = tokenizer.encode(title, add_special_tokens=False)
        if [*ids, end_of_title(tokenizer)] in rows:
            ids = tokenizer.encode(f"{title} #{number}", add_special_tokens=False)
        rows.append([*ids, end_of_title(tokenizer)])
    return rows


class Shouting(PreTrainedTokenizerFast):
    """Edits texts before its backend sees them, as CodeLlama's does."""

    def _encode_plus(self, text: Any, *args: Any, **options: Any) -> Any:
        loud = text.upper() if isinstance(text, str) else [each.upper() for each in text]
        return super()._encode_plus(loud, *args, **options)


def shouting() -> PreTrainedTokenizerFast:
    backend = byte_level().backend_tokenizer
    return Shouting(tokenizer_object=backend)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("make", [*MAKERS, shouting])
def test_many_titles_get_the_ids_that_each_would_get_alone(make: Maker) -> None:
    titles = [*TITLES, "the matrix (1999)", "HEAT", "heat"]
    assert rows_of(tokenise_titles(make(), titles)) == one_by_one(make(), titles)


def test_titles_are_told_apart_however_far_they_lie_from_each_other() -> None:
    titles = [f"film {number}" for number in range(3000)]
    titles[2999], titles[1024] = "FILM 0", "Film 1023"
    rows = rows_of(tokenise_titles(FOLDING, titles))
    assert rows == one_by_one(FOLDING, titles)
    assert FOLDING.decode(rows[2999][:-1]) == "film 0 #2999"
    assert FOLDING.decode(rows[1024][:-1]) == "film 1023 #1024"


def test_padding_and_cutting_of_earlier_texts_do_not_last() -> None:
    tokenizer = byte_level()
    tokenizer.pad_token = "</s>"
    tokenizer(["a", "abc"], padding="max_length", truncation=True, max_length=2)
    assert rows_of(tokenise_titles(tokenizer, TITLES)) == one_by_one(byte_level(), TITLES)


@pytest.mark.parametrize(
    ("titles", "shown"),
    [
        (["Heat", "HEAT #2", "HEAT"], "'HEAT'"),
        (["Heat", ""], "''"),
        (["two\nlines"], r"'two\nlines'"),
    ],
)
def test_a_title_that_cannot_be_told_apart_is_named(titles: list[str], shown: str) -> None:
    with pytest.raises(DataError) as error:
        tokenise_titles(FOLDING, titles)
    assert error.value.message == (
        f"title {shown} cannot be told apart by this base model's tokenizer"
    )


@every_tokenizer
def test_a_text_begins_as_the_tokenizer_begins_one_and_goes_on_behind_the_history(
    make: Maker,
) -> None:
    tokenizer = make()
    head, tail = Prompt(*AROUND).around(tokenizer)
    begun = "<s>" if make is with_special else ""
    assert tokenizer.decode(head.tolist()) == f"{begun}{AROUND[0]}"
    assert tokenizer.decode(tail.tolist()) == AROUND[1]
    assert Prompt(AROUND[0]).around(tokenizer)[1].tolist() == []


def encoder_with(lengths: Sequence[int], head: int, slack: int, tail: int = 0) -> Encoder:
    """Titles of the given lengths (title i begins with 10 + i, 0 ends it), in some more room."""
    rows = [[10 + item, *[5] * (length - 2), 0] for item, length in enumerate(lengths)]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    flat = np.array([token for row in rows for token in row], dtype=np.int32)
    before, after = np.full(head, 3, dtype=np.int32), np.full(tail, 4, dtype=np.int32)
    room = 2 * max(lengths) + slack
    return Encoder(before, TitleTokens(flat, offsets), head + room + tail, after)


LENGTHS = st.lists(st.integers(2, 9), min_size=1, max_size=8)


@given(LENGTHS, st.integers(0, 5), st.integers(0, 40), st.integers(0, 5), st.data())
def test_a_prompt_holds_the_newest_whole_titles_that_leave_room_for_one_more(
    lengths: list[int], head: int, slack: int, tail: int, data: st.DataObject
) -> None:
    encoder = encoder_with(lengths, head, slack, tail)
    history = data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=30))
    room = encoder.max_length - max(lengths)
    prompt = encoder.prompt(history)
    kept = encoder.newest(history).tolist()
    assert kept == history[len(history) - len(kept) :]
    titles = [int(token) for item in kept for token in encoder.titles[item]]
    assert prompt == [3] * head + titles + [4] * tail
    assert encoder.room == encoder.max_length - head - tail
    assert len(prompt) <= room
    if len(kept) < len(history):
        assert len(prompt) + lengths[history[-len(kept) - 1]] > room


def test_a_history_is_neither_changed_nor_needed() -> None:
    encoder = encoder_with([3, 4], head=2, slack=0)
    history = np.array([0, 1, 0, 1, 0], dtype=np.int32)
    encoder.prompt(history)
    assert history.tolist() == [0, 1, 0, 1, 0]
    assert encoder.prompt([]) == [3, 3]


@every_tokenizer
def test_a_prompt_reads_as_lines(make: Maker) -> None:
    tokenizer = make()
    titles = tokenise_titles(tokenizer, TITLES)
    head, tail = Prompt(*AROUND).around(tokenizer)
    encoder = Encoder(head, titles, 1000, tail)
    text = str(tokenizer.decode(encoder.prompt([2, 0])))
    assert text.removeprefix("<s>") == (
        "Titles, in order:\nAmélie (2001)\nThe Matrix (1999)\nThe next one:\n"
    )


@pytest.mark.parametrize("slack", [-1, -7])
def test_too_little_room_is_refused_with_the_least_length_that_works(slack: int) -> None:
    with pytest.raises(DataError) as error:
        encoder_with([3, 8, 4], head=3, slack=slack, tail=2)
    assert error.value.message == (
        f"max_length {21 + slack} is too short: the instruction takes 5 tokens, the longest title 8"
    )
    assert error.value.fix == "set max_length to 21 or more"
    assert encoder_with([3, 8, 4], head=3, slack=0, tail=2).max_length == 21


@pytest.mark.parametrize("prompt", [Prompt(""), Prompt(*AROUND), Prompt('Größe "\\"\n', "\n")])
def test_a_saved_prompt_loads_equal(prompt: Prompt, tmp_path: Path) -> None:
    prompt.save(tmp_path)
    assert Prompt.load(tmp_path) == prompt


def test_where_blanks_are_all_that_a_tokenizer_makes_of_line_breaks_texts_end_titles() -> None:
    """T5's SentencePiece reads a line break as a blank, which titles have, too."""
    words = {"<pad>": 0, "</s>": 1, "▁": 2, **{f"▁{word}": 3 + n for n, word in enumerate("ab")}}
    inner = Tokenizer(models.WordLevel(words, unk_token="▁"))
    inner.normalizer = normalizers.Replace("\n", " ")
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.decoder = decoders.Metaspace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="</s>")
    assert end_of_title(tokenizer) == 1
    tokens = tokenise_titles(tokenizer, ["a b", "b"])
    assert [tokens[item].tolist() for item in range(2)] == [[3, 4, 1], [4, 1]]
