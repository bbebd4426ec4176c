"""The training curve of a run: losses above, the ranking of validation items below."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from genrec_cli.evaluation.charts.axes import figure, step_axis, value_axis, whole
from genrec_cli.evaluation.charts.curves import Curve, Point
from genrec_cli.evaluation.charts.panel import Panel, draw_steps
from genrec_cli.evaluation.charts.svg import document, element, fitting, text

_WIDTH, _LEFT, _RIGHT = 760.0, 64.0, 602.0  # what is right of the axes holds the curves' names
_TITLE, _FIRST = 30.0, 80.0  # baseline of the title; top of the first panel
_BETWEEN, _BELOW = 52.0, 54.0  # room for a heading; for the steps and their name
_LETTER = 7.0  # mean width of a letter of 12 units; more than in most fonts
_TITLE_LETTERS = int((_WIDTH - _LEFT) / 9.5)  # letters of 15 units, bold


class _Kind(NamedTuple):
    """A figure of `metrics.jsonl`, and how it is drawn."""

    key: str
    name: str
    colour: str
    dotted: bool


class _Part(NamedTuple):
    """What one panel shows; `base` is a value that its axis includes whatever was measured."""

    heading: str
    height: float
    base: tuple[float, ...]
    kinds: tuple[_Kind, ...]


_VALIDATION = _Kind("validation_loss", "validation", "blue", dotted=True)
_NDCG = _Kind("NDCG@10", "NDCG@10", "orange", dotted=True)
_PARTS = (
    _Part(
        "Loss, nats an item",
        230,
        (),
        (_Kind("loss", "training", "grey", dotted=False), _VALIDATION),
    ),
    _Part(
        "Ranking on validation",
        140,
        (0.0,),
        (_Kind("HR@10", "HR@10", "purple", dotted=True), _NDCG),
    ),
)


class _Best(NamedTuple):
    """The best validation of a run: the curve that decides, when, and how good."""

    curve: Curve
    point: Point


def training_curve(lines: Sequence[Mapping[str, Any]], title: str) -> str:
    """A run's losses and validation metrics over its steps.

    The best validation is marked, as training chooses its best checkpoint: the largest NDCG@10; of
    equal ones, or of a run that has not measured it, the smallest validation loss. Here it may be
    the untrained model. Of a single validation nothing is said.

    Args:
        lines: of the run's `metrics.jsonl`, in any order. Of two measurements of one figure at one
            step, as a resumed run may leave them, the later line counts; what is not finite is
            passed over.
        title: what the run is called.

    Returns:
        A whole SVG document that needs no other file.
    """
    panels = _panels(lines)
    if not panels:
        return _nothing(title)
    best = _best([curve for panel in panels for curve in panel.curves])
    bottom = panels[-1].y.start
    shapes = [text(fitting(title, _TITLE_LETTERS), _LEFT, _TITLE, "title")]
    for panel in panels:
        shapes += _hairline(panel, best) + panel.draw() + _label(panel, best)
    shapes += draw_steps(panels[0].x, bottom, "optimiser step")
    return document((_WIDTH, bottom + _BELOW), title, _description(panels, best), shapes)


def _nothing(title: str) -> str:
    """The chart of a run that has not begun."""
    words = "Nothing was measured yet."
    shapes = [
        text(fitting(title, _TITLE_LETTERS), _LEFT, _TITLE, "title"),
        text(words, _LEFT, 62, "soft"),
    ]
    return document((_WIDTH, 90), title, words, shapes)


def _panels(lines: Sequence[Mapping[str, Any]]) -> list[Panel]:
    """What was measured, one panel under the other."""
    found = [(part, curves) for part in _PARTS if (curves := _curves(lines, part))]
    last = max((c.points[-1].step for _, curves in found for c in curves), default=0)
    panels, top = [], _FIRST
    for part, curves in found:
        values = [point.value for curve in curves for point in curve.points]
        y = value_axis([*values, *part.base], top + part.height, top)
        panels.append(Panel(part.heading, curves, step_axis(last, _LEFT, _RIGHT), y))
        top += part.height + _BETWEEN
    return panels


def _curves(lines: Sequence[Mapping[str, Any]], part: _Part) -> tuple[Curve, ...]:
    return tuple(
        Curve(kind.name, points, kind.colour, kind.dotted)
        for kind in part.kinds
        if (points := _points(lines, kind.key))
    )


def _points(lines: Sequence[Mapping[str, Any]], key: str) -> tuple[Point, ...]:
    """One figure's measurements, by step."""
    values = {line["step"]: line[key] for line in lines if math.isfinite(line.get(key, math.nan))}
    return tuple(Point(step, values[step]) for step in sorted(values))


def _best(curves: Sequence[Curve]) -> _Best | None:
    """The best validation; None where there were not two to choose from."""
    named = {curve.name: curve for curve in curves if len(curve.points) > 1}
    ndcg, loss = named.get(_NDCG.name), named.get(_VALIDATION.name)
    losses = dict(loss.points) if loss else {}
    if ndcg:
        return _Best(ndcg, max(ndcg.points, key=lambda p: (p.value, -losses.get(p.step, math.inf))))
    return _Best(loss, min(loss.points, key=lambda p: p.value)) if loss else None


def _hairline(panel: Panel, best: _Best | None) -> list[str]:
    """The step of the best validation, in a panel."""
    if best is None:
        return []
    x = panel.x.place(best.point.step)
    return [element("line", x1=x, x2=x, y1=panel.y.end, y2=panel.y.start, class_="mark soft")]


def _label(panel: Panel, best: _Best | None) -> list[str]:
    """A ring around the best validation, and its value and step above the panel.

    There the words cross no curve; they stand over the ring as far as the heading lets them.
    """
    if best is None or best.curve not in panel.curves:
        return []
    x, y = panel.place(best.point)
    words = f"best {best.curve.name}: {_said(best.point)}"
    least = _LEFT + (len(panel.heading) + 2 + len(words) / 2) * _LETTER
    ring = element("circle", cx=x, cy=y, r=6, class_="ring")
    label = text(words, max(x, least), panel.heading_line, "middle")
    return [element("g", ring, label, class_=best.curve.colour)]


def _description(panels: Sequence[Panel], best: _Best | None) -> str:
    """What the chart shows, in words."""
    sentences = []
    for panel in panels:
        sentences.append(f"{panel.heading}, by optimiser step.")
        for curve in panel.curves:
            first, last = _said(curve.line[0]), _said(curve.line[-1])
            way = f"from {first} to {last}" if len(curve.line) > 1 else last
            sentences.append(f"{curve.label}: {way}.")
    if best:
        sentences.append(f"Best {best.curve.name}: {_said(best.point)}.")
    return " ".join(sentences)


def _said(point: Point) -> str:
    return f"{figure(point.value)} at step {whole(point.step)}"
