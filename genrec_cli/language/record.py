"""What a run's folder says of it, finished or not; read without torch, so that lists are fast."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from genrec_cli.core.errors import WorkspaceError
from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.core.workspace import RUN_MANIFEST, Workspace, read_json
from genrec_cli.language.metrics_log import METRICS_FILE, MetricsLog

# `language.job` writes it under this name; to import that takes seconds.
SETTINGS_FILE: Final = "settings.json"

LEAKY_KIND: Final = "sequential"  # of item ids: leaky by construction, whatever a dataset shows
IN_ORDER: Final = (
    "Ids are numbered in order of appearance: the number behind the history's highest is likely "
    "the answer."
)

State = Literal["finished", "unfinished", "damaged"]


@dataclass(frozen=True)
class RunRecord:
    """A run as its folder tells of it.

    Attributes:
        folder: where it lies.
        state: whether training ended well.
        manifest: `run.json`, of an unfinished run `settings.json`; empty if damaged.
        fault: what is wrong with a damaged one.
    """

    folder: Path
    state: State
    manifest: Mapping[str, Any]
    fault: str | None = None

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return self.folder.parent.name

    @property
    def created(self) -> str:
        """When it was finished, or begun; empty if damaged."""
        return str(self.manifest.get("created", ""))

    @property
    def method(self) -> str | None:
        """As the setting `method`; None if damaged."""
        return method_of(self.manifest) if self.manifest else None

    @property
    def items(self) -> str | None:
        """How items are written, as the setting `items`, decided; None if damaged."""
        return item_words_of(self.manifest) if self.manifest else None

    @property
    def leak(self) -> str | None:
        """What gives answers away in its item ids, as a sentence; None: nothing known."""
        return leak_of(self.manifest)

    @property
    def steps(self) -> float | None:
        """Optimiser steps taken; the best of them may be an earlier one."""
        if self.state == "finished":
            return self.number("trained", "last_step")
        return max((line["step"] for line in self._lines), default=None)

    @property
    def epochs(self) -> float | None:
        """Passes over all windows of history; None where it is not recorded."""
        steps, windows = self.steps, self.number("plan", "windows")
        batch = self.number("settings", "batch_size")
        if steps is None or batch is None or not windows:
            return None
        return steps * batch / windows

    @property
    def targets(self) -> int | None:
        """Titles that it has learnt to write, counted each time; None where it is not recorded."""
        each = self.number("plan", "targets")
        return None if each is None or self.epochs is None else round(each * self.epochs)

    @property
    def seconds(self) -> float | None:
        """Wall time of the process that finished it; of an unfinished one of its steps."""
        if self.state == "finished":
            return self.number("wall_seconds")
        return max((line.get("seconds", 0.0) for line in self._lines), default=None)

    @property
    def best(self) -> Mapping[str, float]:
        """Validation of the best checkpoint: `validation_loss`, `NDCG@10`, and so on."""
        if self.state == "finished":
            found = self.value("trained", "best")
            return found if isinstance(found, dict) else {}
        validated = [line for line in self._lines if line["step"] > 0 and "NDCG@10" in line]
        best = max(validated, key=lambda line: float(line["NDCG@10"]), default={})
        return {name: value for name, value in best.items() if name != "step"}

    def value(self, *way: str) -> Any:
        """What stands in the manifest under nested keys; None where nothing does."""
        found: Any = self.manifest
        for key in way:
            found = found.get(key) if isinstance(found, dict) else None
        return found

    def number(self, *way: str) -> float | None:
        """The same, if it is a number."""
        found = self.value(*way)
        return found if isinstance(found, int | float) else None

    @cached_property
    def _lines(self) -> list[dict[str, Any]]:
        try:
            lines = MetricsLog(self.folder / METRICS_FILE).lines()
        except ValueError:  # a damaged line: nothing is known of its progress
            return []
        return [line for line in lines if isinstance(line.get("step"), int)]


def method_of(manifest: Mapping[str, Any]) -> str:
    """The method of a run; older ones know only genrec."""
    return _choices(manifest).method


def item_words_of(manifest: Mapping[str, Any]) -> str:
    """How a run writes items, as the setting `items`, decided; older ones write titles."""
    return _choices(manifest).item_words


def as_written(items: str) -> str:
    """How items are written, for people.

    Example:
        >>> as_written("titles"), as_written("random")
        ('titles', 'random ids')
    """
    return items if items == "titles" else f"{items} ids"


def leak_of(manifest: Mapping[str, Any]) -> str | None:
    """What gives held-out items away in the ids that a run writes, as a sentence.

    Args:
        manifest: `run.json`, or `settings.json`, which has not measured its ids.

    Returns:
        None where nothing is known to; ids of the kind sequential always do.
    """
    found = manifest.get("item_ids")
    if isinstance(found, dict) and found.get("leaks"):
        return str(found.get("meaning"))
    return IN_ORDER if item_words_of(manifest) == LEAKY_KIND else None


def _choices(manifest: Mapping[str, Any]) -> FinetuneSettings:
    """Method and items alone: the other settings may be those of another version."""
    settings = manifest.get("settings") or {}
    known = {key: settings[key] for key in ("method", "items") if key in settings}
    return FinetuneSettings.model_construct(**known)


def read_record(folder: Path) -> RunRecord:
    """Read what a run's folder says; a damaged one says what is wrong with it."""
    finished = (folder / RUN_MANIFEST).exists()
    path = folder / (RUN_MANIFEST if finished else SETTINGS_FILE)
    try:
        manifest = read_json(path)
    except WorkspaceError as error:
        return RunRecord(folder, "damaged", {}, error.message)
    if not all(isinstance(manifest.get(key), dict) for key in ("base", "settings")):
        return RunRecord(folder, "damaged", {}, f"{path} is damaged: it has no settings")
    return RunRecord(folder, "finished" if finished else "unfinished", manifest)


def read_records(workspace: Workspace, dataset: str | None) -> list[RunRecord]:
    """Every run, damaged ones first, then oldest first; None: of every dataset."""
    folders = sorted((workspace.root / "runs").glob(f"{dataset or '*'}/[!.]*/"))
    return sorted(map(read_record, folders), key=lambda record: record.created)
