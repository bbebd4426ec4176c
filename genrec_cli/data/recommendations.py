"""Recommendations on disk: Parquet, CSV or JSON lines, by the file's ending."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from genrec_cli.core.errors import UsageError, WorkspaceError
from genrec_cli.core.schema import ITEM_ID, RANK, RECOMMENDATIONS, SCORE, TITLE, USER_ID

Users = Sequence[Mapping[str, Any]]

_NESTED: Final = ".jsonl"


def check_output(path: Path, *, force: bool, explained: bool = False) -> None:
    """Refuse an output before the work begins.

    Args:
        path: to write to.
        force: replace it.
        explained: the recommendations come with explanations, which tables have no columns for.

    Raises:
        UsageError: the ending is not one of ours, or not one for explanations; the folder does not
            exist, or it is a folder.
        WorkspaceError: the file exists and `force` is not set.
    """
    if path.suffix not in _WRITERS:
        raise UsageError(
            f"cannot write '{path.name}': the ending decides on the format",
            f"use one of {', '.join(_WRITERS)}",
        )
    if explained and path.suffix != _NESTED:
        raise UsageError(
            f"cannot write explanations to '{path.name}', which is a flat table",
            f"use {_NESTED}, or leave --explain out",
        )
    if not path.parent.is_dir():
        raise UsageError(f"no such folder: {path.parent}", f"mkdir -p {path.parent}")
    if path.is_dir():
        raise UsageError(f"{path} is a folder", "name a file")
    if path.exists() and not force:
        raise WorkspaceError(f"{path} exists already", "add --force, or name another file")


def write_recommendations(path: Path, users: Users) -> None:
    """Write recommendations so that the file is either whole or absent.

    Parquet and CSV hold one row a recommendation (schema `core.schema.RECOMMENDATIONS`), JSON
    lines one user a line with all that is known: history, whether the list is exact, explanations.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        _WRITERS[path.suffix](partial, users)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _table(users: Users) -> pa.Table:
    rows = [
        {USER_ID: user["user_id"], **{key: entry[key] for key in (RANK, ITEM_ID, TITLE, SCORE)}}
        for user in users
        for entry in user["recommendations"]
    ]
    return pa.Table.from_pylist(rows, schema=RECOMMENDATIONS)


def _write_parquet(path: Path, users: Users) -> None:
    pq.write_table(_table(users), path, compression="zstd")


def _write_csv(path: Path, users: Users) -> None:
    pyarrow.csv.write_csv(_table(users), path)


def _write_jsonl(path: Path, users: Users) -> None:
    lines = (json.dumps(user, ensure_ascii=False) for user in users)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


_WRITERS: Final[dict[str, Callable[[Path, Users], None]]] = {
    ".parquet": _write_parquet,
    ".csv": _write_csv,
    _NESTED: _write_jsonl,
}
