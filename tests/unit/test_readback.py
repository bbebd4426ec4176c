"""Training examples read back: texts, roles and choices, against naive ones."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_world import END, World, targets_of, worlds
from numpy.typing import NDArray
from small_data import dataset_of
from tokenizers import Tokenizer, decoders, models, normalizers, trainers
from transformers import PreTrainedTokenizerFast

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.data.dataset import Dataset
from genrec_cli.language.backbones.nano import train_tokenizer
from genrec_cli.language.choices import Choices, TrieChoices, VocabularyChoices
from genrec_cli.language.corpus import Corpus, make_corpus
from genrec_cli.language.masking import Masking
from genrec_cli.language.prompt import tokenise_titles
from genrec_cli.language.readback import Line, Reader, ReadExample, pieces
from genrec_cli.language.sampler import Draw
from genrec_cli.language.spans import hidden_spans
from genrec_cli.language.templates import PAPER_WORDINGS, texts_of
from genrec_cli.language.windows import Window

TITLES = [
    "The Matrix (1999)",
    "The Matrix Reloaded (2003)",
    "Theremin (1993)",
    "Amélie (2001)",
    "Amèlie (2001)",
    "千と千尋の神隠し (2001)",
    "[bold]Red[/bold] 🎬 (1994)",
    "[hidden]",
    "A",
    "A A",
]
MARK = TITLES.index("[hidden]")
SEQUENCES = [[0, 1, 2, 3, 4, 5, 6, 8, 9, 1, 0, 1], [6, 0, 9, 8, 1], [5, 6, 1, 0], [2, 9, 4]]


def as_sentencepiece(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """A tokenizer as LLaMA's: blanks are a sign of their own, unknown characters their bytes."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    special = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")


BYTES = train_tokenizer(["The Matrix (1999)", "Titles:\n"])  # anything else is bytes to it
SIGNS = as_sentencepiece(["The Matrix (1999)", "Titles: one"])


def check_pieces(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    ids = tokenizer.encode(text, add_special_tokens=False)
    texts = pieces(tokenizer, ids)
    assert len(texts) == len(ids)
    assert "".join(texts) == tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    assert text.count("\ufffd") == "".join(texts).count("\ufffd")


@settings(max_examples=200)
@given(st.text("aé千 \n[🎬\ufffdT", max_size=12))
def test_pieces_join_to_what_the_ids_decode_to_and_cut_no_character(text: str) -> None:
    check_pieces(BYTES, text)
    check_pieces(SIGNS, text)


def test_a_character_counts_to_the_token_that_completes_it() -> None:
    ids = BYTES.encode("é千", add_special_tokens=False)
    assert pieces(BYTES, ids) == ["", "é", "", "", "千"]


class Made(NamedTuple):
    """A corpus of a few users, and what reads it back."""

    dataset: Dataset
    corpus: Corpus
    settings: FinetuneSettings

    @property
    def reader(self) -> Reader:
        return Reader(self.corpus, BYTES, self.settings.normaliser)

    def draws(self) -> list[tuple[Window, list[ReadExample]]]:
        windows = self.corpus.training.windows
        return [
            (w, self.reader.read(Draw(epoch, i))) for epoch in (0, 1) for i, w in enumerate(windows)
        ]


def made(folder: Path, sequences: Sequence[Sequence[int]] = SEQUENCES, **values: Any) -> Made:
    defaults: dict[str, Any] = {"instruction": "Titles:", "max_length": 400}
    chosen = FinetuneSettings(**defaults | values)
    whole = dataset_of(sequences, len(TITLES))
    dataset = replace(whole, folder=folder, titles=TITLES)
    return Made(dataset, make_corpus(dataset, BYTES, chosen), chosen)


def text_of(example: ReadExample, *roles: str) -> str:
    return "".join(token.text for token in example.tokens if not roles or token.role in roles)


def lines(titles: NDArray[np.int32]) -> str:
    return "".join(f"{TITLES[int(item)]}\n" for item in titles)


def naive_choices(line: Line) -> list[int]:
    """At each token, how many different ones follow the same beginning in any title."""
    tokens = tokenise_titles(BYTES, TITLES)
    titles = [tuple(tokens[item].tolist()) for item in range(len(TITLES))]
    ids = tuple(token.id for token in line.tokens)
    return [
        len({title[place] for title in titles if title[:place] == ids[:place]})
        for place in range(len(ids))
    ]


@pytest.mark.parametrize("targets", ["all", "last"])
def test_next_titles_are_read_then_written(tmp_path: Path, targets: str) -> None:
    for window, texts in made(tmp_path, targets=targets, context_titles=2).draws():
        (example,) = texts
        split = window.first_target
        assert text_of(example) == "Titles:\n" + lines(window.items)
        assert text_of(example, "prompt") == "Titles:\n"
        assert text_of(example, "history") == lines(window.items[:split])
        assert text_of(example, "target") == lines(window.items[split:])
        assert [line.text for line in example.lines[1:]] == [
            f"{TITLES[item]}\n" for item in window.items
        ]
        assert (example.titles, len(example.targets)) == (len(window.items), window.targets)


def test_choices_are_those_of_the_trie_and_only_several_carry_loss(tmp_path: Path) -> None:
    for _, (example,) in made(tmp_path).draws():
        for line in example.lines:
            expected = naive_choices(line) if line.role == "target" else [None] * len(line.tokens)
            assert [token.choices for token in line.tokens] == expected
        counts = [token.choices for token in example.tokens if token.choices is not None]
        assert example.forced == counts.count(1)
        assert example.decisions == len(counts) - example.forced > 0


@pytest.mark.parametrize("normaliser", ["catalog", "vocabulary"])
def test_tokens_that_carry_loss_are_those_that_the_loss_chooses(
    tmp_path: Path, normaliser: str
) -> None:
    corpus = made(tmp_path, mask_weight=1, normaliser=normaliser)
    choices: Choices = (
        VocabularyChoices() if normaliser == "vocabulary" else TrieChoices(corpus.corpus.trie)
    )
    for window in range(len(corpus.corpus.training)):
        draw = Draw(0, window)
        for example, read in zip(
            corpus.corpus.training[draw], corpus.reader.read(draw), strict=True
        ):
            nodes, tokens = (torch.from_numpy(x).long() for x in (example.nodes, example.tokens))
            groups = choices(nodes, tokens, torch.ones(len(tokens)))
            places = sorted(place for group in groups for place in group.places.tolist())
            seen = [place for place, token in enumerate(read.tokens) if (token.choices or 0) > 1]
            assert seen == places


def test_without_the_trie_every_token_of_a_target_competes_with_all(tmp_path: Path) -> None:
    for _, (example,) in made(tmp_path, normaliser="vocabulary").draws():
        targets = [token for token in example.tokens if token.role == "target"]
        assert {token.choices for token in targets} == {len(BYTES)}
        assert (example.decisions, example.forced) == (len(targets), 0)


def test_hidden_titles_are_marked_and_written_behind(tmp_path: Path) -> None:
    for window, (_, example) in made(tmp_path, mask_weight=0.5).draws():
        answers = [line.text for line in example.targets]
        left = iter(answers)
        places = example.lines[1 : -1 - len(answers)]
        assert text_of(example, "hidden") == "[hidden]\n" * len(answers)
        assert example.lines[-1 - len(answers)].text == "[hidden were]\n"
        whole = [next(left) if line.role == "hidden" else line.text for line in places]
        assert "".join(whole) == lines(window.items)
        assert len(answers) == -(-len(window.items) // 5)
        assert [[t.choices for t in line.tokens] for line in example.targets] == [
            naive_choices(line) for line in example.targets
        ]
        assert (example.masked, example.titles) == (True, len(window.items))


def test_a_stage_of_hidden_titles_alone_is_read_back(tmp_path: Path) -> None:
    world = made(tmp_path, objective="masked")
    for number, window in enumerate(world.corpus.training.windows):
        (example,) = world.reader.read(Draw(0, number, masked=True))
        assert example.masked
        assert {line.role for line in example.targets} == {"answer"}
        assert example.titles == len(window.items)
        (later,) = world.reader.read(Draw(0, number))
        assert text_of(later) == "Titles:\n" + lines(window.items)


def test_lines_say_of_which_items_they_are(tmp_path: Path) -> None:
    for window, (read, hidden) in made(tmp_path, mask_weight=1).draws():
        assert [line.item for line in read.lines] == [None, *window.items.tolist()]
        of_items = [line for line in hidden.lines if line.item is not None]
        assert of_items == [line for line in hidden.lines if line.role in ("history", "answer")]
        assert [line.text for line in of_items] == [
            f"{TITLES[line.item or 0]}\n" for line in of_items
        ]


def test_a_title_like_the_mark_of_a_hidden_one_is_read_as_one_or_the_other(tmp_path: Path) -> None:
    sequence = [MARK, MARK, 0, MARK, 3, 1, 1]
    for window, (_, example) in made(tmp_path, [sequence], mask_weight=0.5).draws():
        assert example.lines[0].text == "Titles:\n"
        assert len(example.targets) == 1
        places = text_of(example, "history", "hidden")
        assert places.count("\n") == len(window.items)
        assert places.count("[hidden]\n") in (3, 4)


def test_every_wording_of_the_paper_is_told_from_the_titles(tmp_path: Path) -> None:
    seen = set()
    for window, (example,) in made(tmp_path, objective="paper", targets="last").draws():
        history, target = lines(window.items[:-1]), lines(window.items[-1:])
        match = re.fullmatch(r"Instruction: (.+)\nInput:\nOutput:\n", text_of(example, "prompt"))
        assert match is not None
        seen.add(match[1])
        assert text_of(example) == f"Instruction: {match[1]}\nInput:\n{history}Output:\n{target}"
    assert len(seen) > 1
    assert seen <= set(PAPER_WORDINGS)


@settings(max_examples=200)
@given(worlds(), st.integers(0, 3), st.integers(1, 3), st.integers(0, 9))
def test_hidden_titles_are_found_where_the_oldest_had_no_room(
    world: World, mark: int, answers: int, seed: int
) -> None:
    masking = Masking(np.array([2] * (mark + 1) + [END], np.int32), np.full(answers, 1, np.int32))
    items = world.dataset.sequence(0)
    window = Window(items, 1)
    example = world.writer.hidden_titles(window, masking, np.random.default_rng(seed))
    spans = hidden_spans(example, window, world.encoder, masking)
    bounds = np.cumsum([0, *(span.length for span in spans)])
    parts = [example.tokens[a:b].tolist() for a, b in zip(bounds, bounds[1:], strict=False)]
    assert [token for part in parts for token in part] == example.tokens.tolist()
    by_role = {
        role: [part for span, part in zip(spans, parts, strict=True) if span.role == role]
        for role in ("history", "hidden", "answer")
    }
    assert by_role["hidden"] == [masking.line.tolist()] * targets_of(example)
    left = iter(by_role["answer"])
    whole = [
        next(left) if span.role == "hidden" else part
        for span, part in zip(spans, parts, strict=True)
        if span.role in ("history", "hidden")
    ]
    kept = items[len(items) - len(whole) :]
    assert whole == [world.encoder.titles[int(item)].tolist() for item in kept]


def test_all_that_stands_around_titles_is_prompt(tmp_path: Path) -> None:
    settings = FinetuneSettings(instruction="Titles:", mask_weight=1)
    (_, (read, hidden)), *_ = made(tmp_path, mask_weight=1).draws()
    around = texts_of(settings)
    assert text_of(read, "prompt") == around[0] == "Titles:\n"
    assert text_of(hidden, "prompt") == around[0] + around[-1]
