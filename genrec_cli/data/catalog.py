"""The catalog of a dataset: its items, their titles, and how often each was trained on."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from genrec_cli.core.schema import CATALOG
from genrec_cli.data.engine.numbering import Numbering
from genrec_cli.data.titles import clean_title, unique_titles


@dataclass(frozen=True)
class Catalog:
    """Items, and what was done to their titles.

    Attributes:
        table: of schema `core.schema.CATALOG`, in the natural order of the ids.
        missing: items without a title; their id stands in.
        shared: items whose title another has, too; they carry their id behind it.
        retitled: items for which the log gives several titles.
    """

    table: pa.Table
    missing: int
    shared: int
    retitled: int


def make_catalog(
    item_ids: list[str],
    codes: NDArray[np.int64],
    book: Numbering,
    train_counts: NDArray[np.int64],
) -> Catalog:
    """Name the items.

    Args:
        item_ids: in the catalog's order.
        codes: of the same items, in the book.
        book: knows the titles.
        train_counts: events of each in the training part.
    """
    raw_titles = [book.titles.get(code, "") for code in codes.tolist()]
    cleaned = [clean_title(title) for title in raw_titles]
    titles, shared = unique_titles(item_ids, cleaned)
    numbers = pa.array(np.arange(len(item_ids)), pa.int32())
    table = pa.table(
        [numbers, item_ids, titles, raw_titles, pa.array(train_counts, pa.int64())], schema=CATALOG
    )
    missing = sum(not title for title in cleaned)
    return Catalog(table, missing, shared, len(book.retitled.intersection(codes.tolist())))
