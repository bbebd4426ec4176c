"""Interactions as numbered arrays, and the filters on them."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from genrec_cli.core.schema import ITEM_ID, RATING, TIMESTAMP, USER_ID

Mask = NDArray[np.bool_]

# Leave-one-out needs a history, a validation target and a test target.
SHORTEST_SEQUENCE = 3


@dataclass(frozen=True)
class Events:
    """Interactions by number: `users[e]` touched `items[e]` at `timestamps[e]`.

    Attributes:
        user_ids: raw ids, by user number.
        item_ids: raw ids, by item number.
        users: int32, [events].
        items: int32, [events].
        timestamps: int64, [events].
        ratings: float32, [events]; NaN where there is none.
    """

    user_ids: list[str]
    item_ids: list[str]
    users: NDArray[np.int32]
    items: NDArray[np.int32]
    timestamps: NDArray[np.int64]
    ratings: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.users)

    def keep(self, mask: Mask) -> "Events":
        """The events where `mask` is true, numbers unchanged."""
        return replace(
            self,
            users=self.users[mask],
            items=self.items[mask],
            timestamps=self.timestamps[mask],
            ratings=self.ratings[mask],
        )


@dataclass(frozen=True)
class Stage:
    """What was left after one step of the funnel."""

    step: str
    rows: int
    users: int
    items: int


def number(interactions: pa.Table) -> Events:
    """Give users and items numbers, in the order in which they first appear."""
    users, user_ids = _codes(interactions[USER_ID])
    items, item_ids = _codes(interactions[ITEM_ID])
    ratings = pc.fill_null(interactions[RATING], float("nan"))
    return Events(
        user_ids=user_ids,
        item_ids=item_ids,
        users=users,
        items=items,
        timestamps=interactions[TIMESTAMP].to_numpy(),
        ratings=ratings.to_numpy(),
    )


def stage(step: str, events: Events) -> Stage:
    """Count what is left after a step.

    Only users and items that still have an event are counted.
    """
    return Stage(step, len(events), _distinct(events.users), _distinct(events.items))


def rated_at_least(events: Events, least: float) -> Mask:
    """True for events rated `least` or more; unrated events are dropped."""
    return events.ratings >= np.float32(least)


def k_core(events: Events, min_user: int, min_item: int) -> Mask:
    """True for the events of the k-core.

    Users and items with too few events are dropped in turn until none is left; the result is the
    largest subset in which all have enough, and does not depend on the order of dropping.
    """
    kept = np.ones(len(events), dtype=np.bool_)
    while True:
        users, items = events.users[kept], events.items[kept]
        enough = (np.bincount(users, minlength=1)[users] >= min_user) & (
            np.bincount(items, minlength=1)[items] >= min_item
        )
        if enough.all():
            return kept
        kept[kept] = enough


def _codes(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], list[str]]:
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    return encoded.indices.to_numpy().astype(np.int32), encoded.dictionary.to_pylist()


def _distinct(numbers: NDArray[np.int32]) -> int:
    return int(np.count_nonzero(np.bincount(numbers, minlength=1)))
