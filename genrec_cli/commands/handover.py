"""`genrec export` of a run: hand its model to another tool."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genrec_cli.core.exports import EXPORT_MANIFEST, new_export
from genrec_cli.core.progress import SILENT, Progress
from genrec_cli.core.provenance import versions
from genrec_cli.core.workspace import Workspace, now, write_json
from genrec_cli.data.dataset import load_dataset
from genrec_cli.language.handover.card import write_card
from genrec_cli.language.handover.prompting import prompting_of, write_prompting
from genrec_cli.language.handover.trained import (
    ModelFormat,
    Trained,
    notes_on,
    open_trained,
    require_format,
)
from genrec_cli.language.handover.weights import write_weights
from genrec_cli.language.run import read_run


@dataclass(frozen=True)
class HandoverReport:
    """What was written.

    Attributes:
        run: its name.
        dataset: that it was trained on.
        format: what it was written as.
        folder: where.
        files: in the folder, but for the manifest.
        notes: what the user should know about them.
    """

    run: str
    dataset: str
    format: ModelFormat
    folder: Path
    files: list[str]
    notes: list[str]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {**vars(self), "folder": str(self.folder)}


@dataclass(frozen=True)
class HandoverRequest:
    """What the user asked for.

    Attributes:
        kind: what to write the run as.
        run: name; None: the newest.
        dataset: name of the run's dataset; None: any.
        output: folder to make; None: one in the workspace.
        force: replace an earlier export there.
    """

    kind: ModelFormat
    run: str | None = None
    dataset: str | None = None
    output: Path | None = None
    force: bool = False


def hand_over(
    workspace: Workspace, request: HandoverRequest, progress: Progress = SILENT
) -> HandoverReport:
    """Write a finished run so that other tools can load it, with its prompt, titles and a card.

    Raises:
        UsageError: only genrec can ask the run; it has no adapter; or the output is a folder with
            something else in it.
        ModelError: llama.cpp does not know the run's tokenizer; or its base model is gone.
        WorkspaceError: there is no finished run, or the export is there already.
    """
    kind = request.kind
    folder = workspace.find_run(request.dataset, request.run)
    dataset = load_dataset(workspace.find_dataset(read_run(folder)["dataset"]))
    run = open_trained(folder, dataset)
    require_format(run, kind)
    target = request.output or workspace.root / "export" / dataset.name / f"{run.name}-{kind}"
    command = f"genrec export {dataset.name} --run {run.name} --format {kind}"
    notes = notes_on(run, kind)
    with new_export(target, force=request.force, command=command) as staging:
        for note in notes:
            progress.note(note)
        with progress.task(f"Writing {run.name} as {kind}", None, "files"):
            files = _write(run, kind, notes, staging)
        write_json(staging / EXPORT_MANIFEST, _manifest(run, kind, notes, files))
    return HandoverReport(run.name, dataset.name, kind, target, files, notes)


def _write(run: Trained, kind: ModelFormat, notes: list[str], folder: Path) -> list[str]:
    """Everything but the manifest; the names of the files."""
    prompting = prompting_of(run)
    write_weights(run, kind, prompting.longest, folder)
    prompt = write_prompting(run, prompting, folder)
    write_card(run, kind, prompt, notes, folder)
    return sorted(path.name for path in folder.iterdir())


def _manifest(
    run: Trained, kind: ModelFormat, notes: list[str], files: list[str]
) -> dict[str, Any]:
    return {
        "created": now(),
        "run": run.name,
        "run_created": run.manifest["created"],
        "dataset": run.dataset.name,
        "hash": run.dataset.hash,
        "base": asdict(run.source),
        "format": kind,
        "notes": notes,
        "files": files,
        "versions": versions(),
    }
