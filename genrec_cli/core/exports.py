"""Folders that `genrec export` makes: they appear whole, and replace only earlier exports."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from genrec_cli.core.errors import UsageError
from genrec_cli.core.workspace import publish

EXPORT_MANIFEST: Final = "export.json"


@contextmanager
def new_export(target: Path, *, force: bool, command: str) -> Iterator[Path]:
    """Yield an empty folder that becomes `target` when all went well; see `publish`.

    Raises:
        UsageError: `target` is something that no export made.
        WorkspaceError: it is an earlier export, and `force` is not set.
    """
    if target.is_dir() and any(target.iterdir()) and not (target / EXPORT_MANIFEST).exists():
        raise UsageError(f"{target} holds other files", "name a new folder with --output")
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is a file", "name a new folder with --output")
    with publish(target, EXPORT_MANIFEST, force=force, command=command) as staging:
        yield staging
