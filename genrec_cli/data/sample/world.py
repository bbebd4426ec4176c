"""Who watches what: the viewer types, and the exact distribution of the next film.

`simulator.py` gives the formula in words; this file is the formula, for the simulator to draw from
and for the oracle to invert. Only +, -, *, / and running sums are used, so that every machine and
every numpy release gets the same bits (`exp` and pairwise sums differ in their last digit).

Shapes: Z viewer types, N films. A film's number is its place in the order of `item_id`.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genrec_cli.data.sample.films import Film, read_films

FRANCHISE_SHARE: Final = 0.45
SIMILAR_SHARE: Final = 0.5
ERA_WIDTH: Final = 8.0
# Small, so that there is always something left to watch, even after every Western.
UNLIKE: Final = 0.02
DISLIKE: Final = 0.1
POPULARITY_SHIFT: Final = 15
# The popularity order is a fact of the world, the same whatever seed draws the viewers.
_POPULARITY_SEED: Final = 1


class ViewerType(NamedTuple):
    """A taste: how much each genre counts (absent: 0), and the year around which films please."""

    genres: dict[str, int]
    year: int


VIEWER_TYPES: Final = (
    ViewerType({"Action": 3, "Adventure": 3, "Sci-Fi": 2}, 2012),
    ViewerType({"Sci-Fi": 4, "Adventure": 2, "Horror": 1}, 1982),
    ViewerType({"Animation": 3, "Family": 3, "Comedy": 1}, 2008),
    ViewerType({"Family": 3, "Musical": 4, "Animation": 2}, 1958),
    ViewerType({"Romance": 4, "Comedy": 1, "Drama": 1}, 2003),
    ViewerType({"Romance": 2, "Drama": 3, "Mystery": 2}, 1952),
    ViewerType({"Crime": 4, "Drama": 2, "Mystery": 1}, 1978),
    ViewerType({"Thriller": 4, "Crime": 2, "Mystery": 2}, 2000),
    ViewerType({"Horror": 5, "Thriller": 1}, 1980),
    ViewerType({"War": 4, "Western": 4, "Drama": 1}, 1966),
    ViewerType({"Comedy": 5, "Crime": 1}, 1988),
    ViewerType({"Fantasy": 5, "Adventure": 2, "Family": 1}, 2005),
)


@dataclass(frozen=True)
class World:
    """The films, and what draws a viewer from one to the next.

    Attributes:
        films: in the order of `item_id`; a film's place here is its number.
        later: film number -> numbers of the later instalments of its franchise, next one first.
        similarity: float64 [N, N], how much a film (row) calls for another (column), 0 to 1.
        taste: float64 [Z, N], how much a type likes a film, times the film's popularity.
    """

    films: tuple[Film, ...]
    later: tuple[tuple[int, ...], ...]
    similarity: NDArray[np.float64]
    taste: NDArray[np.float64]

    @property
    def item_ids(self) -> tuple[str, ...]:
        """Raw item ids by film number."""
        return tuple(film.item_id for film in self.films)


@cache
def sample_world() -> World:
    """Build the world of the bundled films, once."""
    in_file_order = read_films()
    films = tuple(sorted(in_file_order, key=lambda film: film.item_id))
    later = _later_instalments(films, in_file_order)
    world = World(films, later, _similarity(films), _taste(films, later))
    world.similarity.setflags(write=False)
    world.taste.setflags(write=False)
    return world


def next_film_probabilities(
    world: World, last: int | None, seen: NDArray[np.bool_], kinds: slice = slice(None)
) -> NDArray[np.float64]:
    """Give each type's distribution of the next film; seen films have probability 0.

    Args:
        world: the films and what draws viewers to them.
        last: the number of the film watched last; None before the first.
        seen: bool [N], the films watched so far.
        kinds: which of the types to compute, by default all.

    Returns:
        float64 [Z, N], Z the number of types asked for, rows summing to 1.
    """
    taste = _normalised(np.where(seen, 0.0, world.taste[kinds]))
    if last is None:
        return taste
    similar = _normalised(np.where(seen, 0.0, world.similarity[last : last + 1]))
    mixed = SIMILAR_SHARE * similar + (1 - SIMILAR_SHARE) * taste
    instalment = next((film for film in world.later[last] if not seen[film]), None)
    if instalment is None:
        return mixed
    mixed *= 1 - FRANCHISE_SHARE
    mixed[:, instalment] += FRANCHISE_SHARE
    return mixed


def _normalised(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return weights / np.cumsum(weights, axis=1)[:, -1:]


def _later_instalments(
    films: tuple[Film, ...], in_file_order: tuple[Film, ...]
) -> tuple[tuple[int, ...], ...]:
    number = {film.item_id: place for place, film in enumerate(films)}
    series: dict[str, list[int]] = {}
    for film in in_file_order:
        series.setdefault(film.franchise, []).append(number[film.item_id])
    later: list[tuple[int, ...]] = []
    for place, film in enumerate(films):
        same = series[film.franchise] if film.franchise else [place]
        later.append(tuple(same[same.index(place) + 1 :]))
    return tuple(later)


def _near_in_time(years: NDArray[np.float64], year: int) -> NDArray[np.float64]:
    distance = (years - year) / ERA_WIDTH
    return 1.0 / (1.0 + distance * distance)


def _similarity(films: tuple[Film, ...]) -> NDArray[np.float64]:
    years = np.array([film.year for film in films], dtype=np.float64)
    rows = []
    for film in films:
        alike = UNLIKE + np.array(
            [len(film.genres & other.genres) / len(film.genres | other.genres) for other in films]
        )
        near = _near_in_time(years, film.year)
        rows.append(alike * alike * alike * near * near)
    return np.array(rows)


def _taste(films: tuple[Film, ...], later: tuple[tuple[int, ...], ...]) -> NDArray[np.float64]:
    years = np.array([film.year for film in films], dtype=np.float64)
    popularity = _popularity(later)
    rows = []
    for kind in VIEWER_TYPES:
        liked = DISLIKE + np.array(
            [sum(kind.genres.get(g, 0) for g in film.genres) / len(film.genres) for film in films]
        )
        near = _near_in_time(years, kind.year)
        rows.append(liked * liked * near * near * popularity)
    return np.array(rows)


def _popularity(later: tuple[tuple[int, ...], ...]) -> NDArray[np.float64]:
    generator = np.random.Generator(np.random.PCG64(_POPULARITY_SEED))
    rank = np.argsort(np.argsort(generator.random(len(later)))) + 1
    earlier = np.bincount([film for films in later for film in films], minlength=len(later))
    # A sequel is mostly found through the film before it, so its own pull is weaker.
    return np.asarray(1.0 / ((POPULARITY_SHIFT + rank) * (1.0 + earlier)))
