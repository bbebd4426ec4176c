"""From a raw log to the two tables of a dataset: filter, order, number, name."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from genrec_cli.core.errors import DataError
from genrec_cli.core.schema import CATALOG, ITEM_ID, RAW_TITLE, SEQUENCES
from genrec_cli.core.settings import PrepareSettings, TieRule
from genrec_cli.data.events import (
    SHORTEST_SEQUENCE,
    Events,
    Stage,
    k_core,
    number,
    rated_at_least,
    stage,
)
from genrec_cli.data.ids import hash_ids, mix, natural_order
from genrec_cli.data.rawlog import RawLog
from genrec_cli.data.titles import clean_title, unique_titles


@dataclass(frozen=True)
class Built:
    """A dataset in memory.

    Attributes:
        catalog: table of schema `core.schema.CATALOG`, items in the natural order of their ids.
        sequences: table of schema `core.schema.SEQUENCES`, users in the natural order of theirs.
        funnel: rows, users and items after each step.
        findings: counts that a reader of results should know (ties, titles).
    """

    catalog: pa.Table
    sequences: pa.Table
    funnel: list[Stage]
    findings: dict[str, Any]


def build(log: RawLog, settings: PrepareSettings) -> Built:
    """Filter, order and number a raw log.

    Raises:
        DataError: no event is left after the filters.
    """
    events, funnel = _filter(number(log.interactions), settings)
    order = _time_order(events, settings.ties, settings.seed)
    user_order = _present(events.users, events.user_ids)
    item_order = _present(events.items, events.item_ids)

    lengths = np.bincount(events.users, minlength=len(events.user_ids))[user_order]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    by_user = order[
        np.argsort(_rank(user_order, len(events.user_ids))[events.users[order]], kind="stable")
    ]
    items = _rank(item_order, len(events.item_ids))[events.items[by_user]]
    timestamps = events.timestamps[by_user]

    catalog, titles = _catalog(log, [events.item_ids[i] for i in item_order], items, offsets)
    sequences = pa.table(
        [
            pa.array([events.user_ids[u] for u in user_order], pa.string()),
            _lists(offsets, items.astype(np.int32), SEQUENCES.field(1).type),
            _lists(offsets, timestamps, SEQUENCES.field(2).type),
        ],
        schema=SEQUENCES,
    )
    ties = _ties(timestamps, offsets, settings.ties)
    return Built(catalog, sequences, funnel, {"ties": ties, "titles": titles})


def _filter(events: Events, settings: PrepareSettings) -> tuple[Events, list[Stage]]:
    funnel = [stage("read", events)]
    if settings.min_rating is not None:
        events = events.keep(rated_at_least(events, settings.min_rating))
        funnel.append(stage(f"rated {settings.min_rating:g} or more", events))
    min_user = max(settings.min_user, SHORTEST_SEQUENCE)
    events = events.keep(k_core(events, min_user, settings.min_item))
    core = f"users with ≥ {min_user} events, items with ≥ {settings.min_item}"
    funnel.append(stage(core, events))
    if not len(events):
        raise DataError(
            f"no event of {funnel[0].rows:,} is left after the filters ({core})",
            "lower --min-user, --min-item or --min-rating",
        )
    return events, funnel


def _time_order(events: Events, ties: TieRule, seed: int) -> NDArray[np.int64]:
    """Positions that sort events by time; equal times by the tie rule."""
    if ties == "file":
        return np.argsort(events.timestamps, kind="stable")
    tie_break = mix(
        hash_ids(events.user_ids, seed)[events.users], hash_ids(events.item_ids, seed)[events.items]
    )
    return np.lexsort((tie_break, events.timestamps))


def _present(numbers: NDArray[np.int32], ids: list[str]) -> NDArray[np.int64]:
    """Numbers that still occur, in the natural order of their ids."""
    present = np.unique(numbers)
    return present[natural_order([ids[i] for i in present])].astype(np.int64)


def _rank(order: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Inverse of an order: rank[order[i]] = i; -1 for what is not in it."""
    rank = np.full(size, -1, dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank


def _catalog(
    log: RawLog,
    item_ids: list[str],
    items: NDArray[np.int64],
    offsets: NDArray[np.int64],
) -> tuple[pa.Table, dict[str, int]]:
    raw = dict(zip(log.items[ITEM_ID].to_pylist(), log.items[RAW_TITLE].to_pylist(), strict=True))
    raw_titles = [raw.get(item_id, "") for item_id in item_ids]
    cleaned = [clean_title(title) for title in raw_titles]
    titles, disambiguated = unique_titles(item_ids, cleaned)
    held_out = np.concatenate([offsets[1:] - 1, offsets[1:] - 2])
    counts = np.bincount(items, minlength=len(item_ids)) - np.bincount(
        items[held_out], minlength=len(item_ids)
    )
    numbers = pa.array(np.arange(len(item_ids)), pa.int32())
    columns = [
        numbers,
        pa.array(item_ids),
        pa.array(titles),
        pa.array(raw_titles),
        pa.array(counts, pa.int64()),
    ]
    found = {"missing": sum(not title for title in cleaned), "disambiguated": disambiguated}
    return pa.table(columns, schema=CATALOG), found


def _ties(
    timestamps: NDArray[np.int64], offsets: NDArray[np.int64], rule: TieRule
) -> dict[str, Any]:
    """How many users' test targets the tie rule decides."""
    last = offsets[1:] - 1
    decided = int(np.count_nonzero(timestamps[last] == timestamps[last - 1]))
    return {"rule": rule, "users": decided, "share": round(decided / len(last), 4)}


def _lists(offsets: NDArray[np.int64], values: NDArray[Any], kind: pa.DataType) -> pa.ListArray:
    return pa.ListArray.from_arrays(
        pa.array(offsets, pa.int32()), pa.array(values, kind.value_type), type=kind
    )
