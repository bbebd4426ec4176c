"""What can go wrong through no fault of ours, and what to do about it.

::

    GenrecError             exit code 1, printed as one message with its fix
    ├── DataError           raw files, datasets, ids, titles
    ├── ModelError          base models, adapters, memory, hardware
    ├── WorkspaceError      something is missing, unfinished or already there
    ├── Stopped             exit code 130 or 143: stopped by a signal, and can be resumed
    └── UsageError          exit code 2: a wrong option or configuration key

Everything else that escapes is a bug and keeps its traceback.
"""


class GenrecError(Exception):
    """An error of the user's data or environment.

    Args:
        message: what is wrong, where, and the value seen.
        fix: what the user can do, preferably a command; None when the message says it all.
    """

    exit_code: int = 1

    def __init__(self, message: str, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return self.message if self.fix is None else f"{self.message}\n  fix: {self.fix}"


class DataError(GenrecError):
    """Raw files, datasets, ids or titles that cannot be used as they are."""


class ModelError(GenrecError):
    """A base model, adapter or device that cannot be used as asked."""


class WorkspaceError(GenrecError):
    """A dataset, run or output that is missing, unfinished, or already there."""


class Stopped(GenrecError):
    """Long work that a signal has stopped; it can be resumed.

    Args:
        message: how far it came.
        fix: the command that goes on.
        signal: its number.
    """

    def __init__(self, message: str, fix: str, signal: int) -> None:
        super().__init__(message, fix)
        self.exit_code = 128 + signal


class UsageError(GenrecError):
    """A wrong option, or a configuration key or value that does not exist."""

    exit_code: int = 2
