"""SVG as text: elements, escaping, and the style that all charts share.

Colours are written out in two blocks of rules, for a light and a dark screen; CSS variables would
be shorter, but programs other than browsers do not know them. Shapes take the colour of their
class through `currentColor`, so no colour stands in a chart's own code.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

# Okabe & Ito's blue and vermilion, a purple and a grey: every pair that meets in a panel can be
# told apart with any one kind of cone missing (Machado et al. 2009), and on the paper all have a
# contrast of 4.5 : 1 as text must, vermilion a little darker for it.
LIGHT = {
    "paper": "#ffffff",
    "ink": "#1f2328",
    "soft": "#57606a",
    "grid": "#e4e7eb",
    "grey": "#6e7681",
    "blue": "#0072b2",
    "orange": "#c25400",
    "purple": "#7b3294",
}
DARK = {
    "paper": "#14171c",
    "ink": "#e8eaed",
    "soft": "#a0a8b2",
    "grid": "#2b3038",
    "grey": "#8b949e",
    "blue": "#56b4e9",
    "orange": "#f28e2b",
    "purple": "#c9a0e8",
}
_CHART = "genrec-chart"  # every rule begins with it: a page may hold the chart inline
_SHAPES = """
.genrec-chart text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue",
  Arial, sans-serif; font-variant-numeric: tabular-nums; fill: currentColor; stroke: none }
.genrec-chart text.small { font-size: 11px }
.genrec-chart text.title { font-size: 15px; font-weight: 600 }
.genrec-chart text.heading, .genrec-chart text.strong { font-weight: 600 }
.genrec-chart .middle { text-anchor: middle }
.genrec-chart .end { text-anchor: end }
.genrec-chart polyline, .genrec-chart line { fill: none; stroke: currentColor; stroke-width: 1 }
.genrec-chart polyline { stroke-linejoin: round; stroke-linecap: round }
.genrec-chart polyline.bold { stroke-width: 2 }
.genrec-chart polyline.thin { stroke-width: 1.25 }
.genrec-chart polyline.faint { opacity: 0.4 }
.genrec-chart polyline.leader { stroke-dasharray: 0.1 3 }
.genrec-chart line.mark { stroke-dasharray: 3 3 }
.genrec-chart line.whisker { stroke-width: 1.75; stroke-linecap: round }
.genrec-chart circle.dot { fill: currentColor }
.genrec-chart circle.ring { fill: none; stroke: currentColor; stroke-width: 1.75 }
"""
_ALIEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, 2.2


def element(name: str, *children: str, **attributes: str | float) -> str:
    """One element; its children are markup already.

    An attribute's underscores become hyphens; `class_` is `class`. Numbers are rounded to a
    hundredth of a user unit.
    """
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}={quoteattr(_attribute(value))}"
        for key, value in attributes.items()
    )
    return f"<{name}{written}>{''.join(children)}</{name}>" if children else f"<{name}{written}/>"


def text(content: str, x: float, y: float, classes: str) -> str:
    """A line of text with its baseline at y."""
    return element("text", escape(legal(content)), x=x, y=y, class_=classes)


def tooltip(content: str) -> str:
    """What a group of shapes, as its first child, says under the pointer."""
    return element("title", escape(legal(content)))


def polyline(points: Sequence[tuple[float, float]], classes: str) -> str:
    """A line through points."""
    places = " ".join(f"{_coordinate(x)},{_coordinate(y)}" for x, y in points)
    return element("polyline", points=places, class_=classes)


def document(size: tuple[float, float], title: str, description: str, shapes: list[str]) -> str:
    """A whole SVG document.

    Args:
        size: width and height of the view box; the drawing takes whatever room it is given.
        title: its name, for screen readers and tooltips.
        description: what it shows, in words.
        shapes: markup, the lowest first.
    """
    width, height = size
    return element(
        "svg",
        "\n",
        tooltip(title),
        "\n",
        element("desc", escape(legal(description))),
        "\n",
        element("style", style()),
        "\n",
        element("rect", class_="paper", width=width, height=height),
        "\n",
        *(f"{shape}\n" for shape in shapes),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_coordinate(width)} {_coordinate(height)}",
        role="img",
        class_=_CHART,
    )


def style() -> str:
    """The rules of all charts, for a page that holds several."""
    return f"{_SHAPES}{_colours(LIGHT)}{_dark()}\n"


def inline(drawing: str) -> str:
    """A document without its rules, for a page that has them once."""
    return drawing.replace(element("style", style()), "", 1)


def fitting(words: str, letters: int) -> str:
    """As much of a text as so many letters' room holds; an East Asian one takes two."""
    taken = 0
    for place, letter in enumerate(words):
        taken += 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if taken > letters:
            return words[: place - 1] + "…"
    return words


def squeezed(name: str, letters: int) -> str:
    """A name of at most so many letters, without its middle: names in a series differ at an end.

    Example:
        >>> squeezed("nano-large-batch-13", 12)
        'nano-l…ch-13'
    """
    if len(name) <= letters:
        return name
    return f"{name[: letters // 2]}…{name[len(name) - (letters - 1) // 2 :]}"


def legal(content: str) -> str:
    """Text without the characters that XML 1.0 cannot hold, which become U+FFFD."""
    return _ALIEN.sub("\ufffd", content)


def _coordinate(value: float) -> str:
    """A number as short as a hundredth of a user unit allows."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _attribute(value: str | float) -> str:
    return value if isinstance(value, str) else _coordinate(value)


def _colours(palette: Mapping[str, str]) -> str:
    rules = [f".{_CHART} {{ color: {palette['ink']}; background: {palette['paper']} }}"]
    rules.append(f".{_CHART} .paper {{ fill: {palette['paper']}; stroke: none }}")
    rules.extend(
        f".{_CHART} .{name} {{ color: {colour} }}"
        for name, colour in palette.items()
        if name not in {"paper", "ink"}
    )
    return "\n".join(rules)


def _dark() -> str:
    return f"\n@media (prefers-color-scheme: dark) {{\n{_colours(DARK)}\n}}"
