"""The page itself: one HTML file with its style and charts inside, and nothing from outside."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from genrec_cli.evaluation.charts.svg import DARK, LIGHT, legal, style
from genrec_cli.evaluation.report import about, details, drawings, tables
from genrec_cli.evaluation.report.contents import Contents
from genrec_cli.evaluation.report.makings import leaks, systems
from genrec_cli.evaluation.report.people import people
from genrec_cli.evaluation.report.summary import findings, remarks

_TEMPLATES = Environment(
    loader=PackageLoader("genrec_cli.evaluation.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def report_html(contents: Contents) -> str:
    """The report of a bench.

    Every text is escaped, and the page forbids scripts and requests by a content security policy.

    Returns:
        An HTML document that needs no other file.
    """
    page = _TEMPLATES.get_template("page.html.j2").render(_view(contents))
    return legal(page)


def _view(contents: Contents) -> dict[str, Any]:
    """What the templates read."""
    return {
        "manifest": contents.manifest,
        "card": contents.card,
        "created": _date(contents.manifest["created"]),
        "findings": findings(contents),
        "remarks": remarks(contents),
        "protocol": about.protocol(contents),
        "data": about.data(contents),
        "tables": _tables(contents),
        "slices": details.slices(contents),
        "charts": _charts(contents),
        "people": people(contents),
        "systems": systems(contents),
        "leaks": leaks(contents),
        "command": about.command(contents),
        "chart_style": Markup(style()),
        "light": Markup(_variables(LIGHT)),
        "dark": Markup(_variables(DARK)),
    }


def _tables(contents: Contents) -> dict[str, tables.Table | None]:
    return {
        "results": tables.results(contents),
        "comparisons": tables.comparisons(contents),
        "hybrids": details.hybrids(contents),
        "beyond": tables.beyond_accuracy(contents),
        "cost": tables.cost(contents),
        "seeds": details.seeds(contents),
    }


def _charts(contents: Contents) -> dict[str, Any]:
    return {
        "key": drawings.key(contents),
        "standings": drawings.standings(contents),
        "by_cutoff": drawings.by_cutoff(contents),
        "by_group": drawings.by_group(contents),
        "cost": drawings.cost(contents),
        "training": drawings.training(contents),
    }


def _variables(palette: Mapping[str, str]) -> str:
    return " ".join(f"--{name}: {colour};" for name, colour in palette.items())


def _date(created: str) -> str:
    """Example: "2026-11-21T12:40:23+00:00" -> "21 November 2026, 12:40 UTC"."""
    when = datetime.fromisoformat(created)
    return f"{when.day} {when:%B %Y, %H:%M} {when:%Z}".strip()
