"""First step of the kernel: filter a stretch of a log and group it by user."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from genrec_cli.core.schema import ITEM_ID, ITEMS, RATING, RAW_TITLE, TIMESTAMP, TIMESTAMPS, USER_ID
from genrec_cli.data.engine.sorting import stable_order
from genrec_cli.data.engine.tables import RUN, lists
from genrec_cli.data.ids import spread


@dataclass(frozen=True)
class Window:
    """Which events of a log count: rated `min_rating` or more, at `since` <= time < `until`."""

    min_rating: float | None = None
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True)
class Summary:
    """What a stretch says beside its events; small enough to gather from everywhere.

    Attributes:
        item_ids: the items of the stretch; the run numbers them by their place here.
        seen: int64, [3, items]; events of each item: in the log, rated well enough, in the window.
        span: earliest and latest time of an event that counts; None where there is none.
        titles: pairs of an item's place and a title that the stretch gives it.
    """

    item_ids: pa.StringArray
    seen: NDArray[np.int64]
    span: tuple[int, int] | None
    titles: list[tuple[int, str]]


def group(table: pa.Table, window: Window) -> tuple[pa.Table, Summary]:
    """Turn a table of interactions into a run (schema `RUN`, items by place in the summary)."""
    users, user_ids = _encode(table.column(USER_ID))
    items, item_ids = _encode(table.column(ITEM_ID))
    timestamps = table.column(TIMESTAMP).to_numpy()
    masks = _masks(table, timestamps, window)

    keys = spread(user_ids)
    by_key = np.argsort(keys, kind="stable")
    rank = np.empty(len(by_key), dtype=np.int64)
    rank[by_key] = np.arange(len(by_key))
    rows = rank[users]
    order = _grouped(rows, masks[-1])
    timestamps = timestamps[order]

    counts, seen = _counts(rows, len(rank), masks), _counts(items, len(item_ids), masks)
    run = pa.table(
        [
            pa.array(keys[by_key]),
            user_ids.take(pa.array(by_key)),
            pa.array(counts[0], pa.int32()),
            pa.array(counts[1], pa.int32()),
            lists(counts[2], items[order], RUN.field(ITEMS).type),
            lists(counts[2], timestamps, RUN.field(TIMESTAMPS).type),
        ],
        schema=RUN,
    )
    span = (int(timestamps.min()), int(timestamps.max())) if len(timestamps) else None
    return run, Summary(item_ids, np.stack(seen), span, _titles(table, items))


def _encode(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], pa.StringArray]:
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):  # so it is for a column without rows
        encoded = pa.array([], pa.string()).dictionary_encode()
    return encoded.indices.to_numpy(), encoded.dictionary


def _masks(
    table: pa.Table, timestamps: NDArray[np.int64], window: Window
) -> list[NDArray[np.bool_] | None]:
    """Which events are rated well enough, and which of these are in the window; None: all."""
    rated = None
    if window.min_rating is not None:
        # NaN, which stands for "not rated", is not at least anything.
        rated = table.column(RATING).to_numpy() >= np.float32(window.min_rating)
    if window.since is None and window.until is None:
        return [rated, rated]
    inside = np.ones(len(timestamps), dtype=np.bool_) if rated is None else rated.copy()
    if window.since is not None:
        inside &= timestamps >= window.since
    if window.until is not None:
        inside &= timestamps < window.until
    return [rated, inside]


def _counts(
    codes: NDArray[Any], size: int, masks: list[NDArray[np.bool_] | None]
) -> list[NDArray[np.int64]]:
    """How often each code occurs: at all, and under each mask."""
    every = np.bincount(codes, minlength=size)
    return [
        every,
        *(every if m is None else np.bincount(codes[m], minlength=size) for m in masks),
    ]


def _grouped(rows: NDArray[np.int64], kept: NDArray[np.bool_] | None) -> NDArray[np.int64]:
    """Places of the kept events, by row, and in the log's order within a row."""
    if kept is None:
        return stable_order(rows)
    places = np.flatnonzero(kept)
    return places[stable_order(rows[places])]


def _titles(table: pa.Table, items: NDArray[np.int32]) -> list[tuple[int, str]]:
    if RAW_TITLE not in table.schema.names:
        return []
    codes, titles = _encode(table.column(RAW_TITLE))
    pairs = np.unique((items.astype(np.int64) << 32) | codes)
    found = titles.take(pa.array(pairs & 0xFFFFFFFF)).to_pylist()
    return list(zip((pairs >> 32).tolist(), found, strict=True))
