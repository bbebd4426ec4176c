"""The terminal: reports on stdout, everything else on stderr."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Task as RichTask
from rich.text import Text

from genrec_cli.core.errors import GenrecError
from genrec_cli.core.progress import SILENT, Task
from genrec_cli.core.progress import Progress as ProgressProtocol

_SECONDS_BETWEEN_LINES: Final = 5.0


class Terminal:
    """Where a command's words go.

    Args:
        as_json: print the report as one JSON document instead of a table.
        quiet: no progress and no notes; reports and errors remain.
    """

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self.as_json = as_json
        # A pipe has no width of its own; tables are then as wide as they need to be.
        width = None if sys.stdout.isatty() else 140
        self.out = Console(file=sys.stdout, highlight=False, width=width)
        self.err = Console(file=sys.stderr, highlight=False, soft_wrap=True)
        self.quiet = quiet
        self.progress = SILENT if quiet else _progress_on(self.err)

    def show(self, document: Mapping[str, Any], table: RenderableType) -> None:
        """Print a report: the document if JSON is wanted, else the table."""
        if self.as_json:
            sys.stdout.write(json.dumps(document, ensure_ascii=False, default=str) + "\n")
        else:
            self.out.print(table)

    def aside(self, table: RenderableType) -> None:
        """Print something that is not the report, such as a plan before the work."""
        if not self.quiet:
            self.err.print(table)

    def error(self, error: GenrecError) -> None:
        """Print an error and what mends it."""
        self.err.print("[bold red]error:[/] ", end="")
        self.err.print(error.message, markup=False)
        if error.fix is not None:
            self.err.print("  [bold green]fix:[/] ", end="")
            self.err.print(error.fix, markup=False)


def _progress_on(console: Console) -> ProgressProtocol:
    return BarProgress(console) if console.is_terminal else LineProgress(console)


@dataclass
class BarProgress:
    """A moving bar, for people at a terminal."""

    console: Console

    def task(self, title: str, total: float | None, unit: str) -> AbstractContextManager[Task]:
        """Open a bar that vanishes when the work is done."""
        return self._task(title, total, unit)

    def note(self, text: str) -> None:
        """Print one sentence."""
        self.console.print(text, style="dim", markup=False)

    @contextmanager
    def _task(self, title: str, total: float | None, unit: str) -> Iterator[Task]:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            MofNCompleteColumn() if total is not None else TextColumn(""),
            TextColumn(unit),
            TimeElapsedColumn() if total is None else _TimeLeft(),
        )
        with _Bars(*columns, console=self.console, transient=True) as bars:
            yield _Bar(bars, bars.add_task(title, total=total, figures=""))


class _TimeLeft(ProgressColumn):
    """Rate, and the time that is left."""

    def render(self, task: RichTask) -> Text:
        if not task.speed or task.time_remaining is None:
            return Text("")
        return Text(f"{task.speed:,.1f}/s  {_clock(task.time_remaining)} left", style="dim")


class _Bars(Progress):
    """A bar, and below it the figures of its task, which would not fit beside it."""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield from super().get_renderables()
        for task in self.tasks:
            if task.fields["figures"]:
                yield Text(f"  {task.fields['figures']}", style="dim")


@dataclass
class _Bar:
    bars: Progress
    task: TaskID
    shown: dict[str, str] = field(default_factory=dict)

    def advance(self, amount: float = 1) -> None:
        self.bars.advance(self.task, amount)

    def skip(self, amount: float) -> None:
        self.bars.reset(self.task, completed=round(amount), figures=_joined(self.shown))

    def figures(self, values: Mapping[str, str]) -> None:
        self.shown |= values
        self.bars.update(self.task, figures=_joined(self.shown))


@dataclass
class LineProgress:
    """A plain line every few seconds, for logs and pipes."""

    console: Console

    def task(self, title: str, total: float | None, unit: str) -> AbstractContextManager[Task]:
        """Open a task that prints lines while it goes on."""
        return self._task(title, total, unit)

    def note(self, text: str) -> None:
        """Print one sentence."""
        self.console.print(text, markup=False)

    @contextmanager
    def _task(self, title: str, total: float | None, unit: str) -> Iterator[Task]:
        yield _Lines(self.console, title, total, unit)


@dataclass
class _Lines:
    console: Console
    title: str
    total: float | None
    unit: str
    done: float = 0.0
    skipped: float = 0.0
    shown: dict[str, str] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    printed: float = field(default_factory=time.monotonic)

    def advance(self, amount: float = 1) -> None:
        self.done += amount
        now = time.monotonic()
        if now - self.printed >= _SECONDS_BETWEEN_LINES:
            self.printed = now
            self.console.print(self._line(now - self.started), markup=False)

    def skip(self, amount: float) -> None:
        self.done += amount
        self.skipped += amount

    def figures(self, values: Mapping[str, str]) -> None:
        self.shown |= values

    def _line(self, seconds: float) -> str:
        rate = (self.done - self.skipped) / seconds
        parts = [f"{self.title}: {self.done:,.0f}"]
        if self.total is not None:
            parts[0] += f"/{self.total:,.0f}"
        parts[0] += f" {self.unit}"
        parts.append(f"{rate:,.2f} {self.unit}/s")
        if self.total is not None and rate:
            parts.append(f"{_clock((self.total - self.done) / rate)} left")
        return "  ".join([*parts, _joined(self.shown)]).rstrip()


def _joined(figures: Mapping[str, str]) -> str:
    return "  ".join(f"{name} {value}" for name, value in figures.items())


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
