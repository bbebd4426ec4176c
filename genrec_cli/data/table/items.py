"""A file of items: which id has which title."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from genrec_cli.core.progress import Progress
from genrec_cli.core.schema import RAW_ITEMS
from genrec_cli.data.table.columns import Columns, chosen_of_items
from genrec_cli.data.table.kinds import look, parts
from genrec_cli.data.text import TimeForm


def read_items(
    path: Path, log: Mapping[str, str], columns: Columns, progress: Progress
) -> tuple[pa.Table, dict[str, str]]:
    """Read ids and titles.

    Args:
        path: the file, of any kind that a log may be of.
        log: role -> column of the log; the items' column may have the same name.
        columns: what the user says. A title's column must be here if the log does not have it.
        progress: is told of the bytes read.

    Returns:
        A table of schema `RAW_ITEMS`, and role -> column.

    Raises:
        DataError: no such columns, or the first row that cannot be used.
    """
    file = look(path)
    is_due = columns.title in file.header or "title" not in log
    title = columns.title if is_due else None
    named = [name for name in (columns.item, log["item"]) if name is not None]
    roles = chosen_of_items(file.header, named, title, path)
    with progress.task(f"Reading {path.name}", path.stat().st_size, "B") as task:
        # There are no times in it, so any form of times will do.
        done = [part.columns() for part in parts(file, roles, TimeForm("order"), task)]
    tables = [pa.table([some["item"], some["title"]], schema=RAW_ITEMS) for some in done]
    return (pa.concat_tables(tables) if tables else RAW_ITEMS.empty_table()), roles
