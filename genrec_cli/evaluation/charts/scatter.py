"""Quality against cost: a dot for each system, named where there is room."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from genrec_cli.evaluation.charts.axes import Axis, figure, tick_labels, value_axis
from genrec_cli.evaluation.charts.svg import document, element, polyline, squeezed, text

_WIDTH, _LEFT, _RIGHT = 420.0, 56.0, 408.0
_TOP, _BOTTOM, _BELOW = 40.0, 300.0, 46.0
_LETTER, _BOLD_LETTER = 7.0, 8.2  # room that letters of 12 units take
_LINE, _NAME_LETTERS = 14.0, 13
_DECADES = 7  # from here on not every power of ten has its number
_AWAY = 9.0  # from a dot to its name
_STEP = 7.0  # names move up and down by this until they are free


@dataclass(frozen=True)
class Dot:
    """One system.

    Attributes:
        name: of the system.
        cost: above 0.
        value: its quality.
        colour: a name in the palettes of `svg`; all but grey stand out.
    """

    name: str
    cost: float
    value: float
    colour: str


class _Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "_Box") -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom


def scatter(title: str, cost: str, dots: Sequence[Dot]) -> str:
    """Quality from zero on, over cost by powers of ten.

    Args:
        title: what was measured.
        cost: what the x axis is.
        dots: at least one.

    Returns:
        A whole SVG document that needs no other file.
    """
    x = _decades([dot.cost for dot in dots])
    y = value_axis([0.0, *(dot.value for dot in dots)], _BOTTOM, _TOP)
    middle = (_LEFT + _RIGHT) / 2
    shapes = [text(title, 0, 16, "heading"), *_grid(x, y)]
    shapes += [text(cost, middle, _BOTTOM + 40, "soft middle"), *_dots(dots, x, y)]
    ways = [f"{dot.name} {figure(dot.value)} at {dot.cost:.3g}" for dot in dots]
    return document((_WIDTH, _BOTTOM + _BELOW), title, f"By {cost}: {'; '.join(ways)}.", shapes)


def _decades(costs: Sequence[float]) -> Axis:
    """An axis of decimal logarithms that begins and ends at powers of ten."""
    first = math.floor(math.log10(min(costs)))
    last = max(math.ceil(math.log10(max(costs))), first + 1)
    every = 1 + (last - first) // _DECADES
    ticks = tuple(float(tick) for tick in range(first, last + 1, every))
    return Axis(first, last, ticks, _LEFT + 12, _RIGHT - 12)


def _grid(x: Axis, y: Axis) -> list[str]:
    shapes = []
    for tick, label in zip(y.ticks, tick_labels(y), strict=True):
        at = y.place(tick)
        colour = "soft" if tick == y.low else "grid"
        shapes.append(element("line", x1=_LEFT, x2=_RIGHT, y1=at, y2=at, class_=colour))
        shapes.append(text(label, _LEFT - 8, at + 4, "soft end"))
    for tick in x.ticks:
        at = x.place(tick)
        shapes.append(element("line", x1=at, x2=at, y1=_BOTTOM, y2=_BOTTOM + 5, class_="soft"))
        shapes.append(text(f"{10**tick:g}", at, _BOTTOM + 20, "soft middle"))
    return shapes


def _dots(dots: Sequence[Dot], x: Axis, y: Axis) -> list[str]:
    """The dots and their names; those that stand out choose their place first."""
    places = [(x.place(math.log10(dot.cost)), y.place(dot.value)) for dot in dots]
    taken = [_Box(left - 5, top - 5, left + 5, top + 5) for left, top in places]
    shapes = []
    for dot, (left, top) in sorted(zip(dots, places, strict=True), key=_grey_last):
        name = squeezed(dot.name, _NAME_LETTERS)
        letter = _LETTER if dot.colour == "grey" else _BOLD_LETTER
        box = _free(left, top, len(name) * letter, taken)
        taken.append(box)
        shapes.append(_drawn(dot, (left, top), name, box))
    return shapes


def _grey_last(pair: tuple[Dot, tuple[float, float]]) -> bool:
    return pair[0].colour == "grey"


def _free(x: float, y: float, width: float, taken: Sequence[_Box]) -> _Box:
    """The nearest room for a name beside, above or below a dot; where there is none, beside it."""
    rooms = _rooms(x, y, width)
    first = next(rooms)
    free = (
        box
        for box in itertools.chain([first], rooms)
        if not any(box.meets(other) for other in taken)
    )
    return next(free, first)


def _rooms(x: float, y: float, width: float) -> Iterator[_Box]:
    """Where a name could stand, the nearest first."""
    for step in range(int((_BOTTOM - _TOP) / _STEP)):
        for middle in dict.fromkeys((y - step * _STEP, y + step * _STEP)):
            for left in (x + _AWAY, x - _AWAY - width, x - width / 2):
                box = _Box(left, middle - _LINE / 2, left + width, middle + _LINE / 2)
                if _inside(box):
                    yield box


def _inside(box: _Box) -> bool:
    return (
        box.left > _LEFT
        and box.right <= _WIDTH
        and box.top >= _TOP - _LINE
        and (box.bottom <= _BOTTOM)
    )


def _drawn(dot: Dot, place: tuple[float, float], name: str, box: _Box) -> str:
    x, y = place
    weight = "" if dot.colour == "grey" else " strong"
    shapes = [element("circle", cx=x, cy=y, r=4, class_="dot")]
    middle = (box.top + box.bottom) / 2
    if abs(middle - y) > 2 * _STEP:
        near = min(max(x, box.left), box.right)
        shapes.append(polyline([(x, y), (near, box.bottom if middle < y else box.top)], "leader"))
    across, anchor = (box.left + box.right) / 2, " middle"
    if box.left > x:
        across, anchor = box.left, ""
    elif box.right < x:
        across, anchor = box.right, " end"
    shapes.append(text(name, across, middle + 4, f"{weight}{anchor}".strip()))
    return element("g", *shapes, class_=dot.colour)
