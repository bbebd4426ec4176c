"""Fixtures of the model tests: a tiny dataset and a tiny base model, made once."""

import pytest
import torch
from tiny import save_tiny, tiny_dataset

from genrec_cli.data.dataset import Dataset
from genrec_cli.language.backbones.load import load_tokenizer
from genrec_cli.language.backbones.names import Source
from genrec_cli.language.prompt import Tokenizer

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return tiny_dataset(tmp_path_factory.mktemp("data") / "tiny")


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Source:
    """A tiny LLaMA in a folder; bitsandbytes wants multiples of 64 on a CPU."""
    return save_tiny(
        tmp_path_factory.mktemp("base"), dataset, hidden_size=64, intermediate_size=128
    )


@pytest.fixture(scope="session")
def tokenizer(base: Source, dataset: Dataset) -> Tokenizer:
    return load_tokenizer(base)
