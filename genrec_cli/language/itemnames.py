"""What a run calls the items: their titles, or ids that are made once and kept with the run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.core.workspace import read_json, write_json
from genrec_cli.data.dataset import Dataset
from genrec_cli.language.backbones.load import load_tokenizer
from genrec_cli.language.backbones.names import Source
from genrec_cli.language.backbones.vocabulary import place_words
from genrec_cli.language.itemwords.vectors import item_vectors
from genrec_cli.language.itemwords.words import item_words, parted
from genrec_cli.language.pairs.lexicon import spaced
from genrec_cli.language.prompt import Tokenizer
from genrec_cli.language.templates import texts_of

ITEM_WORDS: Final = "item_words.json"


def names_of_items(
    dataset: Dataset, settings: FinetuneSettings, folder: Path
) -> Sequence[str] | None:
    """The ids that a run writes for items, by item number; None: it writes titles.

    Args:
        dataset: of the run.
        settings: of the run.
        folder: of the run, where `save_names` may have kept them: clusters may come out otherwise
            with another version of the library that makes them.
    """
    if settings.item_words == "titles":
        return None
    kept = folder / ITEM_WORDS
    if kept.exists():
        words: list[str] = read_json(kept)["words"]
        return words
    return item_words(dataset, settings.item_words, settings.seed)


def save_names(names: Sequence[str] | None, folder: Path) -> None:
    """Keep the ids of a run, if it has any."""
    if names is not None:
        write_json(folder / ITEM_WORDS, {"words": list(names)})


def tokenizer_for(
    source: Source, dataset: Dataset, settings: FinetuneSettings, names: Sequence[str] | None
) -> Tokenizer:
    """The base model's tokenizer; one of its own is trained on what the run writes.

    Args:
        source: of the base model.
        dataset: of the run.
        settings: of the run.
        names: ids that stand for items; None: their titles do.
    """
    items = dataset.titles if names is None else [spaced(name) for name in names]
    added: list[str] = []
    if settings.adds_tokens:
        items, added = map(list, zip(*map(parted, items), strict=True))
    return load_tokenizer(source, [*items, *texts_of(settings)], added)


def place_tokens(
    model: Any,
    tokenizer: Tokenizer,
    names: Sequence[str] | None,
    dataset: Dataset,
    settings: FinetuneSettings,
) -> None:
    """Let items' own tokens begin where users put them, if the settings say so.

    Args:
        model: to be trained, every weight of it.
        tokenizer: from `tokenizer_for`.
        names: ids that stand for items.
        dataset: of the run.
        settings: of the run.
    """
    if names is not None and settings.places_tokens:
        width = model.get_input_embeddings().embedding_dim
        own = [parted(name)[1] for name in names]
        place_words(model, tokenizer, own, item_vectors(dataset, width, settings.seed))
