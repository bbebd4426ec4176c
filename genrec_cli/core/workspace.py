"""The workspace: where artefacts lie, which are finished, and how they become so.

Commands meet only in files. A folder counts as finished when its manifest is there; the manifest
is written last, and finished folders appear by one rename, so a kill leaves nothing half-made
that a later command could take for whole.
"""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil

from genrec_cli.core.errors import UsageError, WorkspaceError

DATASET_MANIFEST: Final = "dataset.json"
RUN_MANIFEST: Final = "run.json"
BENCH_MANIFEST: Final = "metrics.json"
_STAGING: Final = ".partial-"
LOCK: Final = ".lock"


@dataclass(frozen=True)
class Workspace:
    """The folders of one workspace."""

    root: Path

    def dataset(self, name: str) -> Path:
        """Folder of the dataset `name`."""
        return self.root / "data" / name

    def runs(self, dataset: str) -> Path:
        """Folder that holds the runs on a dataset."""
        return self.root / "runs" / dataset

    def benches(self, dataset: str) -> Path:
        """Folder that holds the benches on a dataset."""
        return self.root / "bench" / dataset

    def fitted(self, dataset: str) -> Path:
        """Folder that keeps what baselines learnt of a dataset."""
        return self.root / "fitted" / dataset

    @property
    def downloads(self) -> Path:
        """Folder that keeps downloaded archives."""
        return self.root / "downloads"

    def find_dataset(self, name: str | None) -> Path:
        """Folder of the named dataset, or of the newest finished one.

        Raises:
            WorkspaceError: there is none; it says what there is and how to make one.
        """
        finished = _finished(self.root / "data", DATASET_MANIFEST)
        if name is None and finished:
            return finished[-1]
        for folder in finished:
            if folder.name == name:
                return folder
        wanted = "no dataset has been prepared yet" if name is None else f"no dataset '{name}'"
        there = f"; there are: {', '.join(sorted(f.name for f in finished))}" if finished else ""
        fix = "genrec prepare sample   (or: genrec prepare movielens)"
        raise WorkspaceError(f"{wanted} in {self.root}{there}", fix)

    def find_run(self, dataset: str | None, name: str | None) -> Path:
        """Folder of the newest finished run, of those with a name or on a dataset if given.

        Raises:
            WorkspaceError: there is none, or it has not finished.
        """
        finished = self.finished_runs(dataset)
        for folder in reversed(finished):
            if name in (None, folder.name):
                return folder
        for folder in self._unfinished_runs(dataset):
            if name in (None, folder.name):
                raise WorkspaceError(
                    f"run '{folder.name}' has not finished ({folder})",
                    f"genrec finetune --resume --dataset {folder.parent.name} "
                    f"--name {folder.name}   (unless it is still training)",
                )
        on = f" on dataset '{dataset}'" if dataset else ""
        wanted = f"no finished run{on}" if name is None else f"no run '{name}'{on}"
        there = f"; there are: {', '.join(sorted(f.name for f in finished))}" if finished else ""
        raise WorkspaceError(f"{wanted} in {self.root}{there}", "genrec finetune")

    def finished_runs(self, dataset: str | None) -> list[Path]:
        """Folders of finished runs, oldest first; None: of every dataset."""
        parents = self._run_parents(dataset)
        runs = [run for parent in parents for run in _finished(parent, RUN_MANIFEST)]
        return sorted(runs, key=lambda folder: _created(folder / RUN_MANIFEST))

    def _unfinished_runs(self, dataset: str | None) -> list[Path]:
        runs = [run for parent in self._run_parents(dataset) for run in sorted(parent.glob("*/"))]
        return [run for run in runs if not (run / RUN_MANIFEST).exists()]

    def _run_parents(self, dataset: str | None) -> list[Path]:
        return [self.runs(dataset)] if dataset else sorted((self.root / "runs").glob("*/"))


def cache_dir() -> Path:
    """Folder for what every workspace can share, such as dequantised base models.

    `GENREC_CACHE`, else `genrec` in the user's cache folder (XDG).
    """
    if "GENREC_CACHE" in os.environ:
        return Path(os.environ["GENREC_CACHE"]).expanduser()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "genrec"


def check_name(name: str) -> None:
    """Refuse a name that cannot be a folder's, or that no later command would find.

    Raises:
        UsageError: it holds more than letters, digits, `-`, `_` and, inside, dots and spaces.
    """
    if not re.fullmatch(r"[\w-][\w. -]*", name):
        raise UsageError(
            f"'{name}' cannot be a name: it becomes a folder's", "use letters, digits, -, _ and ."
        )


def now() -> str:
    """The time in UTC, as ISO 8601 with microseconds: what `created` holds in every manifest."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder against other processes; the lock goes with its process, however that ends.

    Raises:
        WorkspaceError: another process holds it.
    """
    with (folder / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WorkspaceError(f"{folder} is in use by another process", "let it end") from None
        yield


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON file so that it is either whole or absent."""
    partial = path.with_name(f"{_STAGING}{os.getpid()}-{path.name}")
    try:
        with partial.open("w", encoding="utf-8") as file:
            json.dump(document, file, indent=2, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        WorkspaceError: the file is missing or damaged.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WorkspaceError(f"{path} is missing") from None
    except ValueError as error:
        raise WorkspaceError(f"{path} is damaged: {error}", "make it again") from None
    if not isinstance(document, dict):
        raise WorkspaceError(f"{path} is damaged: it holds no JSON object", "make it again")
    return document


@contextmanager
def publish(target: Path, manifest: str, *, force: bool, command: str) -> Iterator[Path]:
    """Yield an empty folder beside `target`, and rename it to `target` when all went well.

    Args:
        target: the finished folder.
        manifest: name of the file whose presence in `target` means finished.
        force: replace a finished folder instead of refusing.
        command: what the user would run, for the message that refuses.

    Raises:
        WorkspaceError: `target` is finished already and `force` is not set.
    """
    refuse_finished(target, manifest, force=force, command=command)
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target.parent)
    staging = target.with_name(f"{_STAGING}{os.getpid()}-{target.name}")
    replaced = target.with_name(f"{_STAGING}{os.getpid()}-old-{target.name}")
    for leftover in (staging, replaced):  # of a dead process that had our id, as in a container
        shutil.rmtree(leftover, ignore_errors=True)
    staging.mkdir()
    try:
        yield staging
        # Two renames lie between old and new, however long it takes to delete the old one.
        if target.exists():
            target.rename(replaced)
        staging.rename(target)
        shutil.rmtree(replaced, ignore_errors=True)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def refuse_finished(target: Path, manifest: str, *, force: bool, command: str) -> None:
    """Raise `WorkspaceError` when `target` is finished already and `force` is not set."""
    if not force and (target / manifest).exists():
        raise WorkspaceError(
            f"{target} is finished already, and nothing finished is overwritten",
            f"{command} --force   (or give the new one its own --name)",
        )


def _sweep(parent: Path) -> None:
    """Clear away what killed processes left; living ones keep theirs."""
    for leftover in parent.glob(f"{_STAGING}*"):
        pid = leftover.name.removeprefix(_STAGING).split("-")[0]
        if not (pid.isdigit() and psutil.pid_exists(int(pid))):
            shutil.rmtree(leftover, ignore_errors=True)


def _finished(parent: Path, manifest: str) -> list[Path]:
    """Finished folders in `parent`, oldest first."""
    folders = [path.parent for path in parent.glob(f"*/{manifest}")]
    visible = [folder for folder in folders if not folder.name.startswith(".")]
    return sorted(visible, key=lambda folder: _created(folder / manifest))


def _created(manifest: Path) -> str:
    """When an artefact was finished; a damaged one sorts first, and tells when it is read."""
    try:
        return str(read_json(manifest).get("created", ""))
    except WorkspaceError:
        return ""
