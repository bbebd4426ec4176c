"""The processes that train one model together, each with a device of its own.

A launcher (`torchrun`, SLURM, or our own `--devices`) starts them and names them in their
environment. The first one decides, reports and writes; the others follow it.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, NoReturn, TypeVar

import torch
from torch import distributed

from genrec_cli.core.errors import GenrecError, ModelError, Stopped, UsageError

T = TypeVar("T")
_PATIENCE: Final = timedelta(hours=2)  # the others wait while the first one ranks, or downloads
_LOST: Final = ("closed by peer", "reset by peer", "Broken pipe")  # in gloo's and NCCL's words
_VARIABLES: Final = ("RANK", "WORLD_SIZE", "LOCAL_RANK")


@dataclass(frozen=True)
class Team:
    """This process among those of a run.

    Attributes:
        rank: number of this process.
        size: how many there are.
        local_rank: number of this process on its machine, and of its GPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this process decides, reports and writes."""
        return self.rank == 0

    def summed(self, values: Sequence[float]) -> list[float]:
        """Sums over all processes."""
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self._device)
        distributed.all_reduce(total)
        return [float(value) for value in total]

    def any(self, flags: Sequence[bool]) -> list[bool]:
        """Which flags are up in any process."""
        return [total > 0 for total in self.summed([float(flag) for flag in flags])]

    def wait(self) -> None:
        """Until all processes have come here."""
        self.summed([0.0])

    def decided(self, decide: Callable[[], T]) -> T:
        """What the first process decides on, in all of them.

        Raises:
            GenrecError: that the first process has met; the others end with its exit code.
        """
        if self.size == 1:
            return decide()
        box: list[Any] = [_tried(decide) if self.first else None]
        distributed.broadcast_object_list(box, src=0, device=self._device)
        if isinstance(box[0], GenrecError):
            self.fail(box[0])
        decision: T = box[0]
        return decision

    def fail(self, error: GenrecError) -> NoReturn:
        """End with an error that all processes have come to; only the first one says it."""
        if self.first:
            raise error
        raise SystemExit(error.exit_code)

    @contextmanager
    def first_goes_ahead(self) -> Iterator[None]:
        """Let the first process do something, such as filling a cache, before the others."""
        if not self.first:
            self.wait()
        yield
        if self.first:
            self.wait()

    @property
    def _device(self) -> torch.device:
        nccl = distributed.get_backend() == "nccl"
        return torch.device("cuda", self.local_rank) if nccl else torch.device("cpu")


def team() -> Team:
    """The processes of this run, as the launcher's environment names them."""
    if not all(name in os.environ for name in _VARIABLES):
        return Team()
    return Team(*(int(os.environ[name]) for name in _VARIABLES))


@contextmanager
def joined(devices: int | None) -> Iterator[Team]:
    """Be one of the processes of this run while it lasts; a GPU each, or the CPU.

    Args:
        devices: how many there should be on each machine; None: as many as there are.

    Raises:
        UsageError: there are others than were asked for.
        ModelError: there are fewer GPUs than processes.
    """
    mine = team()
    local_size = int(os.environ.get("LOCAL_WORLD_SIZE", mine.size))
    if devices not in (None, local_size):
        raise UsageError(f"--devices {devices}, but the launcher has started {local_size}")
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        _take_gpu(mine)
    if mine.size == 1:
        yield mine
        return
    distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=_PATIENCE)
    try:
        yield mine
    except Stopped:
        distributed.destroy_process_group()
        raise
    except RuntimeError as error:
        if not any(words in str(error) for words in _LOST):
            raise
        lost = "another process of this run has ended, and this one with it"
        mine.fail(ModelError(lost, "see what that one said; genrec finetune --resume goes on"))
    # After an error the connections stay open until this process has said it: they all end alone.
    distributed.destroy_process_group()


def _tried(decide: Callable[[], T]) -> T | GenrecError:
    try:
        return decide()
    except GenrecError as error:
        return error


def _take_gpu(mine: Team) -> None:
    gpus = torch.cuda.device_count()
    if mine.local_rank >= gpus:
        raise ModelError(
            f"process {mine.local_rank} of this machine has no GPU: there are {gpus}",
            f"--devices {gpus}",
        )
    torch.cuda.set_device(mine.local_rank)
