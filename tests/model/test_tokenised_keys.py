"""When kept titles are used: by what key they are found, by which commands, and until when."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kept_titles import NANO, TITLES, assert_same, is_mapped, kept_in, made
from tiny import settings_for
from tokenizers import NormalizedString, PreTokenizedString, Regex, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from genrec_cli.commands.prepare import PrepareRequest, prepare
from genrec_cli.core.workspace import Workspace
from genrec_cli.data.dataset import Dataset, load_dataset
from genrec_cli.data.sources import Input
from genrec_cli.language.backbones.nano import train_tokenizer
from genrec_cli.language.corpus import make_corpus
from genrec_cli.language.prompt import Tokenizer
from genrec_cli.language.sampler import Draw
from genrec_cli.language.tokenised import FOLDER, Tokenised, cache_key, tokenised


class Subclass(PreTrainedTokenizerFast):
    """A tokenizer that may do anything."""


def changed(**attributes: Any) -> PreTrainedTokenizerFast:
    options = {"tokenizer_object": NANO.backend_tokenizer, "pad_token": NANO.pad_token}
    return Subclass(**options, **attributes)  # type: ignore[no-untyped-call]


def with_token(token: str) -> PreTrainedTokenizerFast:
    tokenizer = train_tokenizer(TITLES)
    tokenizer.add_tokens([token])
    return tokenizer


def test_other_titles_and_other_tokenizers_have_other_keys() -> None:
    titles = [TITLES, TITLES[::-1], ["Heat (1996)", *TITLES[1:]]]
    titles += [["ab", "c"], ["a", "bc"], ["abc"], ["a", "b", "c"]]
    tokenizers = [
        NANO,
        train_tokenizer([*TITLES, "Heat"]),
        with_token("Heat"),
        with_token("Alien"),
        changed(),
        changed(split_special_tokens=True),
    ]
    keys = [cache_key(titles, tokenizer) for titles in titles for tokenizer in tokenizers]
    assert None not in keys
    assert len(set(keys)) == len(keys)


def test_the_key_stays_the_same_for_a_copy_and_after_use(
    dataset: Dataset, tokenizer: Tokenizer
) -> None:
    """`finetune` has the base model's tokenizer, `predict` the one saved with the run."""
    trained = train_tokenizer([*dataset.titles, "Titles:\n"])
    key = cache_key(dataset.titles, trained)
    assert key == cache_key(dataset.titles, tokenizer) is not None
    trained(["a", "a b c"], padding="max_length", truncation=True, max_length=2)
    assert cache_key(dataset.titles, trained) == key


class Spaces:
    """A part of a tokenizer in Python, which cannot be serialised."""

    def pre_tokenize(self, text: PreTokenizedString) -> None:
        text.split(self._split)

    def _split(self, _: int, text: NormalizedString) -> list[NormalizedString]:
        parts: list[NormalizedString] = text.split(Regex(" "), "merged_with_next")
        return parts


class Utf8:
    """A tokenizer in Python: a token a byte, and none that ends a text."""

    eos_token_id = None

    def __call__(self, texts: list[str], *, add_special_tokens: bool) -> dict[str, Any]:
        return {"input_ids": [self.encode(text, add_special_tokens=False) for text in texts]}

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        return list(text.encode())


def partly_in_python() -> PreTrainedTokenizerFast:
    tokenizer = train_tokenizer(TITLES)
    in_python = pre_tokenizers.PreTokenizer.custom(Spaces())
    in_rust = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([in_python, in_rust])
    return tokenizer


@pytest.mark.parametrize("make", [partly_in_python, Utf8])
def test_for_a_tokenizer_that_hides_its_rules_nothing_is_kept(
    make: Callable[[], Tokenizer], tmp_path: Path
) -> None:
    assert cache_key(["abc"], make()) is None
    for _ in range(2):
        assert_same(tokenised(["abc", "ab"], make(), tmp_path), made(["abc", "ab"], make()))
    assert list(tmp_path.iterdir()) == []


def test_training_gets_the_same_from_what_is_kept(
    dataset: Dataset, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(dataset.folder, folder, ignore=shutil.ignore_patterns(FOLDER))
    moved = replace(dataset, folder=folder)
    first, second = (make_corpus(moved, tokenizer, settings_for()) for _ in range(2))
    assert len(kept_in(folder)) == 1
    fresh, found = (Tokenised(each.encoder.titles, each.trie) for each in (first, second))
    assert is_mapped(found)
    assert_same(found, fresh)
    assert len(first.training) == len(second.training) > 0
    for window in range(len(first.training)):
        (one,), (other,) = (each.training[Draw(0, window)] for each in (first, second))
        np.testing.assert_array_equal(one.tokens, other.tokens)
        np.testing.assert_array_equal(one.nodes, other.nodes)


def test_a_dataset_is_itself_beside_its_cache_and_preparing_it_again_drops_that(
    tmp_path: Path,
) -> None:
    workspace = Workspace(tmp_path)
    request = PrepareRequest(Input("sample"))
    folder = prepare(workspace, request).folder
    dataset = load_dataset(folder)
    tokenised(dataset.titles, NANO, folder)
    assert len(kept_in(folder)) == 1
    assert workspace.find_dataset(None) == folder
    assert load_dataset(folder).hash == dataset.hash
    prepare(workspace, replace(request, force=True))
    assert not (folder / FOLDER).exists()
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
