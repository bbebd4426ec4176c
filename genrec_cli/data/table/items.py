"""A file of items: which id has which title."""

from collections.abc import Collection
from pathlib import Path

import pyarrow as pa

from genrec_cli.core.progress import Progress
from genrec_cli.core.schema import RAW_ITEMS
from genrec_cli.data.table.columns import chosen_of_items
from genrec_cli.data.table.kinds import look, parts
from genrec_cli.data.text import TimeForm


def read_items(
    path: Path, item: Collection[str | None], title: str | None, progress: Progress
) -> tuple[pa.Table, dict[str, str]]:
    """Read ids and titles.

    Args:
        path: the file, of any kind that a log may be of.
        item: what its item column may be called; otherwise it is guessed.
        title: what its title column may be called; otherwise it is guessed.
        progress: is told of the bytes read.

    Returns:
        A table of schema `RAW_ITEMS`, and role -> column.

    Raises:
        DataError: no such columns, or the first row that cannot be used.
    """
    file = look(path)
    roles = chosen_of_items(file.header, item, title, path)
    with progress.task(f"Reading {path.name}", path.stat().st_size, "B") as task:
        # There are no times in it, so any form of times will do.
        done = [part.columns() for part in parts(file, roles, TimeForm("order"), task)]
    tables = [pa.table([some["item"], some["title"]], schema=RAW_ITEMS) for some in done]
    return (pa.concat_tables(tables) if tables else RAW_ITEMS.empty_table()), roles
