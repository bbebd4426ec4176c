"""`genrec` as a person at a terminal runs it, in this process or in one of its own."""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv
from typer.testing import CliRunner

from genrec_cli.cli import app

ISOLATED: Final = {
    "HF_HUB_OFFLINE": "1",
    # Nothing listens there: whoever tries the network is refused at once.
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "NO_PROXY": "",
    "no_proxy": "",
    "COLUMNS": "200",
    "TERMINAL_WIDTH": "200",
    "TERM": "dumb",
    "_TYPER_FORCE_DISABLE_TERMINAL": "1",
    "PYTHONIOENCODING": "utf-8",
}
TINY_RUN: Final = "validation_users: 8\nevaluations: 1\nbatch_size: 8\nmicro_batch_tokens: 2048\n"

_PATIENCE: Final = 120  # seconds

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Standard output, which must be one JSON object and nothing else."""
        document = json.loads(self.out)
        assert isinstance(document, dict)
        return document


@dataclass(frozen=True)
class Console:
    """Runs `genrec` in a workspace, cut off from the network and from the user's caches."""

    workspace: Path

    @property
    def environment(self) -> dict[str, str]:
        """Variables of the commands; hub and cache folders lie beside the workspace."""
        beside = self.workspace.parent
        return ISOLATED | {
            "GENREC_WORKSPACE": str(self.workspace),
            "GENREC_CACHE": str(beside / "cache"),
            "HF_HOME": str(beside / "hub"),
        }

    def __call__(self, *args: str | Path) -> Outcome:
        """Run in this process; a bug's traceback goes through to the test."""
        with _restored():
            os.environ.pop("FORCE_COLOR", None)
            runner = CliRunner(env=self.environment)
            result = runner.invoke(app, [str(arg) for arg in args], catch_exceptions=False)
        return Outcome(result.exit_code, result.stdout, result.stderr)

    def done(self, *args: str | Path) -> Outcome:
        """Run in this process, and insist that it went well."""
        outcome = self(*args)
        assert outcome.code == 0, outcome.err
        return outcome

    def in_its_own_process(self, *args: str, environment: Mapping[str, str]) -> Outcome:
        """Run in a process of its own, with some variables of its own."""
        process = self.start(*args, environment=environment)
        out, err = process.communicate(timeout=300)
        return Outcome(process.returncode, out, err)

    def start(
        self,
        *args: str | Path,
        environment: Mapping[str, str] = MappingProxyType({}),
        launcher: Sequence[str] = (),
    ) -> "subprocess.Popen[str]":
        """Start a process group of its own, to be killed or waited for; by a launcher if named."""
        return subprocess.Popen(
            [sys.executable, *launcher, "-m", "genrec_cli", *map(str, args)],
            env={**os.environ, **self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )


def kill_when(
    process: "subprocess.Popen[str]", ripe: Callable[[], bool], after: float = 0.0
) -> None:
    """Kill a process so many seconds after a condition holds; it must not have ended before."""
    with process:
        end = time.monotonic() + _PATIENCE
        while not ripe():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < end
            time.sleep(0.002)
        time.sleep(after)
        process.kill()
        process.communicate()
    assert process.returncode == -9


@contextmanager
def _restored() -> Iterator[None]:
    """Undo what the program does to its own process: variables, and logs turned off."""
    before, disabled = dict(os.environ), logging.root.manager.disable
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        logging.disable(disabled)


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Rows of a Parquet file."""
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def movielens_folder(folder: Path, *, users: int, items: int, events: int) -> Path:
    """Random ratings laid out as MovieLens 20M and later; each user meets the items in turn."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    user = np.arange(events) % users
    columns = {
        "userId": user + 1,
        "movieId": (user * 7 + np.arange(events) // users) % items + 1,
        "rating": generator.integers(1, 6, events),
        "timestamp": generator.integers(0, 10**9, events),
    }
    csv.write_csv(pa.table(columns), folder / "ratings.csv")
    titles = [f"Film {item} ({1900 + item % 100})" for item in range(1, items + 1)]
    movies = {"movieId": range(1, items + 1), "title": titles, "genres": ["Drama"] * items}
    csv.write_csv(pa.table({k: pa.array(v) for k, v in movies.items()}), folder / "movies.csv")
    return folder
