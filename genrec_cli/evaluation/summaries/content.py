"""What the result table of a bench says, however it is written down."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from genrec_cli.evaluation.evidence.comparison import LEVEL

DAGGER: Final = "†"
LEAKY: Final = "‡"
LEAKS: Final = f"{LEAKY} reads item ids that give answers away: not to be compared with the others"

_Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """A metric at a cutoff, or the interval that stands behind it."""

    metric: str
    k: int
    is_interval: bool = False

    @property
    def key(self) -> str:
        """Name of the metric in `metrics.json`, as in NDCG@10."""
        return f"{self.metric}@{self.k}"


@dataclass(frozen=True)
class Cell:
    """A figure as it is shown.

    Attributes:
        text: four digits without the leading zero; an interval has a dash between its bounds.
        best: whether no system shows more in this column.
        differs: whether the test against the reference says so.
    """

    text: str
    best: bool = False
    differs: bool = False


@dataclass(frozen=True)
class Line:
    """A system and its cells.

    Attributes:
        system: its name.
        depth: 0; one more than its parent's for a hybrid.
        mark: behind its name, where its item ids give answers away; else empty.
        cells: one for each column.
    """

    system: str
    depth: int
    mark: str
    cells: tuple[Cell, ...]


def columns_of(manifest: Mapping[str, Any]) -> list[Column]:
    """Every metric that has intervals, by cutoff; behind the primary one its interval."""
    first = manifest["rows"][0]
    columns = []
    for key in first:
        if f"{key}_ci" in first:
            metric, _, k = key.partition("@")
            columns.append(Column(metric, int(k)))
            if key == manifest["protocol"]["primary"]:
                columns.append(Column(metric, int(k), is_interval=True))
    return sorted(columns, key=lambda column: column.k)


def lines_of(manifest: Mapping[str, Any], columns: Sequence[Column]) -> list[Line]:
    """Systems in the order of `metrics.json`, but hybrids below their first parent."""
    rows = manifest["rows"]
    # What is shown with the same digits as the best is shown as the best, too.
    best = {column: _figure(max(row[column.key] for row in rows)) for column in columns}
    tests = manifest.get("comparisons") or {}
    differing = {(system, tests["metric"]) for system in _differing(tests)}

    def cell(row: _Row, column: Column) -> Cell:
        if column.is_interval:
            low, high = row[f"{column.key}_ci"]
            return Cell(f"{_figure(low)}–{_figure(high)}")
        text = _figure(row[column.key])
        return Cell(text, text == best[column], (row["system"], column.key) in differing)

    return [
        Line(row["system"], depth, mark_of(row), tuple(cell(row, column) for column in columns))
        for row, depth in _below(None, 0, _children(rows))
    ]


def mark_of(row: _Row) -> str:
    """What stands behind a system's name: a mark where its item ids give answers away."""
    return LEAKY if row.get("leaky_ids") else ""


def caption(manifest: Mapping[str, Any]) -> str:
    """How the figures came about, and what the marks mean; dataset first."""
    protocol = manifest["protocol"]
    ties = protocol["time_ties"]
    sentences = [
        f"{manifest['dataset']}: {protocol['users']:,} of {protocol['users_of']:,} users; "
        f"{protocol['split']}; full ranking of {protocol['items']:,} items, "
        f"{protocol['candidates']}",
        f"Time ties by {ties['rule']}, which decides the target of {ties['share']:.1%} of users; "
        f"score ties by {protocol['score_ties']}",
        f"Interval of {protocol['primary']}: {protocol['interval']}",
        "Best in bold",
    ]
    repeated = [row["system"] for row in manifest["rows"] if len(row.get("seeds", ())) > 1]
    if repeated:
        sentences.append(f"Mean of {protocol['seeds']} seeds: {', '.join(repeated)}")
    tests = manifest.get("comparisons") or {}
    if _differing(tests):
        sentences.append(
            f"{DAGGER} differs from {tests['reference']} in {tests['metric']}: paired "
            f"randomisation test, Holm's correction, p < {_short(LEVEL)}"
        )
    if any(map(mark_of, manifest["rows"])):
        sentences.append(LEAKS)
    return f"{'. '.join(sentences)}."


def _children(rows: Sequence[_Row]) -> dict[str | None, list[_Row]]:
    """Rows by the first of their parents that was measured, None for those without one."""
    there = {row["system"] for row in rows}
    children: dict[str | None, list[_Row]] = {}
    for row in rows:
        parents = (parent for parent in row.get("parents", ()) if parent in there)
        children.setdefault(next(parents, None), []).append(row)
    return children


def _below(
    parent: str | None, depth: int, children: Mapping[str | None, Sequence[_Row]]
) -> Iterator[tuple[_Row, int]]:
    for row in children.get(parent, ()):
        yield row, depth
        yield from _below(row["system"], depth + 1, children)


def _differing(tests: Mapping[str, Any]) -> list[str]:
    """Systems that differ from the reference."""
    return [row["system"] for row in tests.get("rows", ()) if row["p_holm"] < LEVEL]


def _figure(value: float) -> str:
    return _short(value, ".4f")


def _short(value: float, shape: str = "") -> str:
    """A number without the zero before its point."""
    return f"{value:{shape}}".removeprefix("0")
