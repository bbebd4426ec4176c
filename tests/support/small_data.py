"""Raw logs and datasets of a few rows, written as tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from genrec_cli.core.progress import SILENT
from genrec_cli.core.schema import INTERACTIONS, RAW_ITEMS
from genrec_cli.core.settings import PrepareSettings
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.rawlog import RawLog, TableBlock
from genrec_cli.data.split import bounds

Row = tuple[str, str, int]  # user, item, timestamp

KEEP_ALL = PrepareSettings(min_user=1, min_item=1)


def raw_log(
    rows: Sequence[Row],
    titles: Mapping[str, str] | None = None,
    ratings: Sequence[float | None] | None = None,
) -> RawLog:
    """A log; without `titles` item x is called "Film x"."""
    users = [user for user, _, _ in rows]
    items = [item for _, item, _ in rows]
    times = [time for _, _, time in rows]
    if titles is None:
        titles = {item: f"Film {item}" for item in sorted(set(items))}
    columns = [users, items, times, ratings or [None] * len(rows)]
    arrays = [pa.array(c, f.type) for c, f in zip(columns, INTERACTIONS, strict=True)]
    named = [pa.array(c, pa.string()) for c in (list(titles), list(titles.values()))]
    block = TableBlock(pa.table(arrays, schema=INTERACTIONS))
    return RawLog(
        blocks=lambda _: iter([block]),
        items=pa.table(named, schema=RAW_ITEMS),
        source="a test",
    )


def whole(log: RawLog) -> pa.Table:
    """All interactions of a log."""
    return pa.concat_tables(block.read() for block in log.blocks(SILENT))


def items_of(*numbers: int) -> NDArray[np.int32]:
    return np.array(numbers, dtype=np.int32)


def dataset_of(
    sequences: Sequence[Sequence[int]], items: int | None = None, repeats: float = 0.0
) -> Dataset:
    """A dataset in memory; user and item ids are "u0", "i0" and so on.

    Its audit says that a share of `repeats` of the events are repeats, whatever they are.
    """
    flat = [item for sequence in sequences for item in sequence]
    count = items if items is not None else max(flat, default=-1) + 1
    training = [item for sequence in sequences for item in sequence[:-2]]
    offsets = np.cumsum([0, *map(len, sequences)])
    return Dataset(
        folder=Path("small"),
        manifest={"hash": "sha256:0", "audit": {"repeats": {"share": repeats}}},
        item_ids=[f"i{item}" for item in range(count)],
        titles=[f"Film {item}" for item in range(count)],
        train_counts=np.bincount(np.array(training, dtype=np.int64), minlength=count),
        user_ids=[f"u{row}" for row in range(len(sequences))],
        offsets=offsets,
        items=np.array(flat, dtype=np.int32),
        bounds=bounds(offsets, np.zeros(len(flat), dtype=np.int64), None),
    )
