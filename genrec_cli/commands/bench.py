"""`genrec bench`: every system on the same users, candidates and questions."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from genrec_cli.core.errors import GenrecError, UsageError, WorkspaceError
from genrec_cli.core.progress import SILENT, Progress
from genrec_cli.core.provenance import Stopwatch, versions
from genrec_cli.core.settings import SearchSettings, Split, check_search
from genrec_cli.core.workspace import BENCH_MANIFEST, Workspace, now, publish, write_json
from genrec_cli.data.dataset import Dataset, load_dataset
from genrec_cli.data.split import held_out, sample_rows
from genrec_cli.evaluation.protocol import evaluate, per_user_table, summary
from genrec_cli.language.run import read_run, require_same_dataset
from genrec_cli.recommenders.base import Recommender
from genrec_cli.recommenders.baselines import BASELINES
from genrec_cli.recommenders.systems import find_system, run_of

_PER_USER_FILE: Final = "per_user.parquet"


@dataclass(frozen=True)
class BenchRequest:
    """What the user asked for.

    Attributes:
        cutoffs: the k of the metrics.
        dataset: name; None: the newest.
        systems: baselines and runs by name, and a run with a baseline as its prior as "run+name";
            empty: all baselines and runs.
        users: how many, drawn by the seed; None: everybody.
        split: which held-out item is asked for.
        search: how the titles of runs are searched.
        seed: of the user sample, the bootstrap and random systems.
    """

    cutoffs: tuple[int, ...] = (5, 10)
    dataset: str | None = None
    systems: tuple[str, ...] = ()
    users: int | None = None
    split: Split = "test"
    seed: int = 0
    search: SearchSettings = SearchSettings()


@dataclass(frozen=True)
class BenchReport:
    """What was measured: the folder and its `metrics.json`."""

    folder: Path
    manifest: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"folder": str(self.folder), **self.manifest}


def bench(workspace: Workspace, request: BenchRequest, progress: Progress = SILENT) -> BenchReport:
    """Measure systems on the held-out items of a dataset.

    Raises:
        UsageError: a cutoff, a number of users or a seed cannot be, or a system does not exist.
        WorkspaceError: there is no dataset, or a run was trained on another version of it.
    """
    watch = Stopwatch()
    _check(request)
    dataset = load_dataset(workspace.find_dataset(request.dataset))
    systems = _systems(workspace, dataset, request, progress)
    drawn = sample_rows(dataset, request.split, request.users, request.seed)
    cases = held_out(dataset, request.split, drawn)
    rows, tables, descriptions = [], [], {}
    for make in systems:
        system = make()  # the one before, its model with it, is let go here
        with _named(system.name):
            result = evaluate(system, dataset, cases, max(request.cutoffs), request.seed, progress)
        rows.append(summary(result, request.cutoffs, request.seed))
        tables.append(per_user_table(result, dataset, cases, request.cutoffs))
        descriptions[system.name] = dict(system.describe())
    manifest = {
        "created": now(),
        "dataset": dataset.name,
        "protocol": _protocol(dataset, request, len(cases)),
        "rows": rows,
        "systems": descriptions,
        "versions": versions(),
        **watch.cost(),
    }
    folder = workspace.benches(dataset.name) / f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
    with publish(folder, BENCH_MANIFEST, force=False, command="genrec bench") as staging:
        pq.write_table(pa.concat_tables(tables), staging / _PER_USER_FILE, compression="zstd")
        write_json(staging / BENCH_MANIFEST, manifest)
    return BenchReport(folder, manifest)


def _check(request: BenchRequest) -> None:
    check_search(request.search)
    if not request.cutoffs or min(request.cutoffs) < 1:
        raise UsageError("--k needs cutoffs of at least 1", "as in --k 5 10")
    if request.users is not None and request.users < 1:
        raise UsageError(f"--users must be at least 1, not {request.users}")
    if request.seed < 0:
        raise UsageError(f"--seed must be at least 0, not {request.seed}")


def _systems(
    workspace: Workspace, dataset: Dataset, request: BenchRequest, progress: Progress
) -> list[Callable[[], Recommender]]:
    """The systems asked for, checked before the first one runs; baselines come first."""
    runs = {folder.name: folder for folder in workspace.finished_runs(dataset.name)}
    if not request.systems:
        fitting = [folder.name for folder in runs.values() if _fits(folder, dataset, progress)]
        return [find_system(name, runs, request.search) for name in [*BASELINES, *fitting]]
    systems = [find_system(name, runs, request.search) for name in request.systems]
    for name in request.systems:
        if (run := run_of(name, runs)) is not None:
            require_same_dataset(read_run(run), dataset, run.name)
    return systems


def _fits(run: Path, dataset: Dataset, progress: Progress) -> bool:
    """Whether a run nobody asked for by name can be measured; if not, it is said why."""
    try:
        require_same_dataset(read_run(run), dataset, run.name)
    except WorkspaceError as error:
        progress.note(f"leaving out: {error.message}")
        return False
    return True


@contextmanager
def _named(system: str) -> Iterator[None]:
    """Say which system it was that failed."""
    try:
        yield
    except GenrecError as error:
        raise WorkspaceError(f"system '{system}': {error.message}", error.fix) from error


def _protocol(dataset: Dataset, request: BenchRequest, users: int) -> dict[str, Any]:
    """Everything that one must know to repeat the numbers."""
    return {
        "dataset_hash": dataset.hash,
        "split": f"{dataset.manifest['split']}, {request.split}",
        "candidates": "whole catalog minus the user's history",
        "items": len(dataset.item_ids),
        "users": users,
        "users_of": len(dataset.user_ids),
        "time_ties": dataset.manifest["audit"]["ties"],
        "score_ties": "expected value",
        "interval": "95 % percentile bootstrap over users, 1000 resamples",
        "seed": request.seed,
    }
