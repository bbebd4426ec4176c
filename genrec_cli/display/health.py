"""The doctor's report as people read it, and can paste it into an issue."""

from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from genrec_cli.commands.doctor import DoctorReport

_MARKS: Final = {
    "ok": Text("ok", style="green"),
    "advice": Text("advice", style="yellow"),
    "problem": Text("problem", style="bold red"),
}


def examined(report: DoctorReport) -> RenderableType:
    """Versions on one line, then what was looked at and what to do."""
    table = Table(header_style="bold", show_edge=False, pad_edge=False)
    for name in ("looked at", "state", "found", "what to do"):
        table.add_column(name)
    for finding in report.findings:
        table.add_row(finding.topic, _MARKS[finding.state], finding.seen, finding.fix)
    versions = "  ".join(f"{name} {version}" for name, version in report.versions.items())
    return Group(Text(versions, style="dim"), Text(), table)
