"""Deciding on a run: which data, which base model, which settings, which folder."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genrec_cli.core.errors import UsageError, WorkspaceError
from genrec_cli.core.progress import Progress
from genrec_cli.core.settings import FinetuneSettings, Layer, Resolved, read_yaml, resolve
from genrec_cli.core.workspace import (
    RUN_MANIFEST,
    Workspace,
    check_name,
    locked,
    now,
    read_json,
    write_json,
)
from genrec_cli.data.dataset import Dataset, load_dataset
from genrec_cli.language.backbones.choose import default_base_model, default_preset
from genrec_cli.language.backbones.names import Source, find_source
from genrec_cli.language.run import RUN_FORMAT
from genrec_cli.presets import PRESETS

SETTINGS_FILE = "settings.json"


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Attributes:
        dataset: name; None: the newest.
        flags: values given on the command line; None: not given.
        config: YAML file with more values.
        preset: name; None: chosen by base model and hardware.
        name: of the run; None: base model and number.
        resume: go on with the newest run that did not finish.
        devices: on each machine; None: as many as the launcher has started, or one.
    """

    dataset: str | None = None
    flags: Mapping[str, Any] | None = None
    config: Path | None = None
    preset: str | None = None
    name: str | None = None
    resume: bool = False
    devices: int | None = None


@dataclass(frozen=True)
class Job:
    """A run that has been decided on: what, how and where."""

    folder: Path
    dataset: Dataset
    source: Source
    resolved: Resolved[FinetuneSettings]

    @property
    def settings(self) -> FinetuneSettings:
        """The resolved settings."""
        return self.resolved.settings


def new_job(workspace: Workspace, request: Request, progress: Progress) -> Job:
    """Decide on a new run; nothing is written yet.

    Raises:
        UsageError: a setting does not exist or is not allowed.
        WorkspaceError: there is no dataset, or the run's name is taken.
        ModelError: the base model's name means nothing.
    """
    dataset = load_dataset(workspace.find_dataset(request.dataset))
    resolved = _resolve(request, progress)
    source = find_source(resolved.settings.base_model)
    runs = workspace.runs(dataset.name)
    if request.name is not None:
        check_name(request.name)
    if request.name is not None and (runs / request.name).exists():
        raise WorkspaceError(
            f"there is a run '{request.name}' on dataset '{dataset.name}' already",
            "give the new one another --name, or go on with an unfinished one by --resume",
        )
    folder = runs / (request.name or _free_name(runs, _stem(source, resolved.settings)))
    return Job(folder, dataset, source, resolved)


def _resolve(request: Request, progress: Progress) -> Resolved[FinetuneSettings]:
    """Merge preset, file and flags; the base model decides on the preset if none is named."""
    flags = Layer("flag", request.flags or {})
    config = Layer(str(request.config), read_yaml(request.config) if request.config else {})
    if request.preset is not None and request.preset not in PRESETS:
        known = ", ".join(PRESETS)
        raise UsageError(f"unknown preset '{request.preset}'", f"known are: {known}")
    named = [_preset(request.preset)] if request.preset else []
    base = resolve(FinetuneSettings, [*named, config, flags])
    if base.settings.base_model == "auto":
        chosen = default_base_model(progress, base.settings.method)
        named = [*named, Layer("this machine", {"base_model": chosen})]
        base = resolve(FinetuneSettings, [*named, config, flags])
    if request.preset is None:
        chosen = default_preset(base.settings.base_model, base.settings.method)
        named = [_preset(chosen), *named]
    resolved = resolve(FinetuneSettings, [*named, config, flags])
    _check_method(resolved.settings)
    return resolved


def _check_method(settings: FinetuneSettings) -> None:
    if settings.method != "genrec" and (settings.objective != "next-title" or settings.mask_weight):
        raise UsageError(
            f"objective and mask_weight are of the method genrec; {settings.method} has its own",
            "leave them out, or --method",
        )
    if settings.method == "p5" and not settings.task_weights.total:
        raise UsageError("task_weights leave no task to train", "as in {sequential: 1, direct: 0}")


def _stem(source: Source, settings: FinetuneSettings) -> str:
    base = Path(source.name).stem
    return base if settings.method == "genrec" else f"{settings.method}-{base}"


def _preset(name: str) -> Layer:
    return Layer(f"preset {name}", read_yaml(PRESETS[name]))


def resumed_job(workspace: Workspace, request: Request, progress: Progress) -> Job:
    """The newest unfinished run of the dataset, with the settings that it was begun with."""
    given = [*(request.flags or {}).values(), request.config, request.preset]
    if any(value is not None for value in given):
        raise UsageError(
            "--resume goes on with the run's own settings and takes no others",
            "leave them out, or start a new run without --resume",
        )
    dataset = load_dataset(workspace.find_dataset(request.dataset))
    folder = _unfinished(workspace.runs(dataset.name), request.name)
    begun = read_json(folder / SETTINGS_FILE)
    if begun.get("format") != RUN_FORMAT:
        raise WorkspaceError(
            f"run '{folder.name}' was begun by another version of genrec, whose settings differ",
            "start a new run without --resume",
        )
    if begun["dataset_hash"] != dataset.hash:
        raise WorkspaceError(
            f"run '{folder.name}' was begun on another version of dataset '{dataset.name}'",
            "start a new run without --resume",
        )
    settings = FinetuneSettings(**begun["settings"])
    resolved = Resolved(settings, begun["origins"])
    progress.note(f"going on with run {folder.name}")
    return Job(folder, dataset, Source(**begun["base"]), resolved)


def _unfinished(runs: Path, name: str | None) -> Path:
    begun = [path.parent for path in runs.glob(f"{name or '*'}/{SETTINGS_FILE}")]
    open_runs = [folder for folder in begun if not (folder / RUN_MANIFEST).exists()]
    if not open_runs:
        which = f"run '{name}'" if name else "no run"
        state = "has nothing to resume" if name else "is unfinished"
        raise WorkspaceError(f"{which} on dataset '{runs.name}' {state}", "genrec finetune")
    return max(open_runs, key=lambda folder: str(read_json(folder / SETTINGS_FILE)["created"]))


@contextmanager
def begun(job: Job, *, anew: bool) -> Iterator[None]:
    """Hold a run's folder while it is trained, with what `--resume` needs written in it.

    Args:
        job: the run.
        anew: whether the folder must be new; else the run is resumed.

    Raises:
        WorkspaceError: another process trains this run, or has just begun one of its name.
    """
    try:
        job.folder.mkdir(parents=True, exist_ok=not anew)
    except FileExistsError:
        raise WorkspaceError(f"another process has just begun run '{job.folder.name}'") from None
    with locked(job.folder):
        if anew:
            origins = dict(job.resolved.origins)
            settings = {"format": RUN_FORMAT, "created": now(), **identity(job), "origins": origins}
            write_json(job.folder / SETTINGS_FILE, settings)
        yield


def identity(job: Job) -> dict[str, Any]:
    """What a run's results depend on, as `settings.json` and `run.json` hold it."""
    return {
        "dataset": job.dataset.name,
        "dataset_hash": job.dataset.hash,
        "base": asdict(job.source),
        "settings": job.settings.model_dump(mode="json"),
    }


def _free_name(runs: Path, stem: str) -> str:
    """Base model and the next free number, as in smollm2-2."""
    taken = {path.name for path in runs.glob(f"{stem}-*")}
    number = 1
    while f"{stem}-{number}" in taken:
        number += 1
    return f"{stem}-{number}"
