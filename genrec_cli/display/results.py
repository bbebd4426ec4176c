"""The results of a bench as people read them: the best first, and what may be concluded."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from genrec_cli.commands.bench import BenchReport
from genrec_cli.display.tables import short, titled_table
from genrec_cli.evaluation.evidence.comparison import LEVEL
from genrec_cli.evaluation.summaries.content import LEAKS, mark_of

_Row = Mapping[str, Any]


def benched(report: BenchReport) -> RenderableType:
    """Systems by metrics, the difference from the reference, times, and the protocol below."""
    manifest = report.manifest
    protocol, primary = manifest["protocol"], manifest["protocol"]["primary"]
    rows = sorted(manifest["rows"], key=lambda row: -row[primary])
    metrics = [f"{name}@{k}" for k in protocol["cutoffs"] for name in ("HR", "NDCG")]
    shares = _shares(rows, protocol["cutoffs"])
    tests = {row["system"]: row for row in manifest["comparisons"]["rows"]}
    reference = manifest["comparisons"]["reference"]
    versus = [f"− {reference}"] if tests else []
    title = f"{manifest['dataset']}: {protocol['users']:,} users, {protocol['split']}"
    heads = [*metrics, "95 % CI", *versus, *shares, "seconds"]
    table = titled_table(title, "system", *heads)
    for place in range(1, len(metrics) + 2):
        table.columns[place].no_wrap = True  # on a narrow terminal names give way, not figures
    best = {metric: max(row[metric] for row in rows) for metric in metrics}
    for row in rows:
        table.add_row(
            Text(row["system"]).append(mark_of(row), "bold yellow"),
            *(_figure(row[name], bold=row[name] == best[name]) for name in metrics),
            Text(_interval(row[f"{primary}_ci"]), style="dim"),
            *([_difference(tests.get(row["system"]))] if tests else []),
            *(_figure(row[name], bold=False) for name in shares),
            Text(f"{row['fit_seconds']:.0f}+{row['rank_seconds']:.0f}"),
        )
    notes = Text("\n".join([*_protocol(protocol, primary), *_evidence(manifest)]), style="dim")
    leaks = [Text(f"{LEAKS}.", style="bold yellow")] if any(map(mark_of, rows)) else []
    return Group(table, *leaks, notes, Text(f"written to {report.folder}; look at its report.html"))


def _shares(rows: Sequence[_Row], cutoffs: Sequence[int]) -> list[str]:
    """Lists are whole and without repeats, unless titles were generated freely."""
    names = [f"{name}@{k}" for k in cutoffs for name in ("valid", "unique")]
    return [name for name in names if any(row[name] < 1 for row in rows)]


def _figure(value: float, *, bold: bool) -> Text:
    return Text(short(f"{value:.4f}"), style="bold green" if bold else "")


def _interval(ends: Sequence[float]) -> str:
    low, high = ends
    return f"{short(f'{low:.4f}')}–{short(f'{high:.4f}')}"


def _difference(test: _Row | None) -> Text:
    """From the reference; a star, and a colour, where it is significant."""
    if test is None:
        return Text("")
    text = short(f"{test['difference']:+.4f}")
    if test["p_holm"] >= LEVEL:
        return Text(f"{text} ")
    return Text(f"{text}*", style="green" if test["difference"] > 0 else "red")


def _protocol(protocol: Mapping[str, Any], primary: str) -> list[str]:
    ties = protocol["time_ties"]
    return [
        f"Full ranking of {protocol['items']:,} items, {protocol['candidates']}; score ties by "
        f"expected value; interval: of {primary}, bootstrap; seconds to fit (or load) and to rank.",
        f"Time ties by {ties['rule']}: they decide the test item of {ties['share']:.1%} of users.",
    ]


def _evidence(manifest: Mapping[str, Any]) -> list[str]:
    compared = manifest["comparisons"]
    if not compared["rows"]:
        return []
    line = (
        f"* differs from {compared['reference']} (paired randomisation test, Holm, "
        f"p < {short(str(LEVEL))})."
    )
    if compared["detectable"] is not None:
        reach = short(f"{compared['detectable']:.4f}")
        line += f" So many users show a true difference of {reach} 8 times in 10."
    groups = [
        f"{', '.join(group['systems'])} over seeds: {primary} {short(f'{group[primary]:.4f}')} "
        f"± {short(f'{deviation:.4f}')}."
        for group in manifest["seed_groups"]
        for primary in [manifest["protocol"]["primary"]]
        for deviation in [group[f"{primary}_sd"]]
    ]
    return [line, *groups]
