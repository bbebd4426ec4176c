"""Finished benches: which there are, which one a name means, and what `metrics.json` says."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from genrec_cli.core.errors import WorkspaceError
from genrec_cli.core.workspace import BENCH_MANIFEST, Workspace, read_json

BENCH_FORMAT: Final = 2
PER_USER_FILE: Final = "per_user.parquet"
LATEST: Final = "latest"
PREVIOUS: Final = "previous"
AGAIN: Final = "measure it again with genrec bench"
_SHOWN: Final = 5


@dataclass(frozen=True)
class Bench:
    """A finished bench: its folder and its `metrics.json`."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        """The folder's name: when it was finished."""
        return self.folder.name

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return str(self.manifest["dataset"])

    @property
    def systems(self) -> list[str]:
        """Names of what was measured."""
        return [row["system"] for row in self.manifest["rows"]]


def read_bench(folder: Path) -> Bench:
    """Read the `metrics.json` of a bench.

    Raises:
        WorkspaceError: it is missing, damaged, or of another format.
    """
    path = folder / BENCH_MANIFEST
    manifest = read_json(path)
    if manifest.get("format") != BENCH_FORMAT:
        found = manifest.get("format", 1)
        message = f"{path} has format {found}, this genrec reads {BENCH_FORMAT}"
        raise WorkspaceError(message, AGAIN)
    if not _is_whole(manifest):
        raise WorkspaceError(f"{path} is damaged: it names no systems or no protocol", AGAIN)
    return Bench(folder, manifest)


def bench_folders(workspace: Workspace, dataset: str | None) -> list[Path]:
    """Folders of finished benches, by name; None: of every dataset."""
    root = workspace.root / "bench"
    paths = root.glob(f"{dataset or '*'}/*/{BENCH_MANIFEST}")
    folders = [path.parent for path in paths if not path.parent.name.startswith(".")]
    return sorted(folders, key=lambda folder: folder.name)


def readable(folders: Iterable[Path]) -> tuple[list[Bench], list[str]]:
    """Benches, oldest first, and what is wrong with those that cannot be read."""
    benches, faults = [], []
    for folder in folders:
        try:
            benches.append(read_bench(folder))
        except WorkspaceError as error:
            faults.append(error.message)
    return sorted(benches, key=lambda bench: str(bench.manifest["created"])), faults


def find_bench(workspace: Workspace, text: str, dataset: str | None) -> Bench:
    """The bench that a person means.

    Args:
        workspace: where benches lie.
        text: name of a folder or the beginning of one, a path to a folder, `latest`, or
            `previous`: the newest but one on the dataset of the latest.
        dataset: on which; None: on any.

    Raises:
        WorkspaceError: there is none, or several; it names some that there are.
    """
    if "/" in text or (Path(text) / BENCH_MANIFEST).is_file():
        return read_bench(Path(text))
    folders = bench_folders(workspace, dataset)
    if text in (LATEST, PREVIOUS):
        return _by_age(workspace, text, folders)
    found = [folder for folder in folders if folder.name == text]
    found = found or [folder for folder in folders if folder.name.startswith(text)]
    if len(found) > 1:
        named = ", ".join(f"{folder.name} ({folder.parent.name})" for folder in found[-_SHOWN:])
        raise WorkspaceError(
            f"'{text}' can mean {len(found)} benches; the newest are: {named}",
            "write more of the name, or say which --dataset",
        )
    if not found:
        raise _nothing(workspace, f"no bench '{text}'", _nearest(text, folders))
    return read_bench(found[0])


def _by_age(workspace: Workspace, text: str, folders: Sequence[Path]) -> Bench:
    benches, _ = readable(folders)
    same = [bench for bench in benches if bench.dataset == benches[-1].dataset]
    place = 1 if text == LATEST else 2
    if len(same) < place:
        there = [bench.name for bench in same]
        raise _nothing(workspace, f"no {text} bench", there)
    return same[-place]


def _nothing(workspace: Workspace, message: str, near: Sequence[str]) -> WorkspaceError:
    there = f"; there are: {', '.join(near)}" if near else ""
    return WorkspaceError(f"{message} in {workspace.root / 'bench'}{there}", "genrec bench")


def _nearest(text: str, folders: Sequence[Path]) -> list[str]:
    """The names most like it, or the newest."""
    names = [folder.name for folder in folders]
    return difflib.get_close_matches(text, names, n=_SHOWN) or names[: -_SHOWN - 1 : -1]


def _is_whole(manifest: dict[str, Any]) -> bool:
    """Whether it has what everything that reads a bench relies on."""
    rows = manifest.get("rows")
    return (
        isinstance(rows, list)
        and len(rows) > 0
        and all(isinstance(row, dict) and "system" in row for row in rows)
        and all(isinstance(manifest.get(key), dict) for key in ("protocol", "systems"))
        and {"dataset", "created"} <= manifest.keys()
    )
