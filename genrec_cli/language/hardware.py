"""What this machine computes with."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import torch


@dataclass(frozen=True)
class Place:
    """What a model is loaded for.

    Attributes:
        device: where the weights go.
        dtype: of the weights that are not quantised, and of the arithmetic.
    """

    device: torch.device
    dtype: torch.dtype


@dataclass(frozen=True)
class Hardware:
    """A summary for people and for defaults; memory in GB (1e9 bytes).

    Attributes:
        gpu: name of the GPU that would be used; None where there is none.
        total_gb: memory of the GPU, else of the machine.
        free_gb: what is free of it.
        bfloat16: whether bfloat16 is fast here.
        torch_build: PyTorch's version, and what it was built for.
    """

    gpu: str | None
    total_gb: float
    free_gb: float
    bfloat16: bool
    torch_build: str


def best_place() -> Place:
    """The GPU in bfloat16, else the CPU in what it multiplies fast."""
    if torch.cuda.is_available():
        return Place(torch.device("cuda", torch.cuda.current_device()), torch.bfloat16)
    return Place(torch.device("cpu"), torch.bfloat16 if _cpu_has_bfloat16() else torch.float32)


def peak_gpu_gb() -> float | None:
    """Most GPU memory that tensors of this process have taken, in GB; None without a GPU."""
    if not torch.cuda.is_available():
        return None
    return round(torch.cuda.max_memory_allocated() / 1e9, 3)


@contextmanager
def denormals_flushed() -> Iterator[None]:
    """Take denormal numbers for zero; a CPU is six times slower on them."""
    before = sys.float_info.min / 2 == 0.0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def give_back_memory() -> None:
    """Hand freed memory back to the system; glibc keeps twice what tensors of many sizes need."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def hardware() -> Hardware:
    """Look at this machine."""
    built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "for CPUs only"
    build = f"PyTorch {torch.__version__.split('+')[0]}, built {built}"
    if torch.cuda.is_available():
        gpu = torch.cuda.get_device_properties(torch.cuda.current_device())
        free = torch.cuda.mem_get_info()[0]
        return Hardware(gpu.name, gpu.total_memory / 1e9, free / 1e9, True, build)
    memory = psutil.virtual_memory()
    sizes = (memory.total / 1e9, memory.available / 1e9)
    return Hardware(None, *sizes, _cpu_has_bfloat16(), build)


def _cpu_has_bfloat16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
