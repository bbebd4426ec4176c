"""Checkpoints of a run: which are whole, how a run goes on, and what if the disk is full."""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from transformers.trainer import TRAINER_STATE_NAME

from genrec_cli.core.errors import WorkspaceError
from genrec_cli.language.team import Team

CHECKPOINTS: Final = "checkpoints"
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# torch's writer drops the system's words, and says it differently from place to place.
_TORCH: Final = ("PytorchStreamWriter failed writing", "unexpected pos", "iostream error")


def last_checkpoint(checkpoints: Path) -> Path | None:
    """The newest checkpoint that is whole."""
    whole = [folder for folder in checkpoints.glob("checkpoint-*") if _is_whole(folder)]
    return max(whole, key=lambda folder: int(folder.name.rpartition("-")[2]), default=None)


def _is_whole(checkpoint: Path) -> bool:
    """Whether neither a kill nor a full disk has cut it; its state is written last."""
    try:
        json.loads((checkpoint / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def go_on_with(folder: Path, team: Team) -> str:
    """The command that goes on with a run."""
    on = f" --devices {team.size}" if team.size > 1 else ""
    return f"genrec finetune --resume --dataset {folder.parent.name} --name {folder.name}{on}"


@contextmanager
def saving(folder: Path, team: Team) -> Iterator[None]:
    """Turn what a full disk raises, in one library or the other, into one message."""
    try:
        yield
    except Exception as error:
        if not _is_disk_full(error):
            raise
        kept = last_checkpoint(folder / CHECKPOINTS)
        # What is half-written helps nobody, and leaves no room for `training.svg`.
        for path in (folder / CHECKPOINTS).glob("checkpoint-*"):
            if not _is_whole(path):
                shutil.rmtree(path, ignore_errors=True)
        step = kept.name.rpartition("-")[2] if kept else None
        safe = "" if step is None else f"; the checkpoint of step {step} is kept"
        raise WorkspaceError(
            f"no room to write in {folder}{safe}: {_why_full(error)}",
            f"make room, then {go_on_with(folder, team)}",
        ) from error


def _is_disk_full(error: BaseException) -> bool:
    """Whether an error says that a file could not be written for want of room or of a quota."""
    return _number(error) in _FULL or any(words in str(error) for words in _TORCH)


def _why_full(error: BaseException) -> str:
    """The system's words for what `_is_disk_full` has found."""
    number = _number(error)
    return os.strerror(number) if number else "a file could not be written"


def _number(error: BaseException) -> int | None:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    # safetensors hides the system's error in the text of one of its own.
    return next((number for number in _FULL if f"(os error {number})" in str(error)), None)
