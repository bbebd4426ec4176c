"""Runs as people read them: all in a list, or one in full."""

from collections.abc import Mapping
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from genrec_cli.commands.runs import Entry, RunReport, RunsReport
from genrec_cli.display.tables import titled_table
from genrec_cli.language.record import as_written

_NOTHING: Final = "–"
_STATES: Final[Mapping[str | None, str]] = {"changed": "changed since", "gone": "no longer there"}


def listed(report: RunsReport) -> RenderableType:
    """One row a run, three lines each; below, what could not be read."""
    if not report.entries:
        return Text(f"no runs in {report.root}; next: genrec finetune")
    heads = ("trained on", "finished", "validation", "test, newest bench", "bench")
    table = titled_table("Runs", "run", *heads, right=False)
    for entry in report.entries:
        table.add_row(*_cells(entry))
    broken = [f"{e.record.name}: {e.record.fault}" for e in report.entries if e.record.fault]
    if report.faults:
        more = len(report.faults) - 1
        others = f", and {more:,} more bench{'es' * (more > 1)}" * (more > 0)
        broken.append(f"left out: {report.faults[0]}{others}")
    return Group(table, *(Text(line, style="yellow") for line in broken))


def shown(report: RunReport) -> RenderableType:
    """What a run reached in every bench, what it took, its settings and its files."""
    record = report.entry.record
    about = titled_table(f"Run {record.name}", "what", "value", right=False)
    rows: dict[str, Text] = {
        "dataset": _dataset(report.entry),
        "model": Text(_model(report.entry)),
        "method, items": _method(report.entry),
        **_item_ids(report.entry),
        "trained on": _trained(report.entry),
        "when": _finished(report.entry),
        "untrained": Text(", ".join(_figures(record.value("trained", "before") or {}))),
        "validation, best": Text(", ".join(_figures(record.best))),
        **{name.replace("_", " "): _number(value) for name, value in report.cost.items()},
        "versions": Text(_joined(record.value("versions") or {})),
        "folder": Text(str(record.folder)),
    }
    for name, value in rows.items():
        about.add_row(name, value)
    settings = titled_table("Settings", "name", "value", "from", right=False)
    for name, entry in report.settings.items():
        style = "dim" if entry["from"] == "default" else ""
        settings.add_row(name, Text(str(entry["value"])), Text(entry["from"]), style=style)
    files = titled_table("Files", "path", "bytes")
    for path, size in report.files.items():
        files.add_row(Text(path), f"{size:,}")
    return Group(about, _benches(report), settings, files)


def _benches(report: RunReport) -> RenderableType:
    if not report.measured:
        return Text("In no bench yet; next: genrec bench", style="dim")
    table = titled_table("Benches", "bench", "system", "split", "users", "figures", right=False)
    for row in report.measured:
        figures = [_with_interval(row, key) for key in row if f"{key}_ci" in row]
        names = (row["bench"], row["system"], row["split"], f"{row['users']:,}")
        table.add_row(*map(Text, names), Text("\n".join(figures)))
    return table


def _cells(entry: Entry) -> list[Text]:
    record = entry.record
    name = Text(record.name, style="bold")
    if record.fault:
        damaged = Text("damaged", style="bold red")
        return [name.append(f"\n{record.dataset}", "not bold dim"), Text(), damaged]
    name.append("\n").append_text(_dataset(entry)).append(f", {_model(entry)}", "not bold dim")
    name.append("\n").append_text(_method(entry))
    return [name, _trained(entry), _finished(entry), _validation(entry), *_test(entry)]


def _dataset(entry: Entry) -> Text:
    name = entry.record.dataset
    if entry.data == "same":
        return Text(name, style="not bold dim")
    return Text(f"{name} ({_STATES[entry.data]})", style="not bold yellow")


def _model(entry: Entry) -> str:
    return str(entry.record.value("base", "name"))


def _method(entry: Entry) -> Text:
    """The method, and how items are written, with a warning where that gives answers away."""
    record = entry.record
    method = [record.method, record.value("settings", "objective")]
    known = method if record.method == "genrec" else method[:1]  # others have no objectives
    words = [*(str(word) for word in known if word), as_written(str(record.items))]
    text = Text(", ".join(words), style="not bold dim")
    return text if record.leak is None else text.append(" (leaky)", "yellow not dim")


def _item_ids(entry: Entry) -> dict[str, Text]:
    """What was found of its ids, if it writes any and that is known."""
    record = entry.record
    if record.leak is not None:
        return {"item ids": Text(record.leak, style="yellow")}
    meaning = record.value("item_ids", "meaning")
    return {} if meaning is None else {"item ids": Text(str(meaning))}


def _trained(entry: Entry) -> Text:
    record = entry.record
    lines = [] if record.epochs is None else [f"{record.epochs:.2f} epochs"]
    lines += [] if record.steps is None else [f"{record.steps:,} steps"]
    text = Text(", ".join(lines) or _NOTHING)
    return text if record.targets is None else text.append(f"\n{record.targets:,} targets", "dim")


def _finished(entry: Entry) -> Text:
    record = entry.record
    when = Text(record.created[:16].replace("T", " "))
    if record.state == "unfinished":
        when = Text("unfinished\n", style="bold yellow").append_text(when)
    return when if record.seconds is None else when.append(f"\n{_duration(record.seconds)}", "dim")


def _validation(entry: Entry) -> Text:
    return Text("\n".join(_figures(entry.record.best)) or _NOTHING)


def _test(entry: Entry) -> list[Text]:
    if entry.test is None:
        return [Text(_NOTHING), Text(_NOTHING)]
    test = entry.test
    figures = [f"{key} {_short(test[key])}" for key in ("HR@10", "NDCG@10") if key in test]
    interval = "–".join(map(_short, test["NDCG@10_ci"]))
    bench = Text(test["bench"]).append(f"\n{test['users']:,} users", "dim")
    return [Text("\n".join(figures)).append(f"\n{interval}", "dim"), bench]


def _with_interval(row: Mapping[str, Any], key: str) -> str:
    low, high = row[f"{key}_ci"]
    return f"{key} {_short(row[key])} ({_short(low)}–{_short(high)})"


def _figures(best: Mapping[str, float]) -> list[str]:
    """NDCG@10, and the loss in nats an item."""
    figures = [f"NDCG@10 {_short(best['NDCG@10'])}"] if "NDCG@10" in best else []
    loss = best.get("validation_loss")
    return figures if loss is None else [*figures, f"loss {loss:.3f}"]


def _joined(versions: Mapping[str, str]) -> str:
    return "  ".join(f"{name} {version}" for name, version in versions.items())


def _number(value: Any) -> Text:
    if isinstance(value, int | float):
        return Text(f"{value:,.2f}" if isinstance(value, float) else f"{value:,}")
    return Text(str(value))


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


def _short(value: float) -> str:
    return f"{value:.4f}".removeprefix("0")
