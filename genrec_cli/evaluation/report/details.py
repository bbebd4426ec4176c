"""The tables behind the results: hybrids beside their parents, groups of users, seeds."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from genrec_cli.evaluation.report.contents import Contents
from genrec_cli.evaluation.report.tables import METRICS, Cell, Row, Table
from genrec_cli.evaluation.report.wording import (
    NOTHING,
    counted,
    interval,
    listed,
    number,
    plain,
    signed,
)


class Slice(NamedTuple):
    """Groups of users by one property: its name, how many groups, and a table for each metric."""

    name: str
    groups: int
    tables: Sequence[Table]


def hybrids(contents: Contents) -> Table | None:
    """Each hybrid beside both parents; None where there is none."""
    metric = contents.primary
    values = {row["system"]: row[metric] for row in contents.rows}
    table = []
    for row in contents.rows:
        if row["kind"] != "hybrid":
            continue
        parents = [Cell(number(values.get(parent))) for parent in row["parents"]]
        known = [values[parent] for parent in row["parents"] if parent in values]
        gain = signed(row[metric] - max(known)) if known else NOTHING
        own = Cell(number(row[metric]), interval(row.get(f"{metric}_ci")))
        table.append(Row(row["system"], listed(row["parents"]), [*_two(parents), own, Cell(gain)]))
    if not table:
        return None
    caption = f"{metric} of each hybrid beside what it is made of; the gain is over the better one."
    return Table(caption, ["Hybrid", "First part", "Second part", "Together", "Gain"], table)


def _two(cells: Sequence[Cell]) -> list[Cell]:
    return [*cells, Cell(NOTHING), Cell(NOTHING)][:2]


def slices(contents: Contents) -> list[Slice]:
    """Every property that users were grouped by."""
    return [
        Slice(
            found["name"],
            len(bins),
            [_slice_table(contents, found["name"], bins, metric) for metric in metrics],
        )
        for found in contents.manifest.get("slices") or []
        if (bins := filled(found)) and (metrics := _metrics_of(contents, bins))
    ]


def filled(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The groups of a slice that have users and figures; none where they are not two."""
    bins = [group for group in found["bins"] if group["users"] and group["systems"]]
    return bins if len(bins) > 1 else []


def _metrics_of(contents: Contents, bins: Sequence[Mapping[str, Any]]) -> list[str]:
    """The primary metric and the hit rate at the largest cutoff, where they were measured."""
    measured = {key for group in bins for one in group["systems"].values() for key in one}
    shown = dict.fromkeys([contents.primary, f"HR@{contents.cutoff}"])
    return [metric for metric in shown if metric in measured]


def _slice_table(
    contents: Contents, name: str, bins: Sequence[Mapping[str, Any]], metric: str
) -> Table:
    table = []
    for row in contents.rows:
        found = [group["systems"].get(row["system"], {}) for group in bins]
        cells = [Cell(number(one.get(metric)), interval(one.get(f"{metric}_ci"))) for one in found]
        table.append(Row(row["system"], "", cells))
    head = ["System", *(f"{group['label']}: {counted(group['users'], 'user')}" for group in bins)]
    return Table(f"{metric} by {name}.", head, table)


def seeds(contents: Contents) -> Table | None:
    """Means and standard deviations over seeds; None where each system had one seed."""
    metrics = [f"{name}@{contents.cutoff}" for name in METRICS]
    several = [
        Row(row["system"], f"seeds {plain(row.get('seeds'))}", _spreads(row, metrics))
        for row in contents.rows
        if any(f"{metric}_sd" in row for metric in metrics)
    ]
    groups = [
        Row(
            ", ".join(group["systems"]),
            "runs that differ in their seed only",
            _spreads(group, metrics),
        )
        for group in contents.manifest.get("seed_groups") or []
    ]
    if not several and not groups:
        return None
    caption = "Mean over seeds ± standard deviation between them."
    return Table(caption, ["System", *metrics], [*several, *groups])


def _spreads(row: Mapping[str, Any], metrics: Sequence[str]) -> list[Cell]:
    return [
        Cell(f"{number(row[metric])} ± {number(row.get(f'{metric}_sd'))}")
        if metric in row
        else Cell(NOTHING)
        for metric in metrics
    ]
