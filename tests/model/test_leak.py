"""Ids in order of appearance give answers away: the audit says it, and P5 learns to read it."""

from pathlib import Path
from typing import Any

import pytest
from lessons import learn, lesson, nobody
from preparing import prepare_with
from small_data import raw_log
from tiny import settings_for
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from genrec_cli.core.settings import ItemWords, PrepareSettings, SearchSettings
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.engine.local import LocalEngine
from genrec_cli.data.split import held_out
from genrec_cli.decoding.question import Question
from genrec_cli.decoding.search import search
from genrec_cli.evaluation.metrics import hit_rate, place_in_ranking
from genrec_cli.language.backbones.nano_pairs import build_bart
from genrec_cli.language.backbones.wholewords import attach_whole_words
from genrec_cli.language.corpus import make_corpus, whole_words
from genrec_cli.language.itemwords.leak import item_ids
from genrec_cli.language.itemwords.words import item_words
from genrec_cli.language.run import asking
from genrec_cli.language.templates import texts_of

USERS, EACH = 60, 14


@pytest.fixture(scope="module")
def in_file_order(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Everybody has items of her own, so that nothing but their numbers tells what comes next."""
    folder = tmp_path_factory.mktemp("ordered")
    rows = [
        (f"u{user:03}", f"{user * EACH + time:04}", time)
        for user in range(USERS)
        for time in range(EACH)
    ]
    engine = LocalEngine(folder / "scratch", memory_limit=10**9)
    settings = PrepareSettings(min_user=3, min_item=1)
    return prepare_with(engine, raw_log(rows), settings, folder).dataset


def digit_by_digit(texts: list[str]) -> Any:
    """A tokenizer that reads numbers as many pretrained ones do."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(" ", "merged_with_next"),
            pre_tokenizers.Split(Regex(r"\d"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        min_frequency=1,
        special_tokens=["<pad>", "</s>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", mask_token="<mask>"
    )


def hits_of_p5(dataset: Dataset, items: ItemWords, folder: Path) -> float:
    """HR@1 on test items of a P5 that was trained for half a minute."""
    settings = settings_for(
        method="p5",
        items=items,
        max_length=96,
        batch_size=32,
        micro_batch_tokens=4096,
        learning_rate=1e-3,
        max_steps=250,
        evaluations=1,
    )
    words = item_words(dataset, items, 0)
    tokenizer = digit_by_digit([*(f" {word}" for word in words), *texts_of(settings)])
    corpus = make_corpus(dataset, tokenizer, settings, words)

    def model() -> Any:
        network = build_bart(len(tokenizer), 96, 0.0, 0)
        attach_whole_words(network, whole_words(corpus, settings))
        return network

    run = learn(lesson(corpus, settings, nobody), folder, model=model)
    cases = held_out(dataset, "test")
    asked, effort, _ = asking(run.model.eval(), 96)
    prompts, question = corpus.prompts(cases), Question(1, cases.seen)
    found = search(asked.start(prompts), corpus.trie, question, SearchSettings(), effort)
    return float(hit_rate(place_in_ranking(found, cases.targets), 1).mean())


def test_the_audit_warns_of_a_log_in_file_order(in_file_order: Dataset) -> None:
    findings = in_file_order.manifest["audit"]["findings"]
    (finding,) = [entry for entry in findings if entry["name"] == "hits of the next id"]
    assert finding["warns"]


@pytest.mark.parametrize(("items", "leaks"), [("sequential", True), ("random", False)])
def test_p5_hits_by_reading_numbers_where_they_leak_and_only_there(
    in_file_order: Dataset, tmp_path: Path, items: ItemWords, leaks: bool
) -> None:
    ids = item_ids(in_file_order, items, item_words(in_file_order, items, 0))
    assert ids.leaks == leaks
    hits = hits_of_p5(in_file_order, items, tmp_path)
    assert (hits > 0.1) == leaks
    assert leaks or hits <= 1 / USERS
