"""How long work reports that it goes on, without knowing about terminals.

Commands take a `Progress`; the display layer draws it as a bar or as plain lines, and `SILENT`
keeps quiet, for tests and for use as a library.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """One piece of long work."""

    def advance(self, amount: float = 1) -> None:
        """Say that `amount` more units are done."""

    def skip(self, amount: float) -> None:
        """Say that `amount` units had been done before; they do not count in the rate."""

    def figures(self, values: Mapping[str, str]) -> None:
        """Show named figures (loss, targets/s) beside the bar; later values replace earlier."""


class Progress(Protocol):
    """Where long work reports to."""

    def task(self, title: str, total: float | None, unit: str) -> AbstractContextManager[Task]:
        """Open a task of `total` units (None: unknown), a context manager that yields a `Task`."""

    def note(self, text: str) -> None:
        """Say one sentence that the user should read."""


class _SilentTask:
    def advance(self, amount: float = 1) -> None: ...

    def skip(self, amount: float) -> None: ...

    def figures(self, values: Mapping[str, str]) -> None: ...


class _SilentProgress:
    @contextmanager
    def task(self, title: str, total: float | None, unit: str) -> Iterator[Task]:
        yield _SilentTask()

    def note(self, text: str) -> None: ...


SILENT: Progress = _SilentProgress()
