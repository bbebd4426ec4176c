"""One panel of lines: grid, axis, curves, and each curve's name at its end."""

from collections.abc import Sequence
from dataclasses import dataclass

from genrec_cli.evaluation.charts.axes import Axis, figure, tick_labels, whole
from genrec_cli.evaluation.charts.curves import Curve, Point, thinned
from genrec_cli.evaluation.charts.svg import element, polyline, text

_PATH_POINTS = 400
_DOTS = 40  # a curve of more points is drawn without dots
_LINE_HEIGHT = 16.0
_LEADER = 12.0  # from the right end of the axis to a name


@dataclass(frozen=True)
class Panel:
    """Curves on common axes, under a heading.

    Attributes:
        heading: what the values are.
        curves: at least one; the first is drawn lowest.
        x: steps, to the right.
        y: values, upwards.
    """

    heading: str
    curves: tuple[Curve, ...]
    x: Axis
    y: Axis

    def place(self, point: Point) -> tuple[float, float]:
        """Where a measurement stands on the drawing."""
        return self.x.place(point.step), self.y.place(point.value)

    @property
    def heading_line(self) -> float:
        """The baseline of the heading."""
        return self.y.end - 14

    def draw(self) -> list[str]:
        """The panel's markup, the lowest shape first."""
        shapes = self._grid()
        for curve in self.curves:
            shapes += self._curve(curve)
        return shapes + self._names()

    def _grid(self) -> list[str]:
        left, right = self.x.start, self.x.end
        shapes = [text(self.heading, left, self.heading_line, "heading")]
        for tick, label in zip(self.y.ticks, tick_labels(self.y), strict=True):
            y = self.y.place(tick)
            colour = "soft" if tick == self.y.low else "grid"
            shapes.append(element("line", x1=left, x2=right, y1=y, y2=y, class_=colour))
            shapes.append(text(label, left - 8, y + 4, "soft end"))
        return shapes

    def _curve(self, curve: Curve) -> list[str]:
        shapes = [self._line(curve.points, f"thin faint {curve.colour}")] if curve.noisy else []
        if len(curve.line) > 1:
            weight = "bold" if curve.dotted or curve.noisy else "thin"
            shapes.append(self._line(curve.line, f"{weight} {curve.colour}"))
        if len(curve.line) == 1 or (curve.dotted and len(curve.line) <= _DOTS):
            places = map(self.place, curve.line)
            dots = [element("circle", cx=x, cy=y, r=3, class_="dot") for x, y in places]
            shapes.append(element("g", *dots, class_=curve.colour))
        return shapes

    def _line(self, points: Sequence[Point], classes: str) -> str:
        return polyline([self.place(point) for point in thinned(points, _PATH_POINTS)], classes)

    def _names(self) -> list[str]:
        ends = [self.place(curve.line[-1]) for curve in self.curves]
        heights = spread([y for _, y in ends], _LINE_HEIGHT, self.y.end, self.y.start)
        right = self.x.end
        shapes = []
        for curve, (x, y), height in zip(self.curves, ends, heights, strict=True):
            bend = [(x + 6, y)] if x + 6 < right else []
            leader = [*bend, (max(x + 3, right), y), (right + _LEADER, height)]
            shapes.append(polyline(leader, f"leader {curve.colour}"))
            words = f"{curve.label} {figure(curve.line[-1].value)}"
            shapes.append(text(words, right + _LEADER + 5, height + 4, curve.colour))
        return shapes


def draw_steps(axis: Axis, y: float, name: str) -> list[str]:
    """The ticks of a common axis of steps, below a panel that ends at y, and its name."""
    shapes = []
    for tick in axis.ticks:
        x = axis.place(tick)
        shapes.append(element("line", x1=x, x2=x, y1=y, y2=y + 5, class_="soft"))
        shapes.append(text(whole(int(tick)), x, y + 20, "soft middle"))
    return [*shapes, text(name, (axis.start + axis.end) / 2, y + 40, "soft middle")]


def spread(heights: Sequence[float], gap: float, top: float, bottom: float) -> list[float]:
    """Heights moved apart to keep a gap, within bounds that have the room.

    Args:
        heights: between the bounds, in any order; the order that they stand in is kept.
        gap: the least distance of two.
        top: the least height.
        bottom: the greatest.
    """
    order = sorted(range(len(heights)), key=lambda place: heights[place])
    moved = [0.0] * len(heights)
    free = top
    for place in order:
        moved[place] = max(heights[place], free)
        free = moved[place] + gap
    free = bottom
    for place in reversed(order):
        moved[place] = min(moved[place], free)
        free = moved[place] - gap
    return moved
