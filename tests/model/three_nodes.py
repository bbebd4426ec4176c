"""A Ray cluster of three nodes on this machine, each of which can be killed."""

import importlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import psutil

NODES: Final = 3
_PATIENCE: Final = 30.0  # seconds

_ENVIRONMENT: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_metrics_collection": "0",
    # A dead node is missed in some two seconds instead of thirty.
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "300",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
    # However small, results lie on the node that made them, and are lost with it.
    "RAY_max_direct_call_object_size": "0",
}


class ThreeNodes:
    """Three nodes with a processor each; the first is the head, to which the driver belongs."""

    def __init__(self) -> None:
        # Ours alone, and known to this process, before it imports Ray, and to its children.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        self.folder = Path(tempfile.mkdtemp(prefix="gr", dir="/tmp"))  # sockets need short paths
        host = importlib.import_module("ray").util.get_node_ip_address()
        self.address = f"{host}:{_free_port()}"
        self._nodes: list[subprocess.Popen[bytes]] = []
        try:
            self.mend()
        except BaseException:
            self.stop()
            raise

    def mend(self) -> None:
        """Start the nodes that are missing."""
        while len(self._nodes) < NODES:
            self._add()

    def _add(self) -> None:
        """Start one more node and wait for it; two at a time would take each other's sockets."""
        joins = [f"--address={self.address}"]
        port = self.address.rpartition(":")[2]
        leads = ["--head", f"--port={port}", "--include-dashboard=false"]
        size = ["--num-cpus=1", "--object-store-memory=200000000"]
        command = [str(Path(sys.executable).with_name("ray")), "start", "--block", *size]
        command += joins if self._nodes else [*leads, f"--temp-dir={self.folder}"]
        before = self.alive() if self._nodes else 0
        with (self.folder / f"node-{len(self._nodes)}.log").open("wb") as log:
            self._nodes.append(
                subprocess.Popen(
                    [*command, "--disable-usage-stats"],
                    env={**os.environ, **_ENVIRONMENT},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )
        wait_until(lambda: self.alive() > before)

    def alive(self) -> int:
        """Nodes that the head takes for alive."""
        if not _listens(self.address):
            return 0
        client = importlib.import_module("ray._raylet").GcsClient(address=self.address)
        states: list[Any] = [node.state for node in client.get_all_node_info().values()]
        return states.count(0)

    def kill_newest(self) -> None:
        """Kill all processes of a node, but not of the head."""
        assert len(self._nodes) > 1
        self._kill(self._nodes.pop())

    def stop(self) -> None:
        """Kill all nodes, the head last, and delete what they wrote."""
        while self._nodes:
            self._kill(self._nodes.pop())
        shutil.rmtree(self.folder, ignore_errors=True)

    def processes(self) -> list[psutil.Process]:
        """All processes of all nodes."""
        return [process for node in self._nodes for process in _family(node)]

    def _kill(self, node: subprocess.Popen[bytes]) -> None:
        family = _family(node)
        for process in family:
            process.kill()
        psutil.wait_procs(family, _PATIENCE)
        node.wait()


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for something to come true; not for ever."""
    end = time.monotonic() + _PATIENCE
    while not true():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.1)


def _family(node: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        root = psutil.Process(node.pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("", 0))
        return int(listener.getsockname()[1])


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 1).close()
    except OSError:
        return False
    return True
