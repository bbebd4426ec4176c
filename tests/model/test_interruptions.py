"""Runs that are stopped, killed or out of disk go on as if nothing had happened."""

import errno
import os
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from lessons import (
    Scripted,
    assert_same_run,
    checkpoints,
    learn,
    lesson,
    nobody,
    ranking,
)
from tiny import Steps, settings_for

from genrec_cli.core.errors import Stopped, WorkspaceError
from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import Cases
from genrec_cli.language import interruptions
from genrec_cli.language.corpus import Corpus, make_corpus
from genrec_cli.language.interruptions import Guard
from genrec_cli.language.lesson import Lesson
from genrec_cli.language.prompt import Tokenizer
from genrec_cli.language.team import Team

# Windows are drawn, dropped out and hidden at random; the batches run on across epochs.
RANDOM = settings_for(
    batch_size=8,
    micro_batch_tokens=1024,
    max_steps=11,
    evaluations=4,
    dropout=0.1,
    mask_weight=0.5,
)


class Doing(Steps):
    """A progress display at which something happens when a step is done."""

    def __init__(self, at: int, what: Callable[[], object]) -> None:
        super().__init__()
        self._at = at
        self._what = what

    def skip(self, amount: float) -> None: ...

    def advance(self, amount: float = 1) -> None:
        super().advance(amount)
        if self.done == self._at:
            self._what()


def send(*numbers: int) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)


@pytest.fixture(scope="module")
def prepared(dataset: Dataset, tokenizer: Tokenizer) -> Corpus:
    corpus = make_corpus(dataset, tokenizer, RANDOM)
    assert len(corpus.training) % 8
    assert len(corpus.training) < 11 * 8
    return corpus


@pytest.fixture(scope="module")
def whole(prepared: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return learn(taught(prepared), tmp_path_factory.mktemp("whole"))


def taught(corpus: Corpus, settings: FinetuneSettings = RANDOM) -> Lesson:
    return lesson(corpus, settings, ranking(corpus, settings))


@pytest.mark.parametrize(("stop_at", "left"), [(2, []), (5, [3]), (10, [6, 9])])
def test_a_run_that_died_goes_on_to_the_weights_of_one_that_did_not(
    prepared: Corpus, whole: Any, tmp_path: Path, stop_at: int, left: list[int]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        learn(taught(prepared), tmp_path, Steps(stop_at))
    assert checkpoints(tmp_path) == left
    steps = Steps()
    resumed = learn(taught(prepared), tmp_path, steps)
    assert steps.done == 11
    assert_same_run(resumed, whole)


@pytest.mark.parametrize(
    "torn",
    [
        {"model.safetensors": b"half"},
        {"model.safetensors": b"", "optimizer.pt": b"", "trainer_state.json": b'{"global_step": 9'},
    ],
)
def test_a_checkpoint_that_a_kill_left_half_written_is_passed_over(
    prepared: Corpus, whole: Any, tmp_path: Path, torn: Mapping[str, bytes]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        learn(taught(prepared), tmp_path, Steps(8))
    half = tmp_path / "checkpoints" / "checkpoint-9"
    half.mkdir()
    for name, content in torn.items():
        (half / name).write_bytes(content)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 9, "loss": 3.')
    assert_same_run(learn(taught(prepared), tmp_path), whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_run_with_a_checkpoint_from_which_it_goes_on(
    prepared: Corpus, whole: Any, tmp_path: Path, number: int
) -> None:
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    folder = tmp_path / "sample" / "mine"
    stopping = Doing(5, lambda: send(number))
    with pytest.raises(Stopped) as stopped:
        learn(taught(prepared), folder, stopping)
    assert stopped.value.exit_code == 128 + number
    assert stopped.value.message == "stopped at step 5 of 11; a checkpoint is kept"
    again = "genrec finetune --resume --dataset sample --name mine   goes on from there"
    assert stopped.value.fix == again
    assert stopping.notes[-1].startswith("stopping after this step, with a checkpoint")
    assert checkpoints(folder) == [3, 5]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    assert_same_run(learn(taught(prepared), folder), whole)


def test_a_signal_while_items_are_ranked_stops_after_the_next_step(
    prepared: Corpus, tmp_path: Path
) -> None:
    def validate(network: Any, cases: Cases) -> Mapping[str, float]:
        if (tmp_path / "checkpoints" / "checkpoint-3").exists():
            send(signal.SIGTERM)
        return nobody(network, cases)

    with pytest.raises(Stopped, match="stopped at step 7 of 11"):
        learn(lesson(prepared, RANDOM, validate), tmp_path)
    assert checkpoints(tmp_path)[-1] == 7


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_stops_at_once_and_the_run_still_goes_on(
    prepared: Corpus, whole: Any, tmp_path: Path, second: int
) -> None:
    twice = Doing(5, lambda: send(signal.SIGTERM, second))
    with pytest.raises(KeyboardInterrupt):
        learn(taught(prepared), tmp_path, twice)
    assert checkpoints(tmp_path) == [3]
    assert_same_run(learn(taught(prepared), tmp_path), whole)


@pytest.fixture
def handlers() -> Iterator[None]:
    """Puts this process's handlers of signals back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_what_a_launcher_repeats_to_a_team_is_no_second_signal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guard = Guard(Team(size=2), Steps())
    with guard.watching():
        send(signal.SIGINT)
        send(signal.SIGINT)
        send(signal.SIGTERM)
        assert guard.stopped_by == signal.SIGINT
    send(signal.SIGINT)  # its own training is over; it still has to say so
    later = Guard(Team(size=2), Steps())
    monkeypatch.setattr(interruptions, "_ECHO_SECONDS", 0.0)
    with later.watching():
        send(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_a_signal_at_the_last_step_changes_nothing(
    prepared: Corpus, whole: Any, tmp_path: Path
) -> None:
    ended = learn(taught(prepared), tmp_path, Doing(11, lambda: send(signal.SIGTERM)))
    assert_same_run(ended, whole)


def test_a_run_is_saved_from_time_to_time(
    prepared: Corpus, whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interruptions, "SECONDS_BETWEEN_SAVES", 0.0)
    with pytest.raises(KeyboardInterrupt):
        learn(taught(prepared), tmp_path, Steps(6))
    assert checkpoints(tmp_path) == [3, 5]  # the best one, and the last
    assert_same_run(learn(taught(prepared), tmp_path), whole)


def test_a_finished_run_takes_no_further_step_wherever_its_folder_lies(
    prepared: Corpus, tmp_path: Path
) -> None:
    best_at_3 = Scripted(0.0, 0.5, 0.1, 0.2, 0.3)
    ended = learn(lesson(prepared, RANDOM, best_at_3), tmp_path / "before")
    assert ended.trained.best_step == 3
    shutil.move(tmp_path / "before", tmp_path / "after")
    assert_same_run(learn(lesson(prepared, RANDOM), tmp_path / "after"), ended)


PATIENT = settings_for(max_steps=12, evaluations=12, patience=3)
FOUND = (0.0, 0.1, 0.3, 0.2, 0.1, 0.2, 0.5)  # the best at 2, and the third worse one at 5


@pytest.mark.parametrize("stop_at", [4, 5])
def test_patience_outlives_an_interruption(prepared: Corpus, tmp_path: Path, stop_at: int) -> None:
    unbroken = learn(lesson(prepared, PATIENT, Scripted(*FOUND)), tmp_path / "whole")
    assert (unbroken.trained.last_step, unbroken.trained.best_step) == (5, 2)
    found, folder = Scripted(*FOUND), tmp_path / "stopped"
    with pytest.raises(Stopped, match=f"stopped at step {stop_at} of 12"):
        learn(
            lesson(prepared, PATIENT, found), folder, Doing(stop_at, lambda: send(signal.SIGTERM))
        )
    assert_same_run(learn(lesson(prepared, PATIENT, found), folder), unbroken)


@pytest.fixture
def limit() -> Iterator[Callable[[int], None]]:
    """Lets no file of this process grow beyond so many bytes, until the test ends."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def most(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield most
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of 8 MB; only root may have one."""
    with tempfile.TemporaryDirectory() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder]
        if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("a file system can be mounted by root only")
        yield Path(folder)
        subprocess.run(["umount", "--lazy", folder], check=True)


# The weights take some 130 kB, Adam's moments twice that.
@pytest.mark.parametrize("size", [1_000, 60_000, 200_000])
def test_a_file_that_may_not_grow_stops_a_run_and_it_goes_on(
    prepared: Corpus, whole: Any, tmp_path: Path, limit: Callable[[int], None], size: int
) -> None:
    folder = tmp_path / "sample" / "mine"
    with pytest.raises(WorkspaceError) as error:
        learn(taught(prepared), folder, Doing(5, lambda: limit(size)))
    limit(resource.RLIM_INFINITY)
    assert error.value.message.startswith(
        f"no room to write in {folder}; the checkpoint of step 3 is kept: "
    )
    assert error.value.fix == (
        "make room, then genrec finetune --resume --dataset sample --name mine"
    )
    assert checkpoints(folder) == [3]
    assert_same_run(learn(taught(prepared), folder), whole)


@pytest.mark.parametrize("left", [60_000, 200_000])
def test_a_full_disk_stops_a_run_and_it_goes_on(
    prepared: Corpus, whole: Any, small_disk: Path, left: int
) -> None:
    ballast = small_disk / "ballast"

    def fill() -> None:
        ballast.write_bytes(b"\0" * (shutil.disk_usage(small_disk).free - left))

    with pytest.raises(WorkspaceError, match="no room to write in .* step 3 is kept: "):
        learn(taught(prepared), small_disk / "run", Doing(5, fill))
    assert shutil.disk_usage(small_disk).free >= left - 20_000  # for the training curve
    ballast.unlink()
    assert_same_run(learn(taught(prepared), small_disk / "run"), whole)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_quota_is_told_from_other_errors(
    prepared: Corpus, tmp_path: Path, number: int
) -> None:
    def failing(number: int) -> Doing:
        def fail() -> None:
            raise OSError(number, os.strerror(number))

        return Doing(2, fail)

    with pytest.raises(WorkspaceError) as full:
        learn(taught(prepared), tmp_path, failing(number))
    assert full.value.message == f"no room to write in {tmp_path}: {os.strerror(number)}"
    with pytest.raises(PermissionError):
        learn(taught(prepared), tmp_path, failing(errno.EACCES))
