"""Somebody's own log to a `RawLog`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import pyarrow as pa

from genrec_cli.core.errors import DataError
from genrec_cli.core.progress import SILENT, Progress
from genrec_cli.core.schema import RAW_ITEMS
from genrec_cli.data.rawlog import Block, RawLog
from genrec_cli.data.table.columns import Columns, chosen, same_columns
from genrec_cli.data.table.datafile import DataFile, TablePart
from genrec_cli.data.table.files import find_files, items_beside
from genrec_cli.data.table.items import read_items
from genrec_cli.data.table.kinds import form_of_times, look, parts, same_kind
from genrec_cli.data.text import TimeForm
from genrec_cli.data.text.faults import shown
from genrec_cli.data.text.roles import ROLES

GUESS_ALL: Final = Columns()


def read_table(
    source: str | Path,
    items: Path | None = None,
    columns: Columns = GUESS_ALL,
    progress: Progress = SILENT,
) -> RawLog:
    """Open a log of one's own: CSV, TSV, JSON lines, Parquet or RecBole's atomic files.

    Args:
        source: a file, a folder with files of one kind, or a pattern (`logs/2024-*.csv.gz`); each
            file plain or packed by gzip, zstd, bzip2, xz or zip.
        items: a file with a title for each item id; None: beside `x.inter` the `x.item`, else the
            log itself may have a column of titles. Where both name an item, this file counts.
        columns: names of columns; those that are None are guessed from the usual names.
        progress: is told which columns were taken, and of the bytes read.

    Returns:
        The log. Ids are text as written, without blanks around them; times are whole numbers in
        the source's own unit (dates become seconds, or finer where they have fractions).

    Raises:
        DataError: nothing there, no or several columns for a role, or a broken beginning. Whatever
            is wrong further down is raised by the blocks.
    """
    files = [look(path) for path in find_files(Path(source), items)]
    same_kind(files)
    items = items or items_beside([file.path for file in files])
    roles = _roles(files[0], columns, has_items=items is not None)
    for file in files[1:]:
        same_columns(file.header, roles, file.path, files[0].path)
    time = form_of_times(files, roles["time"])
    titles, named = _titles(items, roles, columns, progress)
    all_named = named | roles  # where the log has titles too, theirs is the column to tell
    log = RawLog(
        blocks=partial(_blocks, files, roles, time, Path(source)),
        items=titles,
        source=str(source) if len(files) == 1 else f"{source} ({len(files)} files)",
        files=(*(file.path for file in files), *([items] if items else [])),
        columns={role: all_named[role] for role in ROLES if role in all_named},
        time_unit=time.unit,
    )
    progress.note(_said(log.columns, time, None if "title" in roles else items))
    return log


def _roles(file: DataFile, columns: Columns, *, has_items: bool) -> dict[str, str]:
    """Role -> column of the log; a title that the file of items may have is not asked of it."""
    if has_items and columns.title not in file.header:
        columns = replace(columns, title=None)
    try:
        roles = chosen(file.header, columns, file.path)
    except DataError as error:
        no_header = _no_header(file)
        if no_header is None:
            raise
        raise no_header from error
    if has_items and columns.title is None:
        roles.pop("title", None)
    return roles


def _no_header(file: DataFile) -> DataError | None:
    """The error for a first line of data, which has numbers where names are due."""
    if file.dialect is None or not any(_is_number(name) for name in file.header):
        return None
    line = file.dialect.delimiter.join(file.header)
    return DataError(
        f"{file.path}: the first line is no header, it has numbers in it: {shown(line)}",
        "write a line above it that names the columns, such as user,item,rating,timestamp",
    )


def _is_number(name: str) -> bool:
    return name.replace(".", "", 1).isdecimal()


def _titles(
    items: Path | None, roles: Mapping[str, str], columns: Columns, progress: Progress
) -> tuple[pa.Table, dict[str, str]]:
    """The items' titles, and the title's column if the log has none."""
    if items is None:
        return RAW_ITEMS.empty_table(), {}
    if not items.is_file():
        raise DataError(f"{items}: no such file", "pass a file of ids and titles as --items")
    table, found = read_items(items, roles, columns, progress)
    return table, {"title": found["title"]}


def _said(columns: Mapping[str, str], time: TimeForm, items: Path | None) -> str:
    words = {role: f"{role} ← {name}" for role, name in columns.items()}
    words["time"] += f" ({time})"
    if "title" not in words:
        words["title"] = "no titles (ids stand in)"
    elif items is not None:
        words["title"] += f" of {items.name}"
    return "columns: " + ", ".join(words[role] for role in ROLES if role in words)


def _blocks(
    files: Sequence[DataFile],
    roles: Mapping[str, str],
    time: TimeForm,
    source: Path,
    progress: Progress,
) -> Iterator[Block]:
    size = sum(file.path.stat().st_size for file in files)
    is_empty = True
    with progress.task(f"Reading {source.name}", size, "B") as task:
        for file in files:
            for part in parts(file, roles, time, task):
                is_empty = False
                yield TablePart(part)
    if is_empty:
        raise DataError(f"{source}: no rows in it", "pass a log with at least one row")
