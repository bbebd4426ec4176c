"""A finished run as the other commands see it: its model, prompt and titles, ready to be asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genrec_cli.core.errors import UsageError, WorkspaceError
from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.core.workspace import RUN_MANIFEST, read_json
from genrec_cli.data.dataset import Dataset
from genrec_cli.decoding.search import CPU, GPU, Effort
from genrec_cli.decoding.trie import TokenTrie, build_trie
from genrec_cli.language.backbones.adapt import load_trained
from genrec_cli.language.backbones.load import load_tokenizer
from genrec_cli.language.backbones.names import Source, find_source
from genrec_cli.language.corpus import make_encoder, tokenised_items
from genrec_cli.language.hardware import best_place, hardware
from genrec_cli.language.itemnames import names_of_items
from genrec_cli.language.networks import is_pair_model
from genrec_cli.language.newtitles import tokenise_new_titles
from genrec_cli.language.pairs.encoder import PairEncoder
from genrec_cli.language.pairs.people import KnownUsers
from genrec_cli.language.prompt import Encoder, Prompt, Tokenizer, tokenise_titles
from genrec_cli.language.serving.seq2seq import Seq2SeqModel
from genrec_cli.language.serving.stepmodel import TreeModel

RUN_FORMAT: Final = 2
MODEL_FOLDER: Final = "model"
_MOST_USERS: Final = 64
_LEAST_ROOM: Final = 256  # tokens behind a prompt, more than most searches need
_MOST_ROOM: Final = 4096


@dataclass(frozen=True)
class LoadedRun:
    """A run, ready to write titles.

    Attributes:
        name: the run's folder name.
        manifest: `run.json`.
        tokenizer: the model's.
        encoder: writes histories as the run was trained on them.
        trie: of the dataset's titles.
        network: the model itself.
        model: answers the search.
        effort: how a search spends its time on this machine.
        users_at_once: people whose prompts and trees fit its memory together.
        known: users by their histories; None: the model knows no users.
    """

    name: str
    manifest: Mapping[str, Any]
    tokenizer: Tokenizer
    encoder: Encoder | PairEncoder
    trie: TokenTrie
    network: Any
    model: TreeModel | Seq2SeqModel
    effort: Effort
    users_at_once: int
    known: KnownUsers | None = None

    @property
    def settings(self) -> FinetuneSettings:
        """That it was trained with."""
        return FinetuneSettings(**self.manifest["settings"])

    @property
    def writes_plain_titles(self) -> bool:
        """Whether it is a causal model that goes on with titles, which can do without a trie."""
        return (self.settings.method, self.settings.item_words) == ("genrec", "titles")

    def prompts(self, histories: Sequence[NDArray[np.int32]]) -> list[Any]:
        """What the model is asked with."""
        nobody: list[int | None] = [None] * len(histories)
        rows = nobody if self.known is None else self.known.rows(histories)
        return [*self.encoder.prompts(histories, rows)]

    def on_catalog(self, titles: Sequence[str]) -> "LoadedRun":
        """The same run, writing other titles.

        Raises:
            UsageError: it writes ids of the dataset's items.
        """
        if self.settings.item_words != "titles":
            raise UsageError(
                f"run '{self.name}' writes ids of its dataset's items, and new ones have none",
                "use a run that writes titles (finetune --set items=titles)",
            )
        if isinstance(self.encoder, Encoder):
            tokens = tokenise_new_titles(self.encoder, self.tokenizer, titles)
        else:  # a decoder has room for any title
            tokens = tokenise_titles(self.tokenizer, titles)
        return replace(self, trie=build_trie((tokens.flat, tokens.offsets)))


def read_run(folder: Path) -> Mapping[str, Any]:
    """Read `run.json`.

    Raises:
        WorkspaceError: it is missing, damaged, or of another format.
    """
    manifest = read_json(folder / RUN_MANIFEST)
    if manifest.get("format") != RUN_FORMAT:
        raise WorkspaceError(
            f"{folder / RUN_MANIFEST} has format {manifest.get('format')}, this genrec reads "
            f"{RUN_FORMAT}",
            "train it again with genrec finetune",
        )
    return manifest


def require_same_dataset(manifest: Mapping[str, Any], dataset: Dataset, run: str) -> None:
    """Raise `WorkspaceError` when a run was trained on other data than `dataset` holds."""
    if manifest["dataset_hash"] != dataset.hash:
        raise WorkspaceError(
            f"run '{run}' was trained on another version of dataset '{dataset.name}': its hash is "
            f"{_short(manifest['dataset_hash'])}, the dataset's is {_short(dataset.hash)}",
            "prepare the dataset as it was, or train again with genrec finetune",
        )


def load_run(folder: Path, dataset: Dataset) -> LoadedRun:
    """Load a finished run for asking.

    Raises:
        WorkspaceError: the run is damaged or belongs to another version of the dataset.
        ModelError: its base model cannot be had.
    """
    manifest = read_run(folder)
    require_same_dataset(manifest, dataset, folder.name)
    settings = FinetuneSettings(**manifest["settings"])
    source = base_of(manifest)
    model_folder = folder / MODEL_FOLDER
    saved = Source(source.name, "folder", str(model_folder))
    tokenizer = load_tokenizer(saved)
    items, trie = tokenised_items(dataset, tokenizer, names_of_items(dataset, settings, folder))
    encoder = make_encoder(dataset, tokenizer, items, Prompt.load(folder), settings)
    network = load_trained(source, settings, best_place(), model_folder)
    asked = asking(network, settings.max_length)
    return LoadedRun(
        name=folder.name,
        manifest=manifest,
        tokenizer=tokenizer,
        encoder=encoder,
        trie=trie,
        network=network,
        model=asked.model,
        effort=asked.effort,
        users_at_once=asked.users_at_once,
        known=None if settings.method == "genrec" else KnownUsers(dataset),
    )


class Asking(NamedTuple):
    """How a network is searched on this machine.

    Attributes:
        model: answers the search.
        effort: how a search spends its time.
        users_at_once: people whose prompts and trees fit the memory together.
    """

    model: TreeModel | Seq2SeqModel
    effort: Effort
    users_at_once: int


def asking(network: Any, max_length: int) -> Asking:
    """How to search a network in evaluation mode, whose prompts have so many tokens at most."""
    model = Seq2SeqModel(network) if is_pair_model(network) else TreeModel(network)
    users, room = _shares(model, max_length)
    on_gpu = next(network.parameters()).device.type == "cuda"
    return Asking(model, replace(GPU if on_gpu else CPU, room=room), users)


def base_of(manifest: Mapping[str, Any]) -> Source:
    """The base model of a run; a wheel's file lies elsewhere in another virtual environment."""
    source = Source(**manifest["base"])
    if source.kind == "gguf" and not Path(source.location).is_file():
        return find_source(source.name)
    return source


def _shares(model: TreeModel | Seq2SeqModel, max_length: int) -> tuple[int, int]:
    """How many users are searched together, and the tokens kept behind each one's prompt.

    Both fit a quarter of the free memory; more than 64 users gain nothing.
    """
    tokens = int(hardware().free_gb * 1e9 / 4 / model.bytes_per_token)
    users = max(1, min(_MOST_USERS, tokens // (max_length + _LEAST_ROOM)))
    room = tokens // users - max_length
    return users, max(_LEAST_ROOM, min(_MOST_ROOM, room))


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]
