"""Reports as people read them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from genrec_cli.data.rawlog import PER_SECOND
from genrec_cli.display.explanations import explained

if TYPE_CHECKING:  # for they import torch, which `prepare` has no need to wait for
    from genrec_cli.commands.export import ExportReport
    from genrec_cli.commands.handover import HandoverReport
    from genrec_cli.commands.predict import PredictReport
    from genrec_cli.commands.prepare import PrepareReport
    from genrec_cli.data.rawlog import TimeUnit

_HISTORY_SHOWN = 10
_NOT_EXACT = "The search{} was not exact: another title may belong here."

_NOTHING = "Nothing that was written is a title that may be recommended."


def prepared(report: "PrepareReport") -> RenderableType:
    """The funnel, the data card, and what to do next."""
    manifest = report.manifest
    funnel = titled_table(f"Dataset {report.folder.name}", "step", "events", "users", "items")
    for stage in manifest["funnel"]:
        funnel.add_row(stage["step"], *(f"{stage[key]:,}" for key in ("rows", "users", "items")))
    title = "What to know before reading results"
    card = titled_table(title, "what", "how much", "what it means", right=False)
    for finding in manifest["audit"]["findings"]:
        style = "yellow" if finding["warns"] else ""
        name, value = Text(finding["name"], style=style), Text(finding["value"], style=style)
        card.add_row(name, value, Text(finding["meaning"], style="" if style else "dim"))
    lines = [f"Cite: {manifest['citation']}"] if manifest["citation"] else []
    cut = manifest["cut"]
    if cut:
        begins = [_moment(cut[part], manifest["time_unit"]) for part in ("validation", "test")]
        lines.append(f"Validation begins at {begins[0]}, test at {begins[1]}.")
    return Group(funnel, card, *map(Text, lines), next_step(report.folder, "genrec finetune"))


def exported(report: "ExportReport") -> RenderableType:
    """What was written, and where."""
    text = f"{report.dataset} as {report.format}: {', '.join(report.files)}"
    return Group(Text(text), Text(f"written to {report.folder}", style="dim"))


def handed_over(report: "HandoverReport") -> RenderableType:
    """What was written, and where; its README says the rest."""
    text = f"run {report.run} as {report.format}: {', '.join(report.files)}"
    where = f"written to {report.folder}; next: read its README.md"
    return Group(Text(text), Text(where, style="dim"))


def _moment(time: int, unit: "TimeUnit") -> str:
    """A point in time, in UTC."""
    return f"{datetime.fromtimestamp(time / PER_SECOND[unit], UTC):%Y-%m-%d %H:%M}"


def predicted(report: "PredictReport") -> RenderableType:
    """One table a person: what she chose, and what comes next; or where it was written."""
    if report.output is not None:
        said = Text(f"{len(report.users):,} users, k = {report.k}, written to {report.output}")
        cut = sum(not user["exact"] for user in report.users)
        return Group(said, Text(_NOT_EXACT.format(f" for {cut:,} of them"), "dim")) if cut else said
    people = (part for user in report.users for part in _person(user))
    return Group(*people, Text(f"run {report.run}", style="dim"))


def _person(user: Mapping[str, Any]) -> Iterator[RenderableType]:
    history: Sequence[str] = user["history"]
    shown = list(history[-_HISTORY_SHOWN:])
    left = f"User {user['user_id']}: {len(history)} titles so far"
    if len(history) > len(shown):
        left += f", the last {len(shown)}"
    table = Table(title_justify="left", header_style="bold", show_edge=False, pad_edge=False)
    table.add_column(Text(left), style="dim")
    table.add_column("", justify="right")
    table.add_column("Recommended next")
    table.add_column("log p", justify="right")
    entries = user["recommendations"]
    for line in range(max(len(shown), len(entries))):
        entry = entries[line] if line < len(entries) else None
        table.add_row(
            Text(shown[line] if line < len(shown) else ""),
            str(entry["rank"]) if entry else "",
            Text(entry["title"] if entry else ""),
            f"{entry['score']:.2f}" if entry else "",
        )
    yield table
    if not user["exact"]:
        yield Text(_NOT_EXACT.format("") if entries else _NOTHING, style="dim")
    yield from explained(entries)


def titled_table(title: str, first: str, *others: str, right: bool = True) -> Table:
    """An empty table; columns but the first stand to the right."""
    # Text, here and wherever a name or a title is shown: a string's [brackets] would be markup.
    table = Table(title=Text(title, style="bold"), title_justify="left", header_style="bold")
    table.add_column(first, overflow="fold")
    for name in others:
        # Folded where it is too long: half a figure would be a wrong one.
        table.add_column(Text(name), justify="right" if right else "left", overflow="fold")
    return table


def next_step(folder: Any, command: str) -> Text:
    """Where something was written, and what to do with it."""
    return Text(f"written to {folder}; next: {command}", style="dim")


def short(number: str) -> str:
    """Without the zero before the point, so that more figures fit beside each other.

    Example:
        >>> short("0.0640"), short("-0.0012"), short("1.0000")
        ('.0640', '-.0012', '1.0000')
    """
    return number.replace("0.", ".", 1) if number.lstrip("+-").startswith("0.") else number
