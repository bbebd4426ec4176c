"""Viewers of the bundled films, drawn from a distribution that is known exactly.

Each viewer has one hidden type z, a taste in genres and an era, drawn evenly from the 12 of
`world.VIEWER_TYPES`. She never watches a film twice. Her next film is drawn from::

    P(next = i | z, last, seen) = 0.45 * [i is the next instalment]
                                + 0.55 * (0.5 * similar(i | last) + 0.5 * liked(i | z))

where *the next instalment* is the first unseen film after `last` in its franchise, in order of
release. Where there is none, and before the first film, the parts that do not apply are left out
and the others share the whole. Both other parts are scaled to sum to 1 over the unseen films::

    similar(i | last) ~ (0.02 + J(last, i))^3 * near(last, i)^2
    liked(i | z)      ~ (0.1 + g(z, i))^2 * near(z, i)^2 / ((15 + rank(i)) * instalment(i))

    J            shared genres / genres of either film
    near         1 / (1 + (difference in years / 8)^2); a type has the year that its era centres on
    g            mean over the film's genres of the type's weight for the genre
    rank         1 for the most popular of the films: a fixed shuffle (Zipf-like, flat at the top)
    instalment   1 for the first film of a franchise, and for a film without one

A viewer watches 8 + floor(23 u (1 + 3u) / 4) films, u uniform: 8 to 30, 16 on average, whatever
she watches. The first is at a random second of the year from July 2024, after the last release
in the list, and each next one between an hour and six days later. One viewer in twenty has one
pair of neighbours at the same second.

All randomness is `Generator(PCG64(seed)).random()`, turned into choices here: numpy may change
how its other methods draw, but not the bits of that one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from genrec_cli.core import schema
from genrec_cli.data.sample.world import (
    VIEWER_TYPES,
    World,
    next_film_probabilities,
    sample_world,
)

VIEWERS: Final = 600
SHORTEST: Final = 8
LONGEST: Final = 30
TIED_SHARE: Final = 0.05

_HOUR: Final = 3600
_DAY: Final = 24 * _HOUR
_OPENING: Final = 1_719_792_000  # 2024-07-01 00:00 UTC


@dataclass(frozen=True)
class Viewer:
    """One simulated viewer.

    Attributes:
        user_id: the raw id ("v001").
        kind: place of the hidden type in `world.VIEWER_TYPES`.
        films: film numbers in the order watched.
        timestamps: Unix seconds, one a film; never falling, and rising but for one tied pair.
    """

    user_id: str
    kind: int
    films: tuple[int, ...]
    timestamps: tuple[int, ...]


def draw_viewers(generator: np.random.Generator, count: int = VIEWERS) -> tuple[Viewer, ...]:
    """Draw viewers one after another."""
    world = sample_world()
    return tuple(_draw_viewer(world, generator, f"v{place:03d}") for place in range(1, count + 1))


def interactions_table(viewers: Sequence[Viewer], generator: np.random.Generator) -> pa.Table:
    """Lay the viewers out as a table of schema `INTERACTIONS`, rows in a random order.

    The order is random so that nothing works by the luck of a log sorted by user and time.
    """
    item_ids = sample_world().item_ids
    rows = [
        (viewer.user_id, item_ids[film], timestamp)
        for viewer in viewers
        for film, timestamp in zip(viewer.films, viewer.timestamps, strict=True)
    ]
    order = np.argsort(generator.random(len(rows)), kind="stable")
    users, items, timestamps = zip(*(rows[place] for place in order), strict=True)
    columns = {
        schema.USER_ID: users,
        schema.ITEM_ID: items,
        schema.TIMESTAMP: timestamps,
        schema.RATING: pa.nulls(len(rows), pa.float32()),
    }
    return pa.table(columns, schema=schema.INTERACTIONS)


def _draw_viewer(world: World, generator: np.random.Generator, user_id: str) -> Viewer:
    kind = _below(generator, len(VIEWER_TYPES))
    u = generator.random()
    length = SHORTEST + int((LONGEST - SHORTEST + 1) * u * (1 + 3 * u) / 4)
    films = _draw_films(world, generator, kind, length)
    return Viewer(user_id, kind, films, _draw_timestamps(generator, length))


def _draw_films(
    world: World, generator: np.random.Generator, kind: int, length: int
) -> tuple[int, ...]:
    seen = np.zeros(len(world.films), dtype=np.bool_)
    films: list[int] = []
    for _ in range(length):
        last = films[-1] if films else None
        by_type = next_film_probabilities(world, last, seen, slice(kind, kind + 1))
        cumulative = np.cumsum(by_type[0])
        # "right" steps over films of probability 0, the seen ones.
        film = int(np.searchsorted(cumulative, generator.random() * cumulative[-1], side="right"))
        seen[film] = True
        films.append(film)
    return tuple(films)


def _draw_timestamps(generator: np.random.Generator, length: int) -> tuple[int, ...]:
    timestamps = [_OPENING + _below(generator, 365 * _DAY)]
    for _ in range(length - 1):
        timestamps.append(timestamps[-1] + _HOUR + _below(generator, 6 * _DAY - _HOUR))
    if generator.random() < TIED_SHARE:
        place = _below(generator, length - 1)
        timestamps[place + 1] = timestamps[place]
    return tuple(timestamps)


def _below(generator: np.random.Generator, bound: int) -> int:
    return int(generator.random() * bound)
