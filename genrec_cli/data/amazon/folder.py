"""Which files of a folder make up one log, told by their names alone."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genrec_cli.core.errors import DataError
from genrec_cli.data.amazon.names import (
    PARTS,
    LogName,
    MetaName,
    is_published,
    log_name,
    meta_name,
    slug,
)


@dataclass(frozen=True)
class Found:
    """One log.

    Attributes:
        files: its files; more than one where it is split, in the order train, valid, test.
        metas: metadata files of its category in sight, nearest first.
    """

    files: tuple[LogName, ...]
    metas: tuple[MetaName, ...]

    @property
    def category(self) -> str:
        """The category, as the files' names write it."""
        return self.files[0].category


def find_log(source: Path, category: str | None) -> Found:
    """Find the log that somebody means.

    Args:
        source: a log's file, or a folder with one in it or one level down.
        category: which one, in any spelling; None where there is only one.

    Raises:
        DataError: nothing there, an unreadable folder, or several to choose from.
    """
    try:
        if source.is_dir():
            files = _files_in(source)
            logs = _nearest(_named_logs(files))
        elif source.exists():
            files = _files_beside(source)
            logs = _pointed_at(source, files)
        else:
            raise DataError(f"{source}: no such file or folder", "pass a file or folder that is")
    except OSError as error:
        raise DataError(f"{source}: cannot be read: {error.strerror or error}") from error
    chosen = _the_one(source, _of_category(source, logs, category))
    metas = [meta for meta in map(meta_name, files) if meta and _same(meta, chosen[0])]
    near = sorted(metas, key=lambda meta: (meta.path.parent != chosen[0].path.parent, meta.path))
    return Found(tuple(sorted(chosen, key=_place)), tuple(near))


def _files_in(folder: Path) -> list[Path]:
    entries = sorted(folder.iterdir())
    inside = [entry for entry in entries if entry.is_dir() and os.access(entry, os.R_OK | os.X_OK)]
    below = [path for entry in inside for path in sorted(entry.iterdir())]
    return [path for path in entries + below if path.is_file()]


def _files_beside(file: Path) -> list[Path]:
    """The files of the same folder, and those where the Hugging Face hub keeps the metadata."""
    hub = file.parent.parent / "meta_categories"
    folders = [file.parent, *([hub] if hub.is_dir() else [])]
    return [path for folder in folders for path in sorted(folder.iterdir()) if path.is_file()]


def _named_logs(files: Sequence[Path]) -> list[LogName]:
    return [name for name in map(log_name, files) if name and is_published(name.category)]


def _nearest(logs: list[LogName]) -> list[LogName]:
    """Those directly in the folder, where there are any."""
    depth = min((len(log.path.parts) for log in logs), default=0)
    return [log for log in logs if len(log.path.parts) == depth]


def _pointed_at(file: Path, files: Sequence[Path]) -> list[LogName]:
    """The file, and where it is a part of a split, the other parts beside it."""
    name = log_name(file)
    if name is None:
        meta = meta_name(file)
        what = "holds the items, not the reviews" if meta else "not named like an Amazon log"
        raise DataError(
            f"{file}: {what}",
            "pass the reviews or ratings of a category under their published name, such as "
            "reviews_Toys_and_Games_5.json.gz, Toys_and_Games_5.json.gz or Toys_and_Games.jsonl.gz",
        )
    beside = (other for other in map(log_name, files) if other)
    return [other for other in beside if other.log == name.log] if name.part else [name]


def _of_category(source: Path, logs: list[LogName], category: str | None) -> list[LogName]:
    if not logs:
        raise DataError(
            f"{source}: no Amazon reviews in it (looked for names such as "
            "reviews_Toys_and_Games_5.json.gz, ratings_Toys_and_Games.csv, "
            "Toys_and_Games_5.json.gz, Toys_and_Games.csv and Toys_and_Games.jsonl.gz, directly "
            "inside or one folder down)",
            "pass the folder that the files were saved to, or the file of reviews itself",
        )
    there = ", ".join(sorted({log.category for log in logs}))
    wanted = [log for log in logs if category is None or slug(log.category) == slug(category)]
    if not wanted:
        raise DataError(f"{source}: no category {category!r}, only {there}", "pass one of these")
    if len({slug(log.category) for log in wanted}) > 1:
        raise DataError(
            f"{source}: more than one category in it: {there}",
            f"pass one of them, as --category {wanted[0].category}",
        )
    return wanted


def _the_one(source: Path, logs: list[LogName]) -> list[LogName]:
    if len({log.log for log in logs}) > 1:
        listed = ", ".join(str(log.path.relative_to(source)) for log in logs)
        raise DataError(
            f"{source}: more than one log of {logs[0].category} in it: {listed}",
            f"pass the one that you mean, as --source {logs[0].path}",
        )
    return logs


def _same(meta: MetaName, log: LogName) -> bool:
    return slug(meta.category) == slug(log.category)


def _place(log: LogName) -> int:
    return PARTS.index(log.part) if log.part else 0
