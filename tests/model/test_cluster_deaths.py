"""The Ray engine on three nodes of which one is killed in the middle of the work."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

import pytest
from preparing import cut, prepare, prepare_with
from small_data import raw_log
from three_nodes import NODES, ThreeNodes

from genrec_cli.core.progress import Progress
from genrec_cli.core.settings import PrepareSettings
from genrec_cli.data.dataset import SEQUENCES_FILE
from genrec_cli.data.engine.cluster import RayEngine
from genrec_cli.data.engine.cluster_session import session
from genrec_cli.data.engine.finishing import Finish, Finished
from genrec_cli.data.rawlog import Block, RawLog

# Ray is not to be imported before its session sets it up.
pytestmark = pytest.mark.skipif(
    find_spec("ray") is None, reason="needs Ray: pip install 'genrec-cli[ray]'"
)

CORE = PrepareSettings(min_user=8, min_item=12)
PARTITIONS = 7


@pytest.fixture(scope="module")
def nodes() -> Iterator[ThreeNodes]:
    nodes = ThreeNodes()
    try:
        yield nodes
    finally:
        processes = nodes.processes()
        nodes.stop()
        assert not [process for process in processes if process.is_running()]
        assert not nodes.folder.exists()


class Witness(RayEngine):
    """Calls `strike` once the first result of a chosen piece of work is there."""

    def __init__(self, ray: Any, moment: str, strike: Callable[[], None]) -> None:
        super().__init__(ray, PARTITIONS)
        self._moment, self._strike = moment, strike
        self.rounds = 0

    def map(self, function: Callable[..., Any], *shared: Any, columns: list[str]) -> Iterator[Any]:
        self.rounds += 1
        results = super().map(function, *shared, columns=columns)
        return self._watched(f"round {self.rounds}", results)

    def finish(self, how: Finish, target: Path, progress: Progress) -> Iterator[Finished]:
        return self._watched("writing", super().finish(how, target, progress))

    def _watched(self, work: str, results: Iterator[Any]) -> Iterator[Any]:
        for place, result in enumerate(results):
            if place == 0 and work == self._moment:
                self._strike()
            yield result


def core_log() -> RawLog:
    """Ties, and a k-core of several rounds."""
    random = Random(3)
    rows = [
        (f"u{int(3000 * random.random() ** 2)}", f"i{int(900 * random.random() ** 3)}", place // 5)
        for place in range(20_000)
    ]
    return cut(raw_log(rows), range(0, 20_000, 1600))


def struck(log: RawLog, strike: Callable[[], None]) -> RawLog:
    """A log that calls `strike` when half of its blocks are handed out."""

    def blocks(progress: Progress) -> Iterator[Block]:
        for place, block in enumerate(log.blocks(progress)):
            if place == 9:
                strike()
            yield block

    return replace(log, blocks=blocks)


@pytest.mark.parametrize("moment", ["reading", "round 2", "writing"])
def test_a_killed_node_changes_nothing(nodes: ThreeNodes, tmp_path: Path, moment: str) -> None:
    nodes.mend()
    killed: list[str] = []

    def strike() -> None:
        nodes.kill_newest()
        killed.append(moment)

    log = core_log()
    expected = prepare(log, CORE)
    with session(nodes.address, tmp_path) as ray:
        engine = Witness(ray, moment, strike)
        struck_log = struck(log, strike) if moment == "reading" else log
        prepared = prepare_with(engine, struck_log, CORE, tmp_path)
        assert nodes.alive() == NODES - 1
    assert killed == [moment]
    assert engine.rounds > 2
    assert prepared.hash == expected.hash
    assert prepared.sequences() == expected.sequences()
    names = sorted(path.name for path in (tmp_path / SEQUENCES_FILE).iterdir())
    assert names == [f"part-{place:05}.parquet" for place in range(PARTITIONS)]
