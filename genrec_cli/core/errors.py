"""What can go wrong through no fault of ours, and what to do about it.

::

    GenrecError             exit code 1, printed as one message with its fix
    ├── DataError           raw files, datasets, ids, titles
    ├── ModelError          base models, adapters, memory, hardware
    ├── WorkspaceError      something is missing, unfinished or already there
    └── UsageError          exit code 2: a wrong option or configuration key

Everything else that escapes is a bug and keeps its traceback.
"""

from typing import ClassVar


class GenrecError(Exception):
    """An error of the user's data or environment.

    Args:
        message: what is wrong, where, and the value seen.
        fix: what the user can do, preferably a command; None when the message says it all.
    """

    exit_code: ClassVar[int] = 1

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


class UsageError(GenrecError):
    """A wrong option, or a configuration key or value that does not exist."""

    exit_code: ClassVar[int] = 2
