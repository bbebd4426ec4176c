"""`genrec prepare`: a raw log becomes a dataset that every other command reads."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from genrec_cli.core.errors import DataError, UsageError
from genrec_cli.core.progress import SILENT, Progress
from genrec_cli.core.provenance import Stopwatch, versions
from genrec_cli.core.settings import PrepareSettings
from genrec_cli.core.workspace import (
    DATASET_MANIFEST,
    Workspace,
    check_name,
    now,
    publish,
    read_json,
    refuse_finished,
)
from genrec_cli.data.build import Built, build
from genrec_cli.data.dataset import write_dataset, write_manifest
from genrec_cli.data.download import fetch_movielens
from genrec_cli.data.movielens import VARIANTS, detect_layout, read_movielens
from genrec_cli.data.rawlog import RawLog
from genrec_cli.data.sample import read_sample

Kind = Literal["movielens", "sample"]
DEFAULT_VARIANT = "1m"


@dataclass(frozen=True)
class Input:
    """What to prepare.

    Attributes:
        kind: of the raw log.
        variant: of MovieLens; None: as the source tells, or the default one is downloaded.
        source: folder, zip or file on this machine; None: bundled or downloaded.
    """

    kind: Kind
    variant: str | None = None
    source: Path | None = None


@dataclass(frozen=True)
class PrepareReport:
    """What was made: the folder and its `dataset.json`."""

    folder: Path
    manifest: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"dataset": self.folder.name, "folder": str(self.folder), **self.manifest}


def prepare(
    workspace: Workspace,
    raw: Input,
    settings: PrepareSettings,
    *,
    name: str | None = None,
    force: bool = False,
    progress: Progress = SILENT,
) -> PrepareReport:
    """Read, filter, order and write a dataset.

    Args:
        workspace: where to write it.
        raw: what to read.
        settings: filters and tie rule.
        name: of the dataset; None: the kind, with the variant.
        force: replace a finished dataset of that name.
        progress: where to report.

    Raises:
        DataError: the source is missing, broken, or of another variant than asked for.
        UsageError: the options do not go together.
        WorkspaceError: the dataset is there already.
    """
    watch = Stopwatch()
    _check(raw)
    name = _default_name(raw) if name is None else name
    check_name(name)
    target = workspace.dataset(name)
    command = f"genrec prepare {raw.kind}"
    refuse_finished(target, DATASET_MANIFEST, force=force, command=command)
    log = _read(workspace, raw, progress)
    with progress.task("filtering and ordering", None, "events"):
        built = build(log, settings)
    with publish(target, DATASET_MANIFEST, force=force, command=command) as staging:
        digest = write_dataset(staging, built.catalog, built.sequences)
        manifest = _manifest(log, built, settings)
        write_manifest(staging, {"name": target.name, "hash": digest, **manifest, **watch.cost()})
    return PrepareReport(target, read_json(target / DATASET_MANIFEST))


def _check(raw: Input) -> None:
    if raw.kind == "sample" and (raw.variant or raw.source):
        raise UsageError("the bundled sample takes neither --variant nor --source")
    if raw.variant is not None and raw.variant not in VARIANTS:
        raise UsageError(f"unknown variant '{raw.variant}'", f"known are: {', '.join(VARIANTS)}")


def _default_name(raw: Input) -> str:
    """The kind, with the variant that is asked for, or that the source's files tell."""
    if raw.kind == "sample":
        return raw.kind
    if raw.source is None:
        return f"ml-{raw.variant or DEFAULT_VARIANT}"
    layout = detect_layout(raw.source)
    if raw.variant is not None and raw.variant not in layout.variants:
        raise DataError(
            f"{raw.source} is laid out as MovieLens {' or '.join(layout.variants)}, "
            f"not {raw.variant}",
            f"leave out --variant, or say --variant {layout.variants[0]}",
        )
    variants = (raw.variant,) if raw.variant else layout.variants
    return f"ml-{variants[0]}" if len(variants) == 1 else raw.source.resolve().stem


def _read(workspace: Workspace, raw: Input, progress: Progress) -> RawLog:
    if raw.kind == "sample":
        return read_sample()
    if raw.source is not None:
        return read_movielens(raw.source, progress)
    variant = raw.variant or DEFAULT_VARIANT
    return read_movielens(fetch_movielens(variant, workspace.downloads, progress), progress)


def _manifest(log: RawLog, built: Built, settings: PrepareSettings) -> dict[str, Any]:
    final = built.funnel[-1]
    return {
        "created": now(),
        "source": log.source,
        "inputs": dict(log.inputs),
        "citation": log.citation,
        "settings": settings.model_dump(mode="json"),
        "users": final.users,
        "items": final.items,
        "interactions": final.rows,
        "funnel": [asdict(stage) for stage in built.funnel],
        **built.findings,
        "versions": versions(),
    }
