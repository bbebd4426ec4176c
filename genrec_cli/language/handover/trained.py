"""A finished run as it is handed over: what it is on the disk, and which formats it can take."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from genrec_cli.core.errors import ModelError, UsageError
from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.data.dataset import Dataset
from genrec_cli.language.backbones import nano
from genrec_cli.language.backbones.load import load_tokenizer, location_of
from genrec_cli.language.backbones.names import HUB_NAMES, Source
from genrec_cli.language.prompt import Tokenizer
from genrec_cli.language.run import MODEL_FOLDER, base_of, read_run, require_same_dataset

ModelFormat = Literal["merged", "adapter", "gguf-ready"]

# What loading adds to a tokenizer's own settings; it says nothing to other machines.
_LOADED_WITH: Final = ("local_files_only", "is_local")


@dataclass(frozen=True)
class Trained:
    """A finished run, its weights not loaded.

    Attributes:
        name: the run's folder name.
        dataset: that it was trained on.
        manifest: `run.json`.
        settings: that it was trained with.
        source: its base model.
        folder: what `save_trained` wrote.
        tokenizer: the run's, without the base model's chat template: a run does not chat.
    """

    name: str
    dataset: Dataset
    manifest: Mapping[str, Any]
    settings: FinetuneSettings
    source: Source
    folder: Path
    tokenizer: Tokenizer

    @property
    def base(self) -> str:
        """Hub id or folder that the base model's weights are loaded from."""
        return location_of(self.source)

    @property
    def hub_id(self) -> str | None:
        """Where anybody can get the base model; None: nowhere that we know of."""
        if self.source.kind == "hub":
            return self.source.location
        return HUB_NAMES.get(self.source.name)


def open_trained(folder: Path, dataset: Dataset) -> Trained:
    """Read a finished run.

    Raises:
        WorkspaceError: the run is damaged or belongs to another version of the dataset.
        ModelError: its tokenizer cannot be read.
    """
    manifest = read_run(folder)
    require_same_dataset(manifest, dataset, folder.name)
    model = folder / MODEL_FOLDER
    tokenizer = load_tokenizer(Source(folder.name, "folder", str(model)))
    tokenizer.chat_template = None
    for key in _LOADED_WITH:
        tokenizer.init_kwargs.pop(key, None)
    return Trained(
        name=folder.name,
        dataset=dataset,
        manifest=manifest,
        settings=FinetuneSettings(**manifest["settings"]),
        source=base_of(manifest),
        folder=model,
        tokenizer=tokenizer,
    )


def require_format(run: Trained, kind: ModelFormat) -> None:
    """Refuse what a run cannot be handed over as, before anything is loaded or written.

    Raises:
        UsageError: a run that only genrec can ask; or one of full weights as an adapter.
        ModelError: a tokenizer that llama.cpp does not know.
    """
    _require_titles_in_a_row(run)
    again = f"genrec export {run.dataset.name} --run {run.name} --format merged"
    if kind == "adapter" and run.settings.train == "full":
        raise UsageError(f"run '{run.name}' has no adapter: all its weights were trained", again)
    if kind == "gguf-ready" and _splits_like_nano(run.tokenizer):
        raise ModelError(
            f"run '{run.name}' cannot become a GGUF file: llama.cpp knows tokenizers by name, and "
            "nano's own, made of the catalog's titles, is none of them",
            f"{again}   (for transformers), or train on another --base-model",
        )


def _require_titles_in_a_row(run: Trained) -> None:
    # Whole-word embeddings are no part of transformers' forward pass, and a prompt.json that tells
    # other programs how to write P5's wordings, users and ids would tell them to be genrec.
    method, items = run.settings.method, run.settings.item_words
    if method != "genrec":
        why = f"a model of the method {method} reads texts and word embeddings"
    elif items != "titles":
        why = f"it reads and writes ids of items (items: {items})"
    else:
        return
    raise UsageError(
        f"run '{run.name}' cannot be exported: {why} that only genrec knows how to make",
        f"ask it with genrec predict --run {run.name}, or export a run that writes titles "
        "(finetune --method genrec --set items=titles)",
    )


def notes_on(run: Trained, kind: ModelFormat) -> list[str]:
    """What the user should know about this run in this format."""
    notes = []
    if kind != "adapter" and run.settings.quantize != "none":
        notes.append(
            f"run '{run.name}' was trained on its base model in {run.settings.quantize}; the "
            "adapter is merged into the base model's own weights in 16 bits, so scores differ "
            "a little from those of genrec predict"
        )
    if kind == "adapter" and run.source.kind == "gguf":
        also = f"; {run.hub_id} is the same model, not quantised" if run.hub_id else ""
        notes.append(
            f"the adapter belongs on the weights in {run.base}, which were made of "
            f"{Path(run.source.location).name}{also}; --format merged needs no base model"
        )
    return notes


def _splits_like_nano(tokenizer: Tokenizer) -> bool:
    """Whether a tokenizer splits text as nano's does, wherever it came from.

    llama.cpp's converter compares a digest of the ids of one text with those of the tokenizers
    that it knows (`get_vocab_base_pre`); those of a tokenizer of one's own are never among them.
    """
    rules = (tokenizer, nano.train_tokenizer(["a"]))
    split, nanos = (json.loads(each.backend_tokenizer.to_str())["pre_tokenizer"] for each in rules)
    return bool(split == nanos)
