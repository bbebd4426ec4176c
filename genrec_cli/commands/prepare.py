"""`genrec prepare`: a raw log becomes a dataset that every other command reads."""

import hashlib
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil
import pyarrow.parquet as pq

from genrec_cli.core.errors import UsageError
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
)
from genrec_cli.data.audit import audit
from genrec_cli.data.card import card
from genrec_cli.data.dataset import CATALOG_FILE, SEQUENCES_FILE, content_hash, write_manifest
from genrec_cli.data.engine.cluster import RayEngine
from genrec_cli.data.engine.cluster_session import session
from genrec_cli.data.engine.kernel import Made, make
from genrec_cli.data.engine.local import LocalEngine
from genrec_cli.data.rawlog import RawLog
from genrec_cli.data.sources import Input, default_name, open_log

CARD_FILE = "card.md"
_SCRATCH = "scratch"
LEAST_MEMORY = 1_000_000_000


@dataclass(frozen=True)
class Means:
    """What a log is worked on with; it does not change the dataset.

    Attributes:
        engine: threads of this machine, or a Ray cluster.
        memory_limit: bytes for this process; None: half of what is free. What does not fit is
            spilled to the workspace's disk.
        ray_address: of a running cluster; None: one is started on this machine.
    """

    engine: Literal["local", "ray"] = "local"
    memory_limit: int | None = None
    ray_address: str | None = None


@dataclass(frozen=True)
class PrepareReport:
    """What was made: the folder and its `dataset.json`."""

    folder: Path
    manifest: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"dataset": self.folder.name, "folder": str(self.folder), **self.manifest}


@dataclass(frozen=True)
class PrepareRequest:
    """What the user asked for.

    Attributes:
        raw: what to read.
        settings: filters, split and tie rule.
        means: engine and memory.
        name: of the dataset; None: from the kind and the source.
        force: replace a finished dataset of that name.
    """

    raw: Input
    settings: PrepareSettings = field(default_factory=PrepareSettings)
    means: Means = field(default_factory=Means)
    name: str | None = None
    force: bool = False


def prepare(
    workspace: Workspace, request: PrepareRequest, progress: Progress = SILENT
) -> PrepareReport:
    """Read, filter, order and write a dataset.

    Raises:
        DataError: the source is missing, broken, or of another variant than asked for.
        UsageError: the options do not go together.
        WorkspaceError: the dataset is there already.
    """
    watch = Stopwatch()
    raw, settings, means = request.raw, request.settings, request.means
    _check(means)
    name = default_name(raw) if request.name is None else request.name
    check_name(name)
    target = workspace.dataset(name)
    command = f"genrec prepare {raw.kind}"
    with ExitStack() as stack:
        staging = stack.enter_context(
            publish(target, DATASET_MANIFEST, force=request.force, command=command)
        )
        log = open_log(raw, workspace.downloads, progress)
        hasher = stack.enter_context(ThreadPoolExecutor(1))
        inputs = hasher.submit(_digests, log.files)  # beside the reading; hashing frees the GIL
        made = _make(log, settings, means, staging, progress)
        shutil.rmtree(staging / _SCRATCH, ignore_errors=True)
        pq.write_table(made.catalog.table, staging / CATALOG_FILE, compression="zstd")
        manifest = {
            "name": target.name,
            **_manifest(log, made, settings, inputs),
            "engine": means.engine,
            **watch.cost(),
        }
        (staging / CARD_FILE).write_text(card(manifest), encoding="utf-8")
        write_manifest(staging, manifest)
    return PrepareReport(target, read_json(target / DATASET_MANIFEST))


def _check(means: Means) -> None:
    if means.ray_address is not None and means.engine != "ray":
        raise UsageError("--ray-address needs --engine ray")
    if means.memory_limit is not None and means.engine == "ray":
        raise UsageError(
            "--memory-limit is for --engine local",
            "a Ray cluster has its own: ray start --object-store-memory=…",
        )
    if means.memory_limit is not None and means.memory_limit < LEAST_MEMORY:
        raise UsageError(
            f"--memory-limit {means.memory_limit / 1e9:g}GB is too little to work with",
            "give at least 1GB",
        )


def _make(
    log: RawLog, settings: PrepareSettings, means: Means, staging: Path, progress: Progress
) -> Made:
    target = staging / SEQUENCES_FILE
    if means.engine == "ray":
        with session(means.ray_address, staging / _SCRATCH) as ray:
            return make(log, settings, RayEngine(ray), target, progress)
    limit = means.memory_limit or max(LEAST_MEMORY, psutil.virtual_memory().available // 2)
    engine = LocalEngine(staging / _SCRATCH, limit)
    return make(log, settings, engine, target, progress)


def _manifest(
    log: RawLog, made: Made, settings: PrepareSettings, inputs: "Future[dict[str, str]]"
) -> dict[str, Any]:
    final = made.funnel[-1]
    return {
        "hash": content_hash(made.catalog.table, made.digests, made.cut),
        "created": now(),
        "source": log.source,
        "inputs": {**log.inputs, **inputs.result()},
        "columns": dict(log.columns),
        "time_unit": log.time_unit,
        "citation": log.citation,
        "settings": settings.model_dump(mode="json"),
        "users": final.users,
        "items": final.items,
        "interactions": final.rows,
        "funnel": [asdict(stage) for stage in made.funnel],
        "split": settings.split,
        "cut": asdict(made.cut) if made.cut else None,
        "audit": audit(made, settings, log.time_unit).document(),
        "versions": versions(),
    }


def _digests(files: tuple[Path, ...]) -> dict[str, str]:
    """File name -> "sha256:<hex>"; the whole path where names are not enough."""
    names = [path.name for path in files]
    keys = [path.name if names.count(path.name) == 1 else str(path) for path in files]
    return {key: f"sha256:{_sha256(path)}" for key, path in zip(keys, files, strict=True)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
