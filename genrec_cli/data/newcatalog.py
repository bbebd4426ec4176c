"""What may be recommended: the items of a dataset, or a catalog that no model has seen."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genrec_cli.core.errors import DataError
from genrec_cli.core.progress import SILENT, Progress
from genrec_cli.core.schema import ITEM_ID, RAW_TITLE
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.ids import natural_order
from genrec_cli.data.table import Columns
from genrec_cli.data.table.items import read_items
from genrec_cli.data.text.faults import shown
from genrec_cli.data.titles import clean_title, unique_titles

_FIX: Final = "call the columns item_id and title"


@dataclass(frozen=True)
class Offer:
    """Items by number, and what to call them all.

    Attributes:
        item_ids: raw ids.
        titles: clean and unique.
        name: as in "dataset 'sample'", for messages.
    """

    item_ids: Sequence[str]
    titles: Sequence[str]
    name: str

    def numbers_of(self, item_ids: Sequence[str]) -> NDArray[np.int32]:
        """The number here of each id, -1 where there is no such item.

        Example:
            >>> Offer(["a", "b", "c"], ["A", "B", "C"], "letters").numbers_of(["c", "x", "a"])
            array([ 2, -1,  0], dtype=int32)
        """
        numbers = {item_id: number for number, item_id in enumerate(self.item_ids)}
        return np.array([numbers.get(item_id, -1) for item_id in item_ids], dtype=np.int32)


def offer_of(dataset: Dataset) -> Offer:
    """What a dataset's own catalog offers."""
    return Offer(dataset.item_ids, dataset.titles, f"dataset '{dataset.name}'")


def read_catalog(path: Path, progress: Progress = SILENT) -> Offer:
    """Read a catalog: CSV, TSV, JSON lines or Parquet with a column of ids and one of titles.

    The columns are found by their names, as `prepare` finds those of a file of items. Titles become
    what `prepare` would make of them: clean, unique, and the id where there is none. Items stand in
    the natural order of their ids, whatever the order of the rows.

    Raises:
        DataError: no such file or columns, no rows, a row that cannot be used, or an id twice.
    """
    with _own_advice():
        table, roles = read_items(path, {"item": ITEM_ID}, Columns(), progress)
    ids, raw = table[ITEM_ID].to_pylist(), table[RAW_TITLE].to_pylist()
    if not ids:
        raise DataError(f"{path}: no rows in it", "pass a catalog with at least one item")
    _check_ids(path, ids, raw)
    order = natural_order(ids)
    item_ids = [ids[row] for row in order]
    cleaned = [clean_title(raw[row]) for row in order]
    titles, shared = unique_titles(item_ids, cleaned)
    missing = sum(not title for title in cleaned)
    progress.note(
        f"{path.name}: item ← {roles['item']}, title ← {roles['title']}; {len(ids):,} items, "
        f"{missing:,} without a title (the id stands in), {shared:,} with a title that another has "
        f"(the id stands behind)"
    )
    return Offer(item_ids, titles, f"catalog {path}")


def _check_ids(path: Path, ids: Sequence[str], titles: Sequence[str]) -> None:
    rows: dict[str, int] = {}
    for row, item_id in enumerate(ids):
        first = rows.setdefault(item_id, row)
        if first != row:
            raise DataError(
                f"{path}: rows {first + 1:,} and {row + 1:,} both have the id {shown(item_id)}: "
                f"{shown(titles[first])} and {shown(titles[row])}",
                "give each item one row and an id of its own",
            )


@contextmanager
def _own_advice() -> Iterator[None]:
    """The readers advise on options of `prepare`; here the file itself is to be mended."""
    try:
        yield
    except DataError as error:
        raise DataError(
            error.message, _advice(error.fix or "pass a file of ids and titles")
        ) from error


def _advice(fix: str) -> str:
    fix = re.sub(r",? or name another --\w+-column", "", fix)
    fix = re.sub(r'\{"user".*\}', '{"item_id": …, "title": …}', fix)
    return _FIX if "-column" in fix else fix
