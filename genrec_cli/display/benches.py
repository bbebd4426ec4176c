"""Two earlier benches as people read them."""

from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from genrec_cli.commands.compare import CompareReport
from genrec_cli.display.tables import short, titled_table
from genrec_cli.evaluation.earlier.changes import Change
from genrec_cli.evaluation.evidence.comparison import LEVEL
from genrec_cli.evaluation.summaries.content import LEAKS, LEAKY

_LONGEST: Final = 40  # letters of a value; a hash is longer


def compared(report: CompareReport) -> RenderableType:
    """Differences by system and metric, whom they are of, and what else is not the same."""
    primary = report.primary
    others = [metric for metric in report.metrics if metric != primary]
    title = f"{report.first.dataset}: {report.users['paired']:,} paired users"
    heads = (f"{primary} A", "B", "B − A", "95 % interval", "p, Holm", *others)
    table = titled_table(title, "system", *heads)
    for system, changes in report.changes.items():
        table.add_row(
            Text(system).append(LEAKY if system in report.leaky else "", "bold yellow"),
            *_in_full(changes[primary]),
            *(_signed(changes[name]) for name in others),
        )
    told = report.leaky & report.changes.keys()
    leaks = [Text(f"{LEAKS}.", style="bold yellow")] if told else []
    notes = Text("\n".join(_notes(report)), style="dim")
    return Group(table, *leaks, notes, *_different(report))


def _in_full(change: Change) -> list[Text]:
    low, high = change.ci
    figures = [short(f"{change.first:.4f}"), short(f"{change.second:.4f}")]
    interval = f"{short(f'{low:+.4f}')} … {short(f'{high:+.4f}')}"
    p = short(f"{change.p_holm:.4f}")
    return [*map(Text, figures), _signed(change), Text(interval), Text(p)]


def _signed(change: Change) -> Text:
    """A difference; a star, and a colour, where it is significant."""
    text = short(f"{change.difference:+.4f}")
    if change.p_holm >= LEVEL:
        return Text(f"{text} ")
    return Text(f"{text}*", style="green" if change.difference > 0 else "red")


def _notes(report: CompareReport) -> list[str]:
    users = report.users
    unequal = users["in_both"] - users["paired"]
    who = f"{users['in_both']:,} are in both"
    if unequal:
        who += f", {unequal:,} of them with another target and left out"
    lines = [
        f"A: {report.first.name}, {users['first']:,} users; B: {report.second.name}, "
        f"{users['second']:,}; {who}.",
        f"Figures are of the paired users; other metrics show B − A. * p < {short(str(LEVEL))} in "
        "a paired randomisation test with Holm's correction over the systems of a metric.",
    ]
    for bench, systems in (("A", report.only_first), ("B", report.only_second)):
        if systems:
            lines.append(f"Only in {bench}: {', '.join(systems)}.")
    return lines


def _different(report: CompareReport) -> list[RenderableType]:
    if not report.differs:
        return [Text("Protocol, versions and settings are the same.", style="dim")]
    table: Table = titled_table("What else differs", "of", "what", "A", "B", right=False)
    for difference in report.differs:
        cells = (difference.about, difference.what, difference.first, difference.second)
        table.add_row(*(Text(_value(cell)) for cell in cells))
    return [table]


def _value(value: Any) -> str:
    text = "–" if value is None else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
