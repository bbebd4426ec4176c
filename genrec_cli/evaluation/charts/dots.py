"""A dot plot: one figure of each system on a common axis, with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass

from genrec_cli.evaluation.charts.axes import Axis, figure, tick_labels, value_axis
from genrec_cli.evaluation.charts.svg import document, element, squeezed, text, tooltip

_WIDTH, _LEFT, _RIGHT = 420.0, 128.0, 356.0  # names on the left, figures on the right
_TOP, _ROW, _BELOW = 40.0, 22.0, 26.0
_NAME_LETTERS = 13


@dataclass(frozen=True)
class Mark:
    """One system's figure.

    Attributes:
        name: of the system.
        value: what was measured.
        interval: lower and upper end; None: not known.
        colour: a name in the palettes of `svg`; all but grey stand out.
    """

    name: str
    value: float
    interval: tuple[float, float] | None
    colour: str

    @property
    def said(self) -> str:
        """The figure in words."""
        if self.interval is None:
            return f"{self.name} {figure(self.value)}"
        low, high = map(figure, self.interval)
        return f"{self.name} {figure(self.value)} ({low} to {high})"


def dot_plot(title: str, marks: Sequence[Mark]) -> str:
    """Figures from zero on, one line each, the first on top.

    Args:
        title: what was measured.
        marks: at least one.

    Returns:
        A whole SVG document that needs no other file.
    """
    ends = [end for mark in marks for end in (mark.value, *(mark.interval or ()))]
    axis = value_axis([0.0, *ends], _LEFT, _RIGHT)
    bottom = _TOP + _ROW * len(marks)
    shapes = [text(title, 0, 16, "heading"), *_grid(axis, bottom)]
    for row, mark in enumerate(marks):
        shapes += _row(mark, axis, _TOP + _ROW * (row + 0.5))
    description = "; ".join(mark.said for mark in marks)
    return document((_WIDTH, bottom + _BELOW), title, f"{description}.", shapes)


def _grid(axis: Axis, bottom: float) -> list[str]:
    shapes = []
    for tick, label in zip(axis.ticks, tick_labels(axis), strict=True):
        x = axis.place(tick)
        colour = "soft" if tick == 0 else "grid"
        shapes.append(element("line", x1=x, x2=x, y1=_TOP, y2=bottom, class_=colour))
        shapes.append(text(label, x, bottom + 18, "soft middle"))
    return shapes


def _row(mark: Mark, axis: Axis, y: float) -> list[str]:
    weight = "" if mark.colour == "grey" else " strong"
    shapes = [text(squeezed(mark.name, _NAME_LETTERS), _LEFT - 12, y + 4, f"end{weight}")]
    if mark.interval:
        low, high = map(axis.place, mark.interval)
        shapes.append(element("line", x1=low, x2=high, y1=y, y2=y, class_="whisker"))
    radius = 4.0 if weight else 3.5
    shapes.append(element("circle", cx=axis.place(mark.value), cy=y, r=radius, class_="dot"))
    shapes.append(text(figure(mark.value), _WIDTH, y + 4, f"end{weight}"))
    return [element("g", tooltip(mark.said), *shapes, class_=mark.colour)]
