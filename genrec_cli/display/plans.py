"""The plan of a training run as people read it, and what the run took in the end."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from genrec_cli.display.tables import next_step, titled_table
from genrec_cli.language.record import as_written, item_words_of, leak_of, method_of

if TYPE_CHECKING:  # for it imports torch
    from genrec_cli.commands.finetune import FinetuneReport, PlanReport

_MEASURED = {
    "layers": "from layers timed here",
    "matmul": "rough, from a matrix product",
}


def planned(report: "PlanReport") -> RenderableType:
    """What a run will train on and take, before it is loaded."""
    job, plan = report.job, report.plan
    table = titled_table(f"Plan: {job.source.name} on {job.dataset.name}", "what", "how much")
    again = ", activations computed twice" if plan.gradient_checkpointing else ""
    settings = job.settings
    leaks = report.item_ids is not None and report.item_ids.leaks
    rows: dict[str, str | Text] = {
        "method": settings.method,
        "items written as": _written(settings.item_words, leaks=leaks),
        "windows of history": f"{plan.windows:,}",
        "targets an epoch": f"{plan.targets:,}",
        "tokens an epoch": f"{plan.tokens:,}",
        "optimiser steps": f"{plan.steps:,} of {settings.batch_size} windows",
        "at a time": f"{plan.micro_batch_tokens:,} tokens{again}",
        "parameters, trained": f"{plan.parameters:,}, {plan.trainable:,}",
        "device": f"{report.place.device}, {str(report.place.dtype).removeprefix('torch.')}",
        "memory, estimated": f"{plan.memory_gb['total']:.1f} GB of {plan.available_gb:.1f} GB",
        "time, estimated": f"{_duration(plan.hours * 3600)} and evaluations "
        f"({_MEASURED[plan.calibration]})",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    if plan.fits:
        return table
    lines = ["This does not fit the memory. What would help:", *map(str, report.levers)]
    return Group(table, Text("\n  ".join(lines), style="bold yellow"))


def plan_with_origins(report: "PlanReport") -> RenderableType:
    """The plan, its memory by part, and where each setting came from."""
    memory = titled_table("Memory, estimated", "part", "GB")
    for part, size in report.plan.memory_gb.items():
        memory.add_row(part, f"{size:.2f}")
    settings = titled_table("Settings", "name", "value", "from", right=False)
    for name, entry in report.document()["settings"].items():
        origin = entry["from"]
        style = "dim" if origin == "default" else ""
        settings.add_row(name, Text(str(entry["value"])), Text(origin), style=style)
    return Group(planned(report), memory, settings)


def finetuned(report: "FinetuneReport") -> RenderableType:
    """What training reached and took, and what to do next."""
    manifest = report.manifest
    trained = manifest["trained"]
    table = titled_table(f"Run {report.folder.name}", "what", "value")
    items = _written(item_words_of(manifest), leaks=leak_of(manifest) is not None)
    rows: dict[str, str | Text] = {
        "method": method_of(manifest),
        "items written as": items,
        "validation before": _validation(trained["before"]),
        "validation, best": _validation(trained["best"]),
        "best step": f"{trained['best_step']:,} of {trained['last_step']:,}",
        "memory": _memory(manifest),
        "time": _time(manifest),
        "wall time": _duration(manifest["wall_seconds"]),
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return Group(table, next_step(report.folder, "genrec predict --user ID   and   genrec bench"))


def _written(items: str, *, leaks: bool) -> Text:
    if leaks:
        return Text(f"{as_written(items)}, which give answers away", style="bold yellow")
    return Text(as_written(items))


def _validation(figures: Mapping[str, float]) -> str:
    ranked = [f"{name} {value:.4f}" for name, value in figures.items() if "@" in name]
    return ", ".join([*ranked, f"{figures['validation_loss']:.3f} nats an item"])


def _memory(manifest: Mapping[str, Any]) -> str:
    on_gpu = manifest["peak_gpu_gb"]
    peak = manifest["peak_gb"] if on_gpu is None else on_gpu
    return f"planned {manifest['plan']['memory_gb']['total']:.1f} GB, measured {peak:.1f} GB"


def _time(manifest: Mapping[str, Any]) -> str:
    """Of the steps that were taken, which are less than planned if training stopped early."""
    step, steps = manifest["trained"]["seconds_per_step"], manifest["trained"]["last_step"]
    if step is None:
        return "nothing was trained"
    planned_seconds = manifest["plan"]["seconds_per_step"] * steps
    took = _duration(step * steps)
    return f"planned {_duration(planned_seconds)}, took {took}, without evaluations"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, hours = seconds / 60, seconds / 3600
    if minutes < 120:
        return f"{minutes:.0f} min"
    return f"{hours:.1f} h" if hours < 72 else f"{hours / 24:,.0f} days"
