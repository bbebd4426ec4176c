"""The Ray engine on a cluster of this machine: datasets and errors are those of one process."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import pyarrow as pa
import pytest
from preparing import cut, prepare, prepare_with
from small_data import raw_log

from genrec_cli.core.errors import DataError, UsageError, WorkspaceError
from genrec_cli.core.settings import PrepareSettings
from genrec_cli.data.engine.cluster import RayEngine
from genrec_cli.data.engine.cluster_session import session
from genrec_cli.data.rawlog import Block, RawLog

# Ray is not to be imported before its session sets it up.
pytestmark = pytest.mark.skipif(
    find_spec("ray") is None, reason="needs Ray: pip install 'genrec-cli[ray]'"
)


@pytest.fixture(scope="module")
def ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with session(None, tmp_path_factory.mktemp("spill")) as ray:
        # Workers do not find this file, so what it defines travels with its code.
        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
        yield ray


@dataclass(frozen=True)
class BadBlock:
    line: int

    def read(self) -> pa.Table:
        raise DataError(f"ratings.csv:{self.line}: the item is missing", "mend that line")


@dataclass(frozen=True)
class DeadlyBlock:
    def read(self) -> pa.Table:
        os._exit(1)


def some_log(rows: int = 4000) -> RawLog:
    """Ties and repeats abound, and a k-core takes several rounds."""
    random = Random(7)
    return raw_log(
        [
            (f"u{random.randrange(rows // 10)}", f"i{int(90 * random.random() ** 3)}", place // 9)
            for place in range(rows)
        ]
    )


def with_blocks(log: RawLog, *blocks: Block) -> RawLog:
    """A log with further blocks at its end."""
    return replace(log, blocks=lambda progress: iter([*log.blocks(progress), *blocks]))


@pytest.mark.parametrize(
    ("asked", "ends", "partitions"),
    [
        ({}, [], None),
        ({"ties": "file"}, [1, 2, 5, 1000], 3),
        ({"repeats": "last", "min_user": 6, "min_item": 9}, range(0, 4000, 301), 1),
        ({"repeats": "first", "ties": "file", "max_history": 6}, [3999], 60),
        ({"split": "global-time", "since": "20", "until": "400"}, range(0, 4000, 399), 33),
    ],
)
def test_a_cluster_makes_the_same_dataset(
    ray: Any, tmp_path: Path, asked: dict[str, Any], ends: Any, partitions: int | None
) -> None:
    settings = PrepareSettings.model_validate(asked)
    expected = prepare(some_log(), settings)
    prepared = prepare_with(RayEngine(ray, partitions), cut(some_log(), ends), settings, tmp_path)
    assert prepared.hash == expected.hash
    assert prepared.sequences() == expected.sequences()
    assert prepared.made.funnel == expected.made.funnel


def test_the_first_bad_line_is_told_as_on_one_machine(ray: Any, tmp_path: Path) -> None:
    log = with_blocks(some_log(), BadBlock(4001), BadBlock(4002))
    with pytest.raises(DataError) as caught:
        prepare_with(RayEngine(ray), log, PrepareSettings(), tmp_path)
    assert type(caught.value) is DataError
    assert caught.value.message == "ratings.csv:4001: the item is missing"
    assert caught.value.fix == "mend that line"


def test_a_worker_that_always_crashes_is_given_up(ray: Any, tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="the Ray cluster has given up: WorkerCrashedError"):
        prepare_with(
            RayEngine(ray), with_blocks(some_log(), DeadlyBlock()), PrepareSettings(), tmp_path
        )


def test_a_second_connection_is_refused(ray: Any, tmp_path: Path) -> None:
    with (
        pytest.raises(WorkspaceError, match="connected to a Ray cluster already"),
        session(None, tmp_path),
    ):
        pass


@pytest.mark.parametrize("address", ["nowhere", "ray://127.0.0.1:1", "127.0.0.1:0", ":6379"])
def test_an_address_that_is_none_is_refused(address: str, tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="is no address of a Ray cluster"),
        session(address, tmp_path),
    ):
        pass


def test_a_cluster_that_does_not_answer_is_told_in_seconds(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for port, why in ((1, "refused"), (silent.getsockname()[1], "timed out")):
            with (
                pytest.raises(WorkspaceError, match=f"no Ray cluster answers at .*{port}.*{why}"),
                session(f"127.0.0.1:{port}", tmp_path),
            ):
                pass


def test_without_ray_it_is_said_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError) as caught, session(None, tmp_path):
        pass
    assert caught.value.fix == "pip install 'genrec-cli[ray]'"


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder with a path that is short enough for sockets."""
    with TemporaryDirectory(prefix="gr", dir="/tmp") as folder:
        yield Path(folder)


def test_the_command_says_nothing_of_ray_and_leaves_nothing_behind(
    tmp_path: Path, temporary: Path
) -> None:
    home = tmp_path / "home"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    command = [sys.executable, "-m", "genrec_cli", "prepare", "sample", "--engine", "ray"]
    done = subprocess.run(
        [*command, "--workspace", str(tmp_path), "--json"],
        env=environment | {"HOME": str(home), "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["engine"] == "ray"
    assert "ray" not in done.stderr.lower()
    assert not home.exists()
    assert not list(temporary.iterdir())
    running = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    assert not any(str(temporary) in " ".join(command) for command in running)
