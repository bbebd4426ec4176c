"""A connection to a Ray cluster that keeps quiet, and its failures in our own words.

Ray is an extra. It is imported when a session opens and nowhere else, for its settings must stand
in the environment before, and every other command does without it.
"""

import importlib
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from genrec_cli.core.errors import GenrecError, UsageError, WorkspaceError

# Ray reads these when it is imported. Whoever has set one keeps it.
_SETTINGS: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no telemetry
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # or it tells on stderr how it recovers
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",  # of tasks that nobody waits for after the first error
    "RAY_LOG_TO_DRIVER": "0",
    "RAY_task_oom_retries": "3",  # endless otherwise
    "RAY_gcs_server_request_timeout_seconds": "10",  # of a host that accepts and is no cluster
}
_PATIENCE: Final = 5.0  # seconds until a host has accepted


@contextmanager
def session(address: str | None, spill: Path) -> Iterator[Any]:
    """Connect to a cluster, and yield the module `ray`.

    Args:
        address: host and port of a running cluster, one of whose nodes is this machine; None: start
            one on this machine, with all its processors.
        spill: folder for what does not fit into the memory of a cluster that is started here.

    Raises:
        UsageError: Ray is not installed, or the address is none.
        WorkspaceError: the cluster cannot be reached, or Ray is in use in this process.
    """
    ray = _load(own=address is None)
    if ray.is_initialized():
        raise WorkspaceError("this process is connected to a Ray cluster already")
    with ExitStack() as stack:
        stack.enter_context(_own_sigterm())
        if address is None:
            how = _own_cluster(Path(stack.enter_context(_short_folder())), spill)
        else:
            _probe(address)
            how = {"address": address}
        stack.callback(ray.shutdown)
        _connect(ray, how)
        yield ray


def fetch(ray: Any, reference: Any) -> Any:
    """The result of a task; waits for it.

    Raises:
        GenrecError: what the task raised.
        WorkspaceError: the cluster has lost it for good.
    """
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        cause: BaseException = error
        while isinstance(cause, ray.exceptions.RayTaskError):
            cause = cause.cause
        if isinstance(cause, GenrecError):
            raise cause from None
        if isinstance(cause, ray.exceptions.RayError):
            raise WorkspaceError(
                f"the Ray cluster has given up: {type(cause).__name__}: {_first_line(cause)}",
                "see `ray status` and the logs of its nodes; does a task fit into their memory?",
            ) from None
        raise


def _load(*, own: bool) -> Any:
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    if own and "ray" not in sys.modules and "RAY_AUTH_MODE" not in os.environ:
        # The ports of a cluster listen on the network, so a secret guards them. It stands in the
        # environment, for Ray would write it to ~/.ray and leave it there.
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise UsageError(
            f"--engine ray cannot be used: {error}", "pip install 'genrec-cli[ray]'"
        ) from None


def _own_cluster(folder: Path, spill: Path) -> dict[str, Any]:
    spill.mkdir(parents=True, exist_ok=True)
    return {
        "address": "local",
        "include_dashboard": False,
        "_temp_dir": str(folder),
        "object_spilling_directory": str(spill.absolute()),
    }


def _connect(ray: Any, how: dict[str, Any]) -> None:
    try:
        with _silent_stderr():  # for a line of its C++ part that nothing turns off
            ray.init(**how, log_to_driver=False, logging_level="CRITICAL")
    except Exception as error:  # ConnectionError, RuntimeError, ValueError, and of its own
        raise WorkspaceError(
            f"no connection to the Ray cluster ({how['address']}): {_first_line(error)}",
            "is it running (`ray status`), with this version of Ray, and this machine one of its "
            "nodes (`ray start --address=…`)?",
        ) from None
    # What it has to say of its nodes goes to stdout even so.
    vars(importlib.import_module("ray._private.worker"))["_worker_logs_enabled"] = False


def _probe(address: str) -> None:
    """Find out in time what Ray would find out in minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not (port.isdecimal() and 0 < int(port) < 1 << 16):
        raise UsageError(
            f"--ray-address {address} is no address of a Ray cluster",
            "give host and port as `ray start --head` prints them, as in 10.0.0.5:6379",
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
    except OSError as error:
        raise WorkspaceError(
            f"no Ray cluster answers at {address}: {error}",
            "start one with `ray start --head`, or leave out --ray-address to use this machine",
        ) from None


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Ray handles SIGTERM while it runs; afterwards it is handled as before."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _short_folder() -> Iterator[str]:
    """A folder whose path leaves room for the names of sockets, 107 bytes in all."""
    folder = tempfile.mkdtemp(prefix="genrec-", dir="/tmp" if os.name == "posix" else None)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _silent_stderr() -> Iterator[None]:
    sys.stderr.flush()
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
