"""What is saved in every artefact about its making: versions, hashes, time and memory."""

import platform
import resource
import sys
import time
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from genrec_cli import __version__

_PACKAGES = ("numpy", "pyarrow", "torch", "transformers", "peft", "bitsandbytes", "scikit-learn")


def versions() -> dict[str, str]:
    """Versions of genrec, Python and the packages that can change a result."""
    found = {"genrec": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def peak_memory_gb() -> float:
    """Largest resident memory of this process since it began, or forgot it, in GB (1e9 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e9


def forget_peak_memory() -> None:
    """Begin to measure peak memory anew where the system can (Linux)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


class Stopwatch:
    """Wall time since it was made."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._start

    def cost(self) -> dict[str, Any]:
        """Wall time and peak memory, as manifests record them."""
        return {"wall_seconds": round(self.seconds, 3), "peak_gb": round(peak_memory_gb(), 3)}
