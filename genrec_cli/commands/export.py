"""`genrec export`: hand a dataset to another toolkit."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genrec_cli.core.exports import EXPORT_MANIFEST, new_export
from genrec_cli.core.progress import SILENT, Progress
from genrec_cli.core.provenance import versions
from genrec_cli.core.workspace import Workspace, now, write_json
from genrec_cli.data.dataset import load_dataset
from genrec_cli.data.export import Format, export


@dataclass(frozen=True)
class ExportReport:
    """What was written."""

    dataset: str
    format: Format
    folder: Path
    files: list[str]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "dataset": self.dataset,
            "format": self.format,
            "folder": str(self.folder),
            "files": self.files,
        }


def export_dataset(
    workspace: Workspace,
    dataset: str | None,
    kind: Format,
    *,
    output: Path | None = None,
    force: bool = False,
    progress: Progress = SILENT,
) -> ExportReport:
    """Write the splits and items of a dataset for other toolkits.

    Args:
        workspace: where the dataset lies.
        dataset: its name; None: the newest.
        kind: of files.
        output: folder to make; None: one in the workspace.
        force: replace an earlier export there.
        progress: where to report.

    Raises:
        UsageError: the output is a folder with something else in it.
        WorkspaceError: there is no such dataset, or the export is there already.
    """
    source = load_dataset(workspace.find_dataset(dataset))
    target = output or workspace.root / "export" / f"{source.name}-{kind}"
    command = f"genrec export {source.name} --format {kind}"
    with new_export(target, force=force, command=command) as staging:
        with progress.task(f"Writing {kind}", None, "events"):
            files = [path.name for path in export(source, kind, staging, target.name)]
        manifest = {
            "created": now(),
            "dataset": source.name,
            "hash": source.hash,
            "split": source.manifest["split"],
            "format": kind,
            "files": files,
            "versions": versions(),
        }
        write_json(staging / EXPORT_MANIFEST, manifest)
    return ExportReport(source.name, kind, target, files)
