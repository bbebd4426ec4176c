"""A finished run as the other commands see it: its model, prompt and titles, ready to be asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from genrec_cli.core.errors import WorkspaceError
from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.core.workspace import RUN_MANIFEST, read_json
from genrec_cli.data.dataset import Dataset
from genrec_cli.decoding.search import CPU, GPU, Effort
from genrec_cli.decoding.trie import TokenTrie, build_trie
from genrec_cli.language.backbones.adapt import load_trained
from genrec_cli.language.backbones.load import load_tokenizer
from genrec_cli.language.backbones.names import Source, find_source
from genrec_cli.language.corpus import make_encoder_and_trie
from genrec_cli.language.hardware import best_place, hardware
from genrec_cli.language.newtitles import tokenise_new_titles
from genrec_cli.language.prompt import Encoder, Prompt, Tokenizer
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
    """

    name: str
    manifest: Mapping[str, Any]
    tokenizer: Tokenizer
    encoder: Encoder
    trie: TokenTrie
    network: Any
    model: TreeModel
    effort: Effort
    users_at_once: int

    def on_catalog(self, titles: Sequence[str]) -> "LoadedRun":
        """The same run, writing other titles."""
        tokens = tokenise_new_titles(self.encoder, self.tokenizer, titles)
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
    prompt = Prompt.load(folder)
    encoder, trie = make_encoder_and_trie(dataset, tokenizer, prompt, settings.max_length)
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
    )


class Asking(NamedTuple):
    """How a network is searched on this machine.

    Attributes:
        model: answers the search.
        effort: how a search spends its time.
        users_at_once: people whose prompts and trees fit the memory together.
    """

    model: TreeModel
    effort: Effort
    users_at_once: int


def asking(network: Any, max_length: int) -> Asking:
    """How to search a network in evaluation mode, whose prompts have so many tokens at most."""
    model = TreeModel(network)
    users, room = _shares(model, max_length)
    on_gpu = next(network.parameters()).device.type == "cuda"
    return Asking(model, replace(GPU if on_gpu else CPU, room=room), users)


def base_of(manifest: Mapping[str, Any]) -> Source:
    """The base model of a run; a wheel's file lies elsewhere in another virtual environment."""
    source = Source(**manifest["base"])
    if source.kind == "gguf" and not Path(source.location).is_file():
        return find_source(source.name)
    return source


def _shares(model: TreeModel, max_length: int) -> tuple[int, int]:
    """How many users are searched together, and the tokens kept behind each one's prompt.

    Both fit a quarter of the free memory; more than 64 users gain nothing.
    """
    tokens = int(hardware().free_gb * 1e9 / 4 / model.bytes_per_token)
    users = max(1, min(_MOST_USERS, tokens // (max_length + _LEAST_ROOM)))
    room = tokens // users - max_length
    return users, max(_LEAST_ROOM, min(_MOST_ROOM, room))


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]
