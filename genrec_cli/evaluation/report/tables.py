"""The tables of results: every system by every metric, with intervals."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from genrec_cli.evaluation.report.contents import Contents
from genrec_cli.evaluation.report.summary import verdict
from genrec_cli.evaluation.report.wording import (
    counted,
    interval,
    number,
    probability,
    seconds,
    share,
    signed,
    signed_interval,
)

METRICS = ("HR", "NDCG", "MRR")
_BEYOND = {
    "coverage": "Coverage",
    "gini": "Gini",
    "novelty": "Novelty",
    "popularity_lift": "Popularity lift",
    "diversity": "Diversity",
}
_LEAST_SECONDS = 0.001
_VALIDITY = {"valid": "Valid", "unique": "Unique"}


class Cell(NamedTuple):
    """One figure, what stands small below it, and whether it is the best of its column."""

    text: str
    note: str = ""
    best: bool = False


class Row(NamedTuple):
    """One line of a table.

    Attributes:
        name: its heading.
        note: what stands small below the heading.
        cells: one a column.
    """

    name: str
    note: str
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Table:
    """A table whose first column names its lines.

    Attributes:
        caption: what it shows.
        head: headings, the first column's too.
        rows: its lines.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Row]


def results(contents: Contents) -> Table:
    """Systems by metrics, with intervals and cost; the best figure of each metric is marked."""
    rows = contents.rows
    metrics = [
        f"{name}@{k}"
        for k in contents.manifest["protocol"]["cutoffs"]
        for name in METRICS
        if any(f"{name}@{k}" in row for row in rows)
    ]
    best = {metric: max(row.get(metric, 0.0) for row in rows) for metric in metrics}
    table = []
    for row in rows:
        cells = [
            _metric(row, metric, best[metric] if len(rows) > 1 else None) for metric in metrics
        ]
        cells += [Cell(seconds(row[key])) for key in ("fit_seconds", "rank_seconds")]
        table.append(Row(row["system"], kind(row), [*cells, Cell(number(row["peak_gb"], 1))]))
    return Table(
        _results_caption(contents),
        ["System", *metrics, "Fit s", "Rank s", "Peak GB"],
        table,
    )


def _results_caption(contents: Contents) -> str:
    first = contents.rows[0]
    below = ", with 95 % intervals below" if first.get(f"{contents.primary}_ci") else ""
    order = (
        f"; ordered by {contents.primary}. The best of each metric is bold and underlined"
        if len(contents.rows) > 1
        else ""
    )
    return (
        f"Means over {counted(first['users'], 'user')}{below}{order}. Seconds to fit, or to load "
        "a run, and to rank all users; the largest memory meanwhile."
    )


def kind(row: Mapping[str, Any]) -> str:
    """What a system is, where it is no baseline, whether it was fitted before, and its ids leak."""
    words = {"baseline": "", "run": "fine-tuned run", "hybrid": "hybrid"}[row["kind"]]
    cached = "from cache" if row.get("cached") else ""
    return ", ".join(filter(None, [words, cached, leaky(row)]))


def leaky(row: Mapping[str, Any]) -> str:
    """What stands below the name of a system whose item ids give answers away; else nothing."""
    return "⚠ leaky ids" if row.get("leaky_ids") else ""


def _metric(row: Mapping[str, Any], metric: str, best: float | None) -> Cell:
    value = row.get(metric)
    ends = interval(row.get(f"{metric}_ci"))
    return Cell(number(value), ends, best is not None and best > 0 and value == best)


def cost(contents: Contents) -> Table:
    """Time to rank, from the cheapest on."""
    rows = sorted(contents.rows, key=seconds_per_thousand)
    table = []
    for row in rows:
        cells = [Cell(number(row[contents.primary])), Cell(seconds(seconds_per_thousand(row)))]
        table.append(Row(row["system"], "", cells))
    head = ["System", contents.primary, "Seconds for 1,000 users"]
    return Table("Time to rank the whole catalog, the cheapest first.", head, table)


def seconds_per_thousand(row: Mapping[str, Any]) -> float:
    """Wall time of ranking for 1,000 users; above 0, as it was rounded to milliseconds."""
    return max(float(row["rank_seconds"]), _LEAST_SECONDS) / int(row["users"]) * 1000


def beyond_accuracy(contents: Contents) -> Table | None:
    """What the lists are like apart from their hits; None where nothing was measured."""
    rows, cutoff = contents.rows, contents.cutoff
    shown = {f"{key}@{cutoff}": words for key, words in _BEYOND.items()}
    shown = {key: words for key, words in shown.items() if _known(rows, key)}
    shares = {f"{key}@{cutoff}": words for key, words in _VALIDITY.items()} | {"exact": "Exact"}
    shares = {
        key: words for key, words in shares.items() if any(row.get(key, 1) < 1 for row in rows)
    }
    if not shown and not shares:
        return None
    table = []
    for row in rows:
        cells = [Cell(number(row.get(key), 3)) for key in shown]
        table.append(Row(row["system"], "", cells + [Cell(share(row.get(key))) for key in shares]))
    caption = f"The first {cutoff} of every list, apart from its hits; in the order of the results."
    return Table(caption, ["System", *shown.values(), *shares.values()], table)


def _known(rows: Iterable[Mapping[str, Any]], key: str) -> bool:
    return any(row.get(key) is not None for row in rows)


def comparisons(contents: Contents) -> Table | None:
    """Differences from the reference; None where nothing was compared."""
    found = contents.comparisons
    if not found:
        return None
    notes = {row["system"]: leaky(row) for row in contents.rows}
    table = [
        Row(
            row["system"],
            notes.get(row["system"], ""),
            [
                Cell(signed(row["difference"]), signed_interval(row.get("ci"))),
                Cell(verdict(row)),
                Cell(probability(row["p"])),
                Cell(probability(row["p_holm"])),
            ],
        )
        for row in sorted(found["rows"], key=lambda row: -row["difference"])
    ]
    caption = (
        f"{found['metric']} of each system less that of {found['reference']}, the reference, user "
        "by user, with 95 % intervals below. Better and worse: p below 0.05 after Holm’s "
        f"correction for {counted(len(table), 'comparison')}."
    )
    head = ["System", "Difference", "Verdict", "p", "p, Holm"]
    return Table(caption, head, table)
