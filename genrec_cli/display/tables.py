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
    from genrec_cli.commands.bench import BenchReport
    from genrec_cli.commands.export import ExportReport
    from genrec_cli.commands.finetune import FinetuneReport, PlanReport
    from genrec_cli.commands.predict import PredictReport
    from genrec_cli.commands.prepare import PrepareReport
    from genrec_cli.data.rawlog import TimeUnit

_HISTORY_SHOWN = 10
_NOT_EXACT = "The search{} was not exact: another title may belong here."

_NOTHING = "Nothing that was written is a title that may be recommended."


def prepared(report: "PrepareReport") -> RenderableType:
    """The funnel, the data card, and what to do next."""
    manifest = report.manifest
    funnel = _table(f"Dataset {report.folder.name}", "step", "events", "users", "items")
    for stage in manifest["funnel"]:
        funnel.add_row(stage["step"], *(f"{stage[key]:,}" for key in ("rows", "users", "items")))
    title = "What to know before reading results"
    card = _table(title, "what", "how much", "what it means", right=False)
    for finding in manifest["audit"]["findings"]:
        style = "yellow" if finding["warns"] else ""
        name, value = Text(finding["name"], style=style), Text(finding["value"], style=style)
        card.add_row(name, value, Text(finding["meaning"], style="" if style else "dim"))
    lines = [f"Cite: {manifest['citation']}"] if manifest["citation"] else []
    cut = manifest["cut"]
    if cut:
        begins = [_moment(cut[part], manifest["time_unit"]) for part in ("validation", "test")]
        lines.append(f"Validation begins at {begins[0]}, test at {begins[1]}.")
    return Group(funnel, card, *map(Text, lines), _next(report.folder, "genrec finetune"))


def exported(report: "ExportReport") -> RenderableType:
    """What was written, and where."""
    text = f"{report.dataset} as {report.format}: {', '.join(report.files)}"
    return Group(Text(text), Text(f"written to {report.folder}", style="dim"))


def _moment(time: int, unit: "TimeUnit") -> str:
    """A point in time, in UTC."""
    return f"{datetime.fromtimestamp(time / PER_SECOND[unit], UTC):%Y-%m-%d %H:%M}"


def planned(report: "PlanReport") -> RenderableType:
    """What a run will train on and take, before it is loaded."""
    job, plan = report.job, report.plan
    table = _table(f"Plan: {job.source.name} on {job.dataset.name}", "what", "how much")
    rows = {
        "windows of history": f"{plan.windows:,}",
        "targets an epoch": f"{plan.targets:,}",
        "tokens an epoch": f"{plan.tokens:,}",
        "optimiser steps": f"{plan.steps:,} of {job.settings.batch_size} windows",
        "parameters, trained": f"{plan.parameters:,}, {plan.trainable:,}",
        "device": f"{report.place.device}, {str(report.place.dtype).removeprefix('torch.')}",
        "memory, estimated": f"{plan.memory_gb['total']:.1f} GB of {plan.available_gb:.1f} GB free",
        "time, estimated": f"{_duration(plan.hours)} and evaluations",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    if plan.fits:
        return table
    warning = (
        "This may not fit: lower --micro-batch-size or max_length, or load with --quantize nf4."
    )
    return Group(table, Text(warning, style="bold yellow"))


def plan_with_origins(report: "PlanReport") -> RenderableType:
    """The plan, its memory by part, and where each setting came from."""
    memory = _table("Memory, estimated", "part", "GB")
    for part, size in report.plan.memory_gb.items():
        memory.add_row(part, f"{size:.2f}")
    settings = _table("Settings", "name", "value", "from", right=False)
    for name, entry in report.document()["settings"].items():
        origin = entry["from"]
        style = "dim" if origin == "default" else ""
        settings.add_row(name, Text(str(entry["value"])), Text(origin), style=style)
    return Group(planned(report), memory, settings)


def finetuned(report: "FinetuneReport") -> RenderableType:
    """What training reached, and what to do next."""
    manifest = report.manifest
    trained = manifest["trained"]
    table = _table(f"Run {report.folder.name}", "what", "value")
    rows = {
        "validation loss before": f"{trained['loss_before']:.3f} nats a title",
        "validation loss, best": f"{trained['loss']:.3f} nats a title, "
        f"at step {trained['best_step']} of {trained['steps']}",
        "wall time": _duration(manifest["wall_seconds"] / 3600),
        "peak memory": f"{manifest['peak_gb']:.1f} GB",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return Group(table, _next(report.folder, "genrec predict --user ID   and   genrec bench"))


def predicted(report: "PredictReport") -> RenderableType:
    """One table a person: what she chose, and what comes next; or where it was written."""
    if report.output is not None:
        said = Text(f"{len(report.users):,} users, k = {report.k}, written to {report.output}")
        cut = sum(not user["exact"] for user in report.users)
        return Group(said, Text(_NOT_EXACT.format(f" for {cut:,} of them"), "dim")) if cut else said
    people = (part for user in report.users for part in _person(user))
    return Group(*people, Text(f"run {report.run}", style="dim"))


def benched(report: "BenchReport") -> RenderableType:
    """Systems by metrics, with intervals, times and the protocol below."""
    rows = report.manifest["rows"]
    metrics = [key for key in rows[0] if "@" in key and not key.endswith("_ci")]
    # Lists are whole and without repeats, unless titles were generated freely.
    shares = [key for key in metrics if key.startswith(("valid", "unique"))]
    metrics = [key for key in metrics if key not in shares or any(row[key] < 1 for row in rows)]
    protocol = report.manifest["protocol"]
    title = f"{report.manifest['dataset']}: {protocol['users']:,} users, {protocol['split']}"
    table = _table(title, "system", *metrics, "seconds")
    best = {metric: max(row[metric] for row in rows) for metric in metrics}
    for row in rows:
        table.add_row(
            Text(row["system"]),
            *(_cell(row, metric, best[metric]) for metric in metrics),
            f"{row['fit_seconds']:.0f}+{row['rank_seconds']:.0f}",
        )
    ties = protocol["time_ties"]
    notes = (
        f"Full ranking of {protocol['items']:,} items, {protocol['candidates']}; score ties by "
        f"expected value; 95 % bootstrap intervals below each figure; seconds to fit (or load) "
        f"and to rank.\n"
        f"Time ties by {ties['rule']}: they decide the test item of {ties['share']:.1%} of users."
    )
    return Group(table, Text(notes, style="dim"), Text(f"written to {report.folder}", style="dim"))


def _cell(row: Mapping[str, Any], metric: str, best: float) -> Text:
    if f"{metric}_ci" not in row:
        return Text(f"{row[metric]:.4f}")
    low, high = row[f"{metric}_ci"]
    style = "bold green" if row[metric] == best else ""
    # Without the leading zeros four figures fit beside each other in 80 columns.
    interval = Text(f"\n{low:.4f}–{high:.4f}".replace("0.", "."), style="dim")
    return Text(f"{row[metric]:.4f}", style=style).append_text(interval)


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


def _table(title: str, first: str, *others: str, right: bool = True) -> Table:
    # Text, here and wherever a name or a title is shown: a string's [brackets] would be markup.
    table = Table(title=Text(title, style="bold"), title_justify="left", header_style="bold")
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right" if right else "left")
    return table


def _next(folder: Any, command: str) -> Text:
    return Text(f"written to {folder}; next: {command}", style="dim")


def _duration(hours: float) -> str:
    minutes = hours * 60
    if minutes < 1:
        return f"{minutes * 60:.0f} s"
    return f"{minutes:.0f} min" if minutes < 120 else f"{hours:.1f} h"
