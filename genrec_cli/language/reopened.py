"""A run that was begun, finished or not, as the job that it was."""

from pathlib import Path
from typing import NamedTuple

from genrec_cli.core.errors import WorkspaceError
from genrec_cli.core.settings import FinetuneSettings, Layer, resolve
from genrec_cli.core.workspace import RUN_MANIFEST, Workspace, read_json
from genrec_cli.data.dataset import load_dataset
from genrec_cli.language.backbones.names import Source
from genrec_cli.language.job import SETTINGS_FILE, Job
from genrec_cli.language.run import MODEL_FOLDER, base_of, read_run, require_same_dataset


class Reopened(NamedTuple):
    """A run that is looked into.

    Attributes:
        job: the run, drawing by the seed that was asked for.
        written_by: where its tokenizer is.
        own: settings that it was begun with, whose seed numbers its users and items.
    """

    job: Job
    written_by: Source
    own: FinetuneSettings


def reopened(workspace: Workspace, dataset: str | None, name: str, seed: int | None) -> Reopened:
    """The newest run of a name.

    Args:
        workspace: where it lies.
        dataset: that it is of; None: any.
        name: of the run.
        seed: of its draws; None: its own.

    Raises:
        WorkspaceError: there is no such run, or it is of other data.
        UsageError: it is no seed.
    """
    folder = _find(workspace, dataset, name)
    finished = (folder / RUN_MANIFEST).exists()
    begun = read_run(folder) if finished else read_json(folder / SETTINGS_FILE)
    of = load_dataset(workspace.find_dataset(begun["dataset"]))
    require_same_dataset(begun, of, folder.name)
    run = Layer(f"run {folder.name}", begun["settings"])
    resolved = resolve(FinetuneSettings, [run, Layer("flag", {"seed": seed})])
    source = base_of(begun)
    return Reopened(
        job=Job(folder, of, source, resolved),
        written_by=Source(source.name, "folder", str(folder / MODEL_FOLDER))
        if finished
        else source,
        own=resolve(FinetuneSettings, [run]).settings,
    )


def _find(workspace: Workspace, dataset: str | None, name: str) -> Path:
    """The newest run of a name, finished or not."""
    parents = [workspace.runs(dataset)] if dataset else (workspace.root / "runs").glob("*/")
    begun = [path for parent in parents for path in sorted(parent.glob(f"*/{SETTINGS_FILE}"))]
    named = [path for path in begun if path.parent.name == name]
    if not named:
        on = f" on dataset '{dataset}'" if dataset else ""
        there = ", ".join(path.parent.name for path in begun)
        raise WorkspaceError(
            f"no run '{name}'{on} in {workspace.root}" + (f"; there are: {there}" if there else ""),
            "genrec inspect   (without --run: what genrec finetune would train on)",
        )
    return max(named, key=lambda path: str(read_json(path)["created"])).parent
