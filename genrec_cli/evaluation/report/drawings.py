"""The charts of the report, as inline SVG."""

from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup

from genrec_cli.evaluation.charts.axes import round_ticks
from genrec_cli.evaluation.charts.dots import Mark, dot_plot
from genrec_cli.evaluation.charts.lines import Series, line_chart
from genrec_cli.evaluation.charts.scatter import Dot, scatter
from genrec_cli.evaluation.charts.svg import inline
from genrec_cli.evaluation.charts.training import training_curve
from genrec_cli.evaluation.report.contents import Contents
from genrec_cli.evaluation.report.details import filled
from genrec_cli.evaluation.report.tables import seconds_per_thousand

_MANY_CUTOFFS = 100  # lines have no more points
_CUTOFF_TICKS = 6


def colours(contents: Contents) -> dict[str, str]:
    """Systems that stand out: the best, the reference, runs and hybrids; the rest is grey."""
    best, reference = contents.rows[0]["system"], contents.comparisons.get("reference")
    found = {}
    for row in contents.rows:
        ours = row["kind"] in {"run", "hybrid"}
        colour = "purple" if row["system"] == reference else "blue" if ours else "grey"
        found[row["system"]] = "orange" if row["system"] == best else colour
    return found


def key(contents: Contents) -> dict[str, str]:
    """What the colours mean, those that are there; nothing for a system alone."""
    same = contents.rows[0]["system"] == contents.comparisons.get("reference")
    meanings = {
        "orange": "the best, and the reference" if same else "the best",
        "purple": "the reference",
        "blue": "runs and hybrids",
        "grey": "other systems",
    }
    there = set(colours(contents).values())
    return {c: words for c, words in meanings.items() if c in there and len(contents.rows) > 1}


def standings(contents: Contents) -> list[Markup]:
    """The primary metric, and the hit rate at the largest cutoff, by system with intervals."""
    metrics = dict.fromkeys([contents.primary, f"HR@{contents.cutoff}"])
    return [_dots(contents, metric) for metric in metrics if metric in contents.rows[0]]


def _dots(contents: Contents, metric: str) -> Markup:
    colour = colours(contents)
    words = ", with 95 % intervals" if f"{metric}_ci" in contents.rows[0] else ""
    marks = [
        Mark(row["system"], row[metric], _ends(row, metric), colour[row["system"]])
        for row in sorted(contents.rows, key=lambda row: -row[metric])
    ]
    return _drawn(dot_plot(f"{metric}{words}", marks))


def by_cutoff(contents: Contents) -> list[Markup]:
    """Each metric by the length of the list."""
    found = contents.manifest.get("by_k") or {}
    names = dict.fromkeys(name for metrics in found.values() for name in metrics)
    return [_by_cutoff(contents, found, name) for name in names]


def _by_cutoff(contents: Contents, found: Mapping[str, Any], name: str) -> Markup:
    last = max(len(metrics[name]) for metrics in found.values())
    every = -(-last // _MANY_CUTOFFS)
    figures = {
        system: {k: metrics[name][k - 1] for k in range(1, len(metrics[name]) + 1, every)}
        for system, metrics in found.items()
    }
    round_ones = [
        int(tick) for tick in round_ticks(0, max(last, 2), _CUTOFF_TICKS) if tick % 1 == 0
    ]
    ticks = {
        k: [str(k)]
        for k in {1, *round_ones, last}
        if 1 <= k <= last and (k in (1, last) or k < 0.93 * last)
    }
    return _drawn(line_chart(f"{name}@k, by k", ticks, _series(contents, figures, {})))


def by_group(contents: Contents) -> list[Markup]:
    """The primary metric by each property that makes two groups of users or more."""
    found = [(one["name"], filled(one)) for one in contents.manifest.get("slices") or []]
    charts = []
    for name, bins in found:
        figures, ends = _grouped(bins, contents.primary)
        if figures:
            ticks = {at: _tick(group) for at, group in enumerate(bins)}
            title = f"{contents.primary} by {name} (users below)"
            charts.append(_drawn(line_chart(title, ticks, _series(contents, figures, ends))))
    return charts


def _grouped(
    bins: Iterable[Mapping[str, Any]], metric: str
) -> tuple[dict[str, dict[int, float]], dict[str, dict[int, tuple[float, float]]]]:
    """Figures and intervals of each system, by the place of the group."""
    figures: dict[str, dict[int, float]] = {}
    intervals: dict[str, dict[int, tuple[float, float]]] = {}
    for place, group in enumerate(bins):
        for system, row in group["systems"].items():
            if row.get(metric) is not None:
                figures.setdefault(system, {})[place] = row[metric]
            if (ends := _ends(row, metric)) is not None:
                intervals.setdefault(system, {})[place] = ends
    return figures, intervals


def _tick(group: Mapping[str, Any]) -> list[str]:
    """A group's name, what stands in brackets in it below, then its number of users."""
    name, bracket, rest = group["label"].partition(" (")
    return [name, *([f"({rest}"] if bracket else []), _short(group["users"])]


def _short(users: int) -> str:
    """Example: 6040 -> "6,040", 161234 -> "161k"."""
    return f"{users:,}" if users < 10_000 else f"{users / 1000:,.0f}k"


def _series(
    contents: Contents,
    figures: Mapping[str, Mapping[int, float]],
    intervals: Mapping[str, Mapping[int, tuple[float, float]]],
) -> list[Series]:
    """One line a system, the grey ones lowest and the best on top."""
    order = ["grey", "blue", "purple", "orange"]
    colour = colours(contents)
    lines = [
        Series(name, figures[name], colour[name], intervals.get(name, {}))
        for name in reversed(colour)
        if name in figures
    ]
    return sorted(lines, key=lambda line: order.index(line.colour))


def cost(contents: Contents) -> Markup:
    """The primary metric against the time that a thousand users take."""
    colour, metric = colours(contents), contents.primary
    dots = [
        Dot(
            row["system"],
            seconds_per_thousand(row),
            row[metric],
            colour[row["system"]],
        )
        for row in contents.rows
    ]
    return _drawn(scatter(f"{metric} against cost", "seconds to rank 1,000 users", dots))


def training(contents: Contents) -> list[Markup]:
    """The training curve of every system that has one."""
    return [
        _drawn(training_curve(lines, f"Training of {name}"))
        for name, lines in contents.curves.items()
        if lines
    ]


def _ends(row: Mapping[str, Any], metric: str) -> tuple[float, float] | None:
    ends = row.get(f"{metric}_ci")
    return (ends[0], ends[1]) if ends else None


def _drawn(svg: str) -> Markup:
    return Markup(inline(svg))  # every text in it is escaped by charts.svg
