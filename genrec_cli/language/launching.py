"""`--devices N`: one process for each device, started by torch.distributed.run."""

import logging
import os
import sys
from collections.abc import Sequence
from typing import Final

import torch
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig
from torch.distributed.run import parse_args, run

from genrec_cli.core.errors import UsageError
from genrec_cli.language.team import Team, team

_SECONDS_TO_STOP: Final = 300


def must_launch(devices: int | None) -> bool:
    """Whether this process should start others, because it is alone and several are wanted."""
    return devices is not None and devices > 1 and team() == Team()


def launch(devices: int, arguments: Sequence[str]) -> int:
    """Run `genrec` once for each device, and wait.

    Args:
        devices: how many.
        arguments: of the command line.

    Returns:
        The exit code: that of the first process that failed, or 0.

    Raises:
        UsageError: there are fewer GPUs.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else None
    if gpus is not None and devices > gpus:
        raise UsageError(f"--devices {devices}, but this machine has {gpus}", f"--devices {gpus}")
    logging.disable(logging.CRITICAL)  # the processes say themselves what is wrong
    if gpus is None:  # they share the processor's cores
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, torch.get_num_threads() // devices)))
    # Chunks of very different sizes fragment the memory that a GPU's allocator keeps.
    os.environ.setdefault("PYTORCH_ALLOC_CONF", "expandable_segments:True")
    options = _patient() + ["--standalone", "--nproc-per-node", str(devices), "-m", "genrec_cli"]
    try:
        run(parse_args([*options, *arguments]))
    except ChildFailedError as error:
        return _exit_code(error.get_first_failure()[1].exitcode)
    except SignalException as error:
        return 128 + int(error.sigval)
    return 0


def _patient() -> list[str]:
    """Options that leave the processes time to end a step and save it when they are stopped."""
    # Older versions of PyTorch always kill them after 30 seconds.
    known = "shutdown_timeout" in LaunchConfig.__dataclass_fields__
    return ["--shutdown-timeout", str(_SECONDS_TO_STOP)] if known else []


def _exit_code(code: int) -> int:
    """A process that a signal ended has a negative code."""
    return code if code >= 0 else 128 - code


def command_line() -> list[str]:
    """What this program was called with."""
    return sys.argv[1:]
