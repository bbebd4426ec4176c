"""Measurements over steps, and how many of them a drawing shows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

_NOISY = 200  # a curve of more measurements is drawn as their mean, before all of them
_STRETCHES = 50  # the mean runs over this part of the measurements


class Point(NamedTuple):
    """One measurement."""

    step: int
    value: float


@dataclass(frozen=True)
class Curve:
    """What is drawn as one line.

    Attributes:
        name: of what was measured.
        points: by step; at least one.
        colour: a name in the palettes of `svg`.
        dotted: whether each measurement counts by itself and has a dot; if not, many are smoothed.
    """

    name: str
    points: tuple[Point, ...]
    colour: str
    dotted: bool

    @property
    def noisy(self) -> bool:
        """Whether its line is a mean."""
        return not self.dotted and len(self.points) > _NOISY

    @property
    def label(self) -> str:
        """What its line is called."""
        return f"{self.name}, mean" if self.noisy else self.name

    @cached_property
    def line(self) -> tuple[Point, ...]:
        """What its line goes through: the points, or of a noisy curve their mean."""
        if not self.noisy:
            return self.points
        return tuple(smoothed(self.points, len(self.points) // _STRETCHES))


def smoothed(points: Sequence[Point], width: int) -> list[Point]:
    """Each value's mean with its neighbours', half the width to both sides; fewer at the ends."""
    half = width // 2
    sums = np.concatenate([[0.0], np.cumsum([point.value for point in points])])
    places = np.arange(len(points))
    start, stop = np.maximum(places - half, 0), np.minimum(places + half + 1, len(points))
    means = (sums[stop] - sums[start]) / (stop - start)
    return [Point(point.step, float(mean)) for point, mean in zip(points, means, strict=True)]


def thinned(points: Sequence[Point], most: int) -> list[Point]:
    """At most so many of the points: the ends, and the lowest and highest of equal stretches.

    A line through them keeps every peak, which means or every n-th point would lose.

    Args:
        points: by step.
        most: at least 4.
    """
    if len(points) <= most:
        return list(points)
    inner = points[1:-1]
    stretch = math.ceil(len(inner) / ((most - 2) // 2))
    kept = {points[0], points[-1]}
    for start in range(0, len(inner), stretch):
        part = inner[start : start + stretch]
        kept |= {min(part, key=lambda p: p.value), max(part, key=lambda p: p.value)}
    return sorted(kept)
