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
_ENVIRONMENT: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no telemetry
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # or it tells on stderr how it recovers
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",  # of tasks that nobody waits for after the first error
    "RAY_LOG_TO_DRIVER": "0",
    "RAY_task_oom_retries": "3",  # endless otherwise
}
_PATIENCE: Final = 5.0  # seconds, for each of accepting and answering
_LONGEST_TEMPORARY: Final = 24
_SETTINGS_FRAME: Final = b"\0\0\0\4\0\0\0\0\0"  # of HTTP/2, without settings


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
    if address is not None:
        _probe(address)
    if ray.is_initialized():
        raise WorkspaceError("this process is connected to a Ray cluster already")
    with ExitStack() as stack:
        stack.enter_context(_own_sigterm())
        if address is None:
            how = _own_cluster(stack.enter_context(_short_folder()), spill)
        else:
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
    for name, value in _ENVIRONMENT.items():
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


def _own_cluster(folder: str, spill: Path) -> dict[str, Any]:
    spill.mkdir(parents=True, exist_ok=True)
    return {
        "address": "local",
        "include_dashboard": False,
        "_temp_dir": folder,
        "object_spilling_directory": str(spill.absolute()),
    }


def _connect(ray: Any, how: dict[str, Any]) -> None:
    try:
        with _silent_stderr():  # for a line of its C++ part that nothing turns off
            ray.init(**how, log_to_driver=False, logging_level="CRITICAL")
    except Exception as error:  # ConnectionError, RuntimeError, ValueError, and of its own
        if how["address"] == "local":
            raise WorkspaceError(f"Ray does not start here: {_first_line(error)}") from None
        raise WorkspaceError(
            f"no connection to the Ray cluster at {how['address']}: {_first_line(error)}",
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
        with socket.create_connection((host.strip("[]"), int(port)), _PATIENCE) as connection:
            _greet(connection)
    except OSError as error:
        raise WorkspaceError(
            f"no Ray cluster answers at {address}: {error}",
            "start one with `ray start --head`, or leave out --ray-address to use this machine",
        ) from None


def _greet(connection: socket.socket) -> None:
    """Exchange the first frames of HTTP/2, which clusters speak unless they encrypt."""
    if os.environ.get("RAY_USE_TLS", "0") != "0":
        return
    connection.settimeout(_PATIENCE)
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _SETTINGS_FRAME)
    # Length, type, flags and stream; a server begins with its settings.
    if connection.recv(len(_SETTINGS_FRAME), socket.MSG_WAITALL)[3:4] != _SETTINGS_FRAME[3:4]:
        raise ConnectionError("something else is listening there")


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
    usual = tempfile.gettempdir()
    short = os.name != "posix" or len(usual) <= _LONGEST_TEMPORARY
    folder = tempfile.mkdtemp(prefix="genrec-", dir=usual if short else "/tmp")
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
