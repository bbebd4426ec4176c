"""Lines of several systems over cutoffs or groups of users, each with its name at its end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from genrec_cli.evaluation.charts.axes import Axis, figure, value_axis
from genrec_cli.evaluation.charts.curves import Curve, Point
from genrec_cli.evaluation.charts.panel import Panel
from genrec_cli.evaluation.charts.svg import document, element, squeezed, text

_WIDTH, _LEFT, _RIGHT = 420.0, 56.0, 266.0  # what is right of the axes holds the names
_TOP, _HEIGHT = 40.0, 230.0
_NAME_ROOM = 16.0  # the least height that a name takes
_NAME_LETTERS = 13
_LINE = 15.0


@dataclass(frozen=True)
class Series:
    """One system's figures.

    Attributes:
        name: of the system.
        values: figure at each place on the x axis; at least one.
        colour: a name in the palettes of `svg`; all but grey stand out.
        intervals: lower and upper end at each place where they are known.
    """

    name: str
    values: Mapping[int, float]
    colour: str
    intervals: Mapping[int, tuple[float, float]]


def line_chart(title: str, ticks: Mapping[int, Sequence[str]], series: Sequence[Series]) -> str:
    """Figures from zero on, over places that have names.

    Intervals are drawn for the systems that stand out.

    Args:
        title: what was measured.
        ticks: lines of text under a place on the x axis; the first and last place are the ends.
        series: at least one; the first is drawn lowest.

    Returns:
        A whole SVG document that needs no other file.
    """
    panel = _panel(title, ticks, series)
    whiskers = [shape for one in series if one.colour != "grey" for shape in _whiskers(panel, one)]
    shapes = [*whiskers, *panel.draw(), *_tick_names(panel, ticks)]
    lines = max(len(words) for words in ticks.values())
    size = (_WIDTH, panel.y.start + 8 + _LINE * lines)
    return document(size, title, _description(ticks, series), shapes)


def _panel(title: str, ticks: Mapping[int, Sequence[str]], series: Sequence[Series]) -> Panel:
    drawn = [end for one in series if one.colour != "grey" for end in _ends(one)]
    values = [0.0, *drawn, *(value for one in series for value in one.values.values())]
    height = max(_HEIGHT, _NAME_ROOM * len(series))
    first, last = min(ticks), max(ticks)
    return Panel(
        heading=title,
        curves=tuple(_curve(one) for one in series),
        x=Axis(first, max(last, first + 1), tuple(map(float, sorted(ticks))), _LEFT, _RIGHT),
        y=value_axis(values, _TOP + height, _TOP),
    )


def _curve(series: Series) -> Curve:
    points = tuple(Point(place, series.values[place]) for place in sorted(series.values))
    name = squeezed(series.name, _NAME_LETTERS)
    return Curve(name, points, series.colour, dotted=series.colour != "grey")


def _ends(series: Series) -> list[float]:
    return [end for interval in series.intervals.values() for end in interval]


def _whiskers(panel: Panel, series: Series) -> list[str]:
    lines = []
    for place, (low, high) in series.intervals.items():
        x, (y1, y2) = panel.x.place(place), (panel.y.place(low), panel.y.place(high))
        lines.append(element("line", x1=x, x2=x, y1=y1, y2=y2, class_="whisker"))
    return [element("g", *lines, class_=series.colour, opacity=0.5)] if lines else []


def _tick_names(panel: Panel, ticks: Mapping[int, Sequence[str]]) -> list[str]:
    shapes = []
    for place, lines in ticks.items():
        x = panel.x.place(place)
        for row, words in enumerate(lines, start=1):
            shapes.append(text(words, x, panel.y.start + 3 + _LINE * row, "soft middle small"))
    return shapes


def _description(ticks: Mapping[int, Sequence[str]], series: Sequence[Series]) -> str:
    """Where each system begins and ends, in words."""
    first, last = (" ".join(ticks[place]) for place in (min(ticks), max(ticks)))
    ways = []
    for one in reversed(series):
        ends = [figure(one.values[place]) for place in (min(one.values), max(one.values))]
        ways.append(f"{one.name}: {' to '.join(dict.fromkeys(ends))}")
    return f"From {first} to {last}. {'; '.join(ways)}."
