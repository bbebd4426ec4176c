"""`genrec runs`: what was trained, on what, and how well it does."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from genrec_cli.core.errors import WorkspaceError
from genrec_cli.core.workspace import DATASET_MANIFEST, Workspace, read_json
from genrec_cli.evaluation.earlier.benches import Bench, bench_folders, readable
from genrec_cli.language.record import RunRecord, read_records

_SHOWN: Final = ("HR@10", "HR@10_ci", "NDCG@10", "NDCG@10_ci")
_COST: Final = (
    *((key,) for key in ("wall_seconds", "peak_gb", "peak_gpu_gb", "device", "dtype")),
    ("plan", "parameters"),
    ("plan", "trainable"),
    ("trained", "tokens_per_second"),
    ("trained", "targets_per_second"),
    ("trained", "seconds_per_step"),
)

DataState = Literal["same", "changed", "gone"]


@dataclass(frozen=True)
class Entry:
    """A run in the list.

    Attributes:
        record: what its folder says.
        data: whether its dataset still is what it was trained on; None: a damaged run.
        test: HR@10 and NDCG@10 with intervals, `users` and `bench`, from the newest bench of the
            test split that has measured it; None: there is none.
    """

    record: RunRecord
    data: DataState | None
    test: Mapping[str, Any] | None

    def document(self) -> dict[str, Any]:
        """As JSON."""
        record = self.record
        return {
            "run": record.name,
            "dataset": record.dataset,
            "dataset_state": self.data,
            "state": record.state,
            "fault": record.fault,
            "created": record.created or None,
            "base_model": record.value("base", "name"),
            "method": record.method,
            "items": record.items,
            "leaky_ids": record.leak is not None,
            "objective": record.value("settings", "objective"),
            "steps": record.steps,
            "epochs": record.epochs,
            "targets": record.targets,
            "wall_seconds": record.seconds,
            "validation": dict(record.best) or None,
            "test": self.test,
        }


@dataclass(frozen=True)
class RunsReport:
    """All runs, newest last, and what is wrong with benches that cannot be read."""

    root: Path
    entries: Sequence[Entry]
    faults: Sequence[str]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "runs": [entry.document() for entry in self.entries],
            "unreadable_benches": list(self.faults),
        }


@dataclass(frozen=True)
class RunReport:
    """One run in full.

    Attributes:
        entry: as in the list.
        measured: rows of every bench that it was in, alone or in a hybrid, oldest first, each with
            the `bench`, its `created` and its `split`.
        files: path in the run's folder -> bytes.
    """

    entry: Entry
    measured: Sequence[Mapping[str, Any]]
    files: Mapping[str, int]

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """Each setting's value and where it came from, as `default` or `flag`."""
        record = self.entry.record
        return {
            key: {"value": value, "from": record.value("origins", key) or "default"}
            for key, value in record.manifest["settings"].items()
        }

    @property
    def cost(self) -> dict[str, Any]:
        """Time, memory, size and speed, as far as they are recorded."""
        found = {way[-1]: self.entry.record.value(*way) for way in _COST}
        return {name: value for name, value in found.items() if value is not None}

    def document(self) -> dict[str, Any]:
        """As JSON."""
        record = self.entry.record
        return {
            **self.entry.document(),
            "folder": str(record.folder),
            "settings": self.settings,
            "item_ids": record.value("item_ids"),
            "untrained": record.value("trained", "before"),
            "best_step": record.value("trained", "best_step"),
            "cost": self.cost,
            "versions": record.value("versions"),
            "benches": list(self.measured),
            "files": dict(self.files),
        }


def list_runs(workspace: Workspace, dataset: str | None) -> RunsReport:
    """List runs, finished or not, with their figures.

    Args:
        workspace: where they lie.
        dataset: whose; None: of every dataset.

    Raises:
        WorkspaceError: there is no dataset of that name.
    """
    if dataset is not None and not workspace.runs(dataset).is_dir():
        workspace.find_dataset(dataset)  # it may have no runs yet
    benches, faults = readable(bench_folders(workspace, dataset))
    entries = [_entry(workspace, record, benches) for record in read_records(workspace, dataset)]
    return RunsReport(workspace.root, entries, faults)


def show_run(workspace: Workspace, name: str, dataset: str | None) -> RunReport:
    """Everything that is known of one run, the newest of that name.

    Raises:
        WorkspaceError: there is none, or it is damaged.
    """
    records = read_records(workspace, dataset)
    named = [record for record in records if record.name == name]
    if not named:
        raise _unknown(workspace, name, dataset, [record.name for record in records])
    record = named[-1]
    if record.fault is not None:
        raise WorkspaceError(f"run '{name}': {record.fault}", "train it again with genrec finetune")
    benches, _ = readable(bench_folders(workspace, record.dataset))
    paths = sorted(path for path in record.folder.rglob("*") if path.is_file())
    return RunReport(
        entry=_entry(workspace, record, benches),
        measured=list(_measured(record, benches)),
        files={str(path.relative_to(record.folder)): path.stat().st_size for path in paths},
    )


def _entry(workspace: Workspace, record: RunRecord, benches: Sequence[Bench]) -> Entry:
    rows = [
        row
        for row in _measured(record, benches)
        if row["system"] == record.name and "NDCG@10" in row and row["split"].endswith("test")
    ]
    wanted = ("bench", "users", *_SHOWN)
    test = {key: rows[-1][key] for key in wanted if key in rows[-1]} if rows else None
    data = None if record.fault else _data_state(workspace, record)
    return Entry(record, data, test)


def _measured(record: RunRecord, benches: Sequence[Bench]) -> Iterator[dict[str, Any]]:
    """Rows of the run and its hybrids; an older bench is of an older run of that name."""
    for bench in benches:
        created = str(bench.manifest["created"])
        if bench.dataset != record.dataset or created < record.created:
            continue
        split = str(bench.manifest["protocol"].get("split"))
        for row in bench.manifest["rows"]:
            if record.name in (row["system"], *row.get("parents", ())):
                yield {"bench": bench.name, "created": created, "split": split, **row}


def _data_state(workspace: Workspace, record: RunRecord) -> DataState:
    try:
        manifest = read_json(workspace.dataset(record.dataset) / DATASET_MANIFEST)
    except WorkspaceError:
        return "gone"
    return "same" if manifest.get("hash") == record.value("dataset_hash") else "changed"


def _unknown(
    workspace: Workspace, name: str, dataset: str | None, there: Sequence[str]
) -> WorkspaceError:
    on = f" on dataset '{dataset}'" if dataset else ""
    near = difflib.get_close_matches(name, there) or there
    known = f"; there are: {', '.join(near)}" if near else ""
    fix = "genrec runs   (lists them)" if there else "genrec finetune"
    return WorkspaceError(f"no run '{name}'{on} in {workspace.root}{known}", fix)
