"""Where items' own tokens begin: at directions that users give them, or as they are drawn."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny import CPU, settings_for
from torch import Tensor

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.data.dataset import Dataset
from genrec_cli.language.backbones.adapt import trainable_model
from genrec_cli.language.backbones.names import find_source
from genrec_cli.language.backbones.vocabulary import place_words
from genrec_cli.language.itemnames import names_of_items, place_tokens, tokenizer_for
from genrec_cli.language.itemwords.vectors import item_vectors
from genrec_cli.language.itemwords.words import parted
from genrec_cli.language.prompt import Tokenizer

METHODS = {"nano": "genrec", "nano-t5": "p5", "nano-bart": "masked"}


class Begun:
    """An untrained model, before and after its tokens were placed."""

    def __init__(self, dataset: Dataset, base: str, **values: Any) -> None:
        self.settings: FinetuneSettings = settings_for(
            base_model=base, method=METHODS[base], **values
        )
        names = names_of_items(dataset, self.settings, Path("nowhere"))
        source = find_source(base)
        self.tokenizer: Tokenizer = tokenizer_for(source, dataset, self.settings, names)
        self.model = trainable_model(source, self.tokenizer, self.settings, CPU)
        self.before = self.table.clone()
        place_tokens(self.model, self.tokenizer, names, dataset, self.settings)
        self.rows = self.tokenizer.convert_tokens_to_ids([parted(name)[1] for name in names or []])

    @property
    def table(self) -> Tensor:
        weight: Tensor = self.model.get_input_embeddings().weight.detach()
        return weight


@pytest.mark.parametrize("items", ["independent", "hybrid"])
@pytest.mark.parametrize("base", METHODS)
def test_items_begin_where_users_put_them_and_other_tokens_stay(
    base: str, items: str, dataset: Dataset
) -> None:
    begun = Begun(dataset, base, items=items)
    wanted = item_vectors(dataset, begun.table.shape[1], begun.settings.seed)
    placed = wanted.any(axis=1)
    assert placed.sum() > 5
    lengths = begun.before.norm(dim=1)
    rows = [begun.rows[item] for item in np.flatnonzero(placed).tolist()]
    expected = lengths.mean() * torch.from_numpy(wanted[placed])
    torch.testing.assert_close(begun.table[rows], expected)
    others = sorted(set(range(len(begun.table))) - set(rows))
    assert torch.equal(begun.table[others], begun.before[others])
    assert begun.model.get_output_embeddings().weight is begun.model.get_input_embeddings().weight


@pytest.mark.parametrize("base", METHODS)
@pytest.mark.parametrize(
    "values", [{"items": "independent", "item_start": "random"}, {"items": "random"}]
)
def test_without_such_tokens_or_if_told_so_all_stay_as_they_are_drawn(
    base: str, values: dict[str, str], dataset: Dataset
) -> None:
    begun = Begun(dataset, base, **values)
    assert torch.equal(begun.table, begun.before)


@pytest.mark.parametrize("base", METHODS)
def test_a_model_whose_items_are_placed_starts_near_the_loss_of_a_guess(
    base: str, dataset: Dataset
) -> None:
    begun = Begun(dataset, base, items="independent")
    tokens = torch.randint(
        3, len(begun.table), (16, 12), generator=torch.Generator().manual_seed(0)
    )
    with torch.no_grad():
        loss = float(begun.model.eval()(input_ids=tokens, labels=tokens).loss)
    assert abs(loss - np.log(len(begun.table))) < 1.5


def test_a_head_of_its_own_begins_there_too_and_zeros_say_nothing() -> None:
    words: dict[str, int] = {"<a>": 3, "<b>": 0, "<c>": 4}
    model = Untied()
    read, written = (table.weight.detach().clone() for table in (model.read, model.written))
    directions: NDArray[np.float32] = np.array([[1, 0], [0, 0], [0, -1]], dtype=np.float32)
    place_words(model, Known(words), list(words), directions)
    for before, table in ((read, model.read), (written, model.written)):
        length = before.norm(dim=1).mean()
        expected = before.clone()
        expected[3], expected[4] = torch.tensor([length, 0.0]), torch.tensor([0.0, -length])
        torch.testing.assert_close(table.weight.detach(), expected)


class Untied:
    """A model of five tokens with a head of its own."""

    def __init__(self) -> None:
        self.read, self.written = torch.nn.Embedding(5, 2), torch.nn.Linear(2, 5, bias=False)

    def get_input_embeddings(self) -> torch.nn.Embedding:
        return self.read

    def get_output_embeddings(self) -> torch.nn.Linear:
        return self.written


class Known:
    """A tokenizer of whole words."""

    def __init__(self, words: dict[str, int]) -> None:
        self.words = words

    def convert_tokens_to_ids(self, words: list[str]) -> list[int]:
        return [self.words[word] for word in words]
