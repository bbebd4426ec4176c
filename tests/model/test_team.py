"""Processes of one run, forked here: what one decides or meets, all do."""

import multiprocessing
import socket
from collections.abc import Callable
from multiprocessing.queues import SimpleQueue
from typing import Any

import pytest
import torch

from genrec_cli.core.errors import DataError, UsageError
from genrec_cli.language.team import Team, joined

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available(), reason="a forked process has no use of its parent's GPU"
)
Work = Callable[[Team], Any]


def together(monkeypatch: pytest.MonkeyPatch, *works: Work) -> list[Any]:
    """What the processes of a team come to: results or exceptions, by rank."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fork = multiprocessing.get_context("fork")
    came_to: SimpleQueue[tuple[int, Any]] = fork.SimpleQueue()
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": len(works)}
    processes = []
    for rank, work in enumerate(works):
        for name, value in {**shared, "RANK": rank, "LOCAL_RANK": rank}.items():
            monkeypatch.setenv(name, str(value))
        processes.append(fork.Process(target=_run, args=(rank, work, came_to)))
        processes[-1].start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    found = dict(came_to.get() for _ in works)
    return [found[rank] for rank in range(len(works))]


def _run(rank: int, work: Work, came_to: "SimpleQueue[tuple[int, Any]]") -> None:
    try:
        with joined(None) as team:
            result = work(team)
    except (Exception, SystemExit) as error:
        result = error
    came_to.put((rank, result))


def test_counts_are_summed_and_the_first_one_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(team: Team) -> Any:
        decided = team.decided(lambda: f"by {team.rank}")
        return team.summed([team.rank, 1.5]), team.any([team.rank == 1, False]), decided

    expected = ([3.0, 4.5], [True, False], "by 0")
    assert together(monkeypatch, work, work, work) == [expected] * 3


def test_one_that_goes_ahead_is_done_before_the_others_begin(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    cache = tmp_path / "cache"

    def work(team: Team) -> bool:
        with team.first_goes_ahead():
            there: bool = cache.exists()
            cache.touch()
        return there

    assert together(monkeypatch, work, work) == [False, True]


def test_an_error_of_the_one_that_decides_is_said_once_and_ends_all_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse() -> None:
        raise UsageError("no such preset", "another one")

    first, second = together(monkeypatch, *2 * [lambda team: team.decided(refuse)])
    assert isinstance(first, UsageError)
    assert (first.message, first.fix) == ("no such preset", "another one")
    assert isinstance(second, SystemExit)
    assert second.code == 2


def test_who_waits_for_one_that_is_gone_ends_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(team: Team) -> None:
        raise DataError("nothing to train on")

    def wait(team: Team) -> None:
        team.wait()

    first, second = together(monkeypatch, fail, wait)
    assert isinstance(first, DataError)
    assert isinstance(second, SystemExit)
    assert second.code == 1
    first, second = together(monkeypatch, wait, fail)
    assert "another process of this run has ended" in first.message
    assert isinstance(second, DataError)


def test_there_must_be_as_many_as_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="--devices 3, but the launcher has started 2"), joined(3):
        pass
