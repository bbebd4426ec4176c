"""The texts around histories, by objective, as a real tokenizer writes and reads them."""

from typing import Any

import numpy as np
import pytest
from made_world import targets_of
from preparing import prepare_with
from small_data import KEEP_ALL, raw_log

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.engine.local import LocalEngine
from genrec_cli.data.split import training_part
from genrec_cli.language.backbones.nano import train_tokenizer
from genrec_cli.language.corpus import Corpus, make_corpus
from genrec_cli.language.examples import NO_TARGET, Example, TrainingExamples
from genrec_cli.language.prompt import Tokenizer
from genrec_cli.language.sampler import Draw
from genrec_cli.language.templates import ANSWERS, HIDDEN, PAPER_WORDINGS, prompts_of, texts_of

ITEMS, USERS, LENGTH = 30, 6, 14


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"i{item}", time)
        for user in range(USERS)
        for time, item in enumerate(rng.permutation(ITEMS)[:LENGTH].tolist())
    ]
    titles = {f"i{item}": f"{'Long ' * (item % 3)}Film {item}" for item in range(ITEMS)}
    engine = LocalEngine(folder / "scratch", memory_limit=10**9)
    return prepare_with(engine, raw_log(rows, titles), KEEP_ALL, folder).dataset


def settings_of(**values: Any) -> FinetuneSettings:
    defaults: dict[str, Any] = {"max_length": 200, "instruction": "Films:"}
    return FinetuneSettings(**defaults | values)


def corpus_of(dataset: Dataset, **values: Any) -> tuple[Corpus, Tokenizer]:
    settings = settings_of(**values)
    tokenizer = train_tokenizer([*dataset.titles, *texts_of(settings)])
    return make_corpus(dataset, tokenizer, settings), tokenizer


def text_of(tokenizer: Tokenizer, example: Example) -> tuple[str, str]:
    """Before the first target, and from there on."""
    split = int(np.argmax(example.nodes != NO_TARGET))
    parts = (example.tokens[:split], example.tokens[split:])
    before, after = (str(tokenizer.decode(part.tolist())) for part in parts)
    return before, after


PAPER = {"objective": "paper"}  # of itself one target a prompt


def test_the_papers_texts_are_instruction_input_and_output_in_several_wordings(
    dataset: Dataset,
) -> None:
    corpus, tokenizer = corpus_of(dataset, **PAPER)
    used = set()
    for epoch in range(10):
        for number, window in enumerate(corpus.training.windows):
            (example,) = corpus.training[Draw(epoch, number)]
            before, after = text_of(tokenizer, example)
            instruction, rest = before.split("\nInput:\n")
            wording = instruction.removeprefix("Instruction: ")
            used.add(wording)
            titles = [dataset.titles[item] + "\n" for item in window.items]
            assert instruction == f"Instruction: {wording}"
            assert rest == "".join(titles[:-1]) + "Output:\n"
            assert after == titles[-1]
    assert used == set(PAPER_WORDINGS)
    assert len(set(PAPER_WORDINGS)) == len(PAPER_WORDINGS) > 4


def test_serving_and_validation_ask_by_the_first_wording(dataset: Dataset) -> None:
    settings = settings_of(**PAPER)
    first = prompts_of(settings)[0]
    assert first.before == f"Instruction: {PAPER_WORDINGS[0]}\nInput:\n"
    corpus, tokenizer = corpus_of(dataset, **PAPER)
    asked = tokenizer.decode(corpus.encoder.prompts([np.array([0, 1])], [None])[0])
    assert asked == f"{first.before}{dataset.titles[0]}\n{dataset.titles[1]}\n{first.after}"
    assert len(corpus.validation) == USERS
    for example, prompt in zip(corpus.validation, corpus.prompts(corpus.cases), strict=True):
        split = int(np.argmax(example.nodes != NO_TARGET))
        assert example.tokens[:split].tolist() == prompt


def longest_wording(tokenizer: Tokenizer) -> int:
    prompts = prompts_of(settings_of(**PAPER))
    return max(sum(map(len, prompt.around(tokenizer))) for prompt in prompts)


@pytest.mark.parametrize("targets", ["all", "last"])
def test_the_same_windows_fit_with_every_wording(dataset: Dataset, targets: str) -> None:
    _, tokenizer = corpus_of(dataset, **PAPER)
    most = longest_wording(tokenizer) + 24  # histories are cut
    values = {**PAPER, "targets": targets, "max_length": most}
    corpus, _ = corpus_of(dataset, **values)
    assert isinstance(corpus.training, TrainingExamples)
    lengths = {
        len(writer.next_titles(window).tokens)
        for writer in corpus.training.writers
        for window in corpus.training.windows
    }
    assert len(corpus.training.writers) == len(PAPER_WORDINGS)
    # Each wording takes another number of tokens; the longest is used to the full.
    assert most - 3 <= max(lengths) <= most
    assert len(lengths) > 3


def test_the_default_text_is_the_instruction_and_the_titles(dataset: Dataset) -> None:
    corpus, tokenizer = corpus_of(dataset)
    for number, window in enumerate(corpus.training.windows):
        (example,) = corpus.training[Draw(0, number)]
        lines = [dataset.titles[item] + "\n" for item in window.items]
        split = window.first_target
        assert text_of(tokenizer, example) == (
            "Films:\n" + "".join(lines[:split]),
            "".join(lines[split:]),
        )


def test_hidden_titles_read_as_such(dataset: Dataset) -> None:
    corpus, tokenizer = corpus_of(dataset, mask_weight=0.5)
    for number, window in enumerate(corpus.training.windows):
        _, example = corpus.training[Draw(0, number)]
        before, answers = text_of(tokenizer, example)
        lines = before.removeprefix("Films:\n").removesuffix(ANSWERS).splitlines(keepends=True)
        rest = iter(answers.splitlines(keepends=True))
        whole = [next(rest) if line == HIDDEN else line for line in lines]
        assert next(rest, None) is None
        assert whole == [dataset.titles[item] + "\n" for item in window.items]
        assert lines.count(HIDDEN) == targets_of(example) > 0


def test_a_tokenizer_of_ones_own_learns_the_texts_that_its_settings_use(dataset: Dataset) -> None:
    around: dict[str, dict[str, Any]] = {"paper": PAPER, "plain": {}, "mask": {"mask_weight": 1}}
    texts = {name: texts_of(settings_of(**values)) for name, values in around.items()}
    assert [HIDDEN in texts[name] for name in around] == [False, False, True]
    assert "Output:\n" in texts["paper"]
    for name, values in around.items():
        _, tokenizer = corpus_of(dataset, **values)
        for text in texts[name]:
            assert len(tokenizer.encode(text)) <= len(text.split()) + text.count("\n")


@pytest.mark.parametrize("values", [{}, PAPER, {"mask_weight": 1.0}, {"targets_per_user": 3}])
def test_no_text_holds_a_title_that_its_user_has_not_met_in_training(
    dataset: Dataset, values: dict[str, Any]
) -> None:
    corpus, _ = corpus_of(dataset, **values)
    parts = [training_part(dataset, row).tolist() for row in range(USERS)]
    for window in corpus.training.windows:
        items = window.items.tolist()
        assert any(items == part[b : b + len(items)] for part in parts for b in range(len(part)))
