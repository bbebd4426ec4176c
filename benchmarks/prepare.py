"""Time and peak memory of `genrec prepare` beside polars, DuckDB and pandas doing the same work.

    python benchmarks/prepare.py [--rows 25000095] [--runs 3] [--shuffle] [--only genrec,polars]
    python benchmarks/prepare.py --python RIVALS/bin/python    # where the rivals are installed
    python benchmarks/prepare.py --huge                        # genrec alone: 250 M rows in 4 GB

A log of ML-25M's shape is made once (`biglog.py`) and kept in `--folder`; `--source` takes a real
one. Every run is a process of its own, from its start to its end, so times and memory include the
start of Python and all imports. The contenders take turns (round 1: each once, round 2: …), so
that a noisy machine is noisy for all. The log is read once before the first round: what is timed
is the work, with the file in the page cache where it fits there, and not the disk.

Contenders: `floor`, `pyarrow.csv.read_csv` and nothing else; `genrec`, the whole command, which
also checks the log and records hashes; and the scripts in `rivals_prepare.py`. The rivals may
read ids as integers, the fastest that suits this log; genrec reads them as strings. A contender
that is not installed is left out, aloud. All datasets must agree: users, items, events, and sums
over times, item counts and lengths. Peak is the largest resident set of the process (`ru_maxrss`;
of a file that is mapped it counts the pages) or, if larger, of it and its children together, every
0.1 s. Budgets: `genrec` within 3.5 times `floor`, faster than polars, 3 times as fast as pandas.
"""

import argparse
import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
ROWS, HUGE_ROWS, HUGE_LIMIT = 25_000_095, 250_000_000, "4GB"
CONTENDERS = ("floor", "genrec", "polars", "duckdb", "pandas")
TICK = 0.1  # seconds between looks at a running process

# Run apart, since a child's ru_maxrss starts at the size of the process that starts it.
FACTS = """
import glob, json, sys
import numpy as np, pyarrow.parquet as pq
catalog, sequences = (
    pq.read_table(glob.glob(f"{sys.argv[1]}/**/{name}.parquet", recursive=True)[0])
    for name in ("catalog", "sequences")
)
items, times = (sequences[name].combine_chunks() for name in ("items", "timestamps"))
ends = items.offsets.to_numpy()[1:]
steps = np.diff(times.values.to_numpy())
steps[ends[:-1] - 1] = 0
assert (steps >= 0).all(), "a user's events are not in order"
print(json.dumps({
    "users": len(sequences), "items": len(catalog), "events": len(items.values),
    "training": int(catalog["train_count"].to_numpy().sum()),
    "times": int(times.values.to_numpy().sum()),
    "squares": int((np.bincount(items.values.to_numpy()) ** 2).sum()),
    "lengths": int((items.value_lengths().to_numpy().astype(np.int64) ** 2).sum()),
}))
"""


@dataclass(frozen=True)
class Run:
    """One run of one contender.

    Attributes:
        seconds: from start to end of the process.
        cpu: seconds of all cores, of the process and its children.
        peak: resident bytes at their most.
        scratch: bytes in the output folder at their most.
    """

    seconds: float
    cpu: float
    peak: int
    scratch: int


@dataclass
class Contender:
    """A command, which gets the name of a fresh folder where it says OUT, and its runs so far."""

    name: str
    command: list[str]
    runs: list[Run]
    facts: Mapping[str, int] | None = None


say = Console(stderr="--json" in sys.argv, highlight=False)


def measure(command: list[str], out: Path, *, watch: bool = False) -> Run:
    """Run a command to its end; `watch` measures the output folder, too.

    Raises:
        RuntimeError: it failed; with the end of what it said.
    """
    most = {"peak": 0, "scratch": 0}
    done = threading.Event()
    with tempfile.TemporaryFile() as said:
        start = time.monotonic()
        process = subprocess.Popen(command, stdout=said, stderr=said)

        def look() -> None:
            while not done.wait(TICK):
                most["peak"] = max(most["peak"], _resident(process.pid))
                most["scratch"] = max(most["scratch"], _size(out) if watch else 0)

        looker = threading.Thread(target=look)
        looker.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        done.set()
        looker.join()
        if process.returncode:
            said.seek(0)
            text = said.read().decode(errors="replace").strip()
            raise RuntimeError(f"exit {process.returncode}: {text[-500:]}")
    peak = max(most["peak"], usage.ru_maxrss * 1024)
    return Run(seconds, usage.ru_utime + usage.ru_stime, peak, most["scratch"])


def _resident(pid: int) -> int:
    """Resident bytes of a process and all its children, 0 where it is gone."""
    try:
        root = psutil.Process(pid)
        family = root.children(recursive=True)
        # Alone, ru_maxrss says it better.
        return sum(one.memory_info().rss for one in [root, *family]) if family else 0
    except psutil.Error:
        return 0


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            total += path.lstat().st_size
    return total


def contenders(arguments: argparse.Namespace, source: Path) -> list[Contender]:
    """Those asked for that are installed; says which are not."""
    genrec = str(Path(sys.executable).with_name("genrec"))
    least = ["--min-user", "5", "--min-item", "5"]
    command = [genrec, "prepare", "movielens", "--source", str(source), "--workspace", "OUT"]
    command += ["--name", "log", *least, "--quiet"]
    if arguments.memory_limit:
        command += ["--memory-limit", arguments.memory_limit]
    found = []
    for name in arguments.only:
        if name == "genrec":
            found.append(Contender(name, command, []))
            continue
        python = sys.executable if name == "floor" else arguments.python
        package = "pyarrow" if name == "floor" else name
        look = f"import importlib.util as u, sys; sys.exit(u.find_spec({package!r}) is None)"
        if subprocess.run([python, "-c", look], check=False).returncode:
            say.print(f"[yellow]{name} is left out: {python} has no {package}[/]")
            continue
        script = str(HERE / "rivals_prepare.py")
        found.append(Contender(name, [python, script, name, str(source), "OUT"], []))
    return found


def one_run(contender: Contender, folder: Path, *, watch: bool, check: bool) -> None:
    """Run a contender once into a fresh folder, and look at what it wrote the first time."""
    out = Path(tempfile.mkdtemp(dir=folder, prefix=f"{contender.name}-"))
    try:
        command = [str(out) if word == "OUT" else word for word in contender.command]
        contender.runs.append(measure(command, out, watch=watch))
        if check and contender.facts is None and contender.name != "floor":
            read = [sys.executable, "-c", FACTS, str(out)]
            contender.facts = json.loads(
                subprocess.run(read, check=True, capture_output=True).stdout
            )
    finally:
        shutil.rmtree(out)
    run = contender.runs[-1]
    say.print(f"{contender.name:7} {run.seconds:7.2f} s  {run.peak / 1e9:5.2f} GB")


def summary(ran: list[Contender]) -> list[dict[str, Any]]:
    """A row a contender: median, least and most, and ratios of medians."""
    rows: list[dict[str, Any]] = []
    for one in ran:
        seconds = [run.seconds for run in one.runs]
        rows.append(
            {
                "name": one.name,
                "seconds": statistics.median(seconds),
                "fastest": min(seconds),
                "slowest": max(seconds),
                "cpu_seconds": statistics.median(run.cpu for run in one.runs),
                "peak_gb": max(run.peak for run in one.runs) / 1e9,
                "scratch_gb": max(run.scratch for run in one.runs) / 1e9,
                "facts": one.facts,
                "runs": [asdict(run) for run in one.runs],
            }
        )
    medians = {row["name"]: row["seconds"] for row in rows}
    for row in rows:
        for other in ("floor", "genrec"):
            if other in medians:
                row[f"to_{other}"] = row["seconds"] / medians[other]
    return rows


def show(rows: list[dict[str, Any]], title: str) -> None:
    """Print the rows as a table."""
    columns = {
        "wall s": "seconds", "min": "fastest", "max": "slowest", "CPU s": "cpu_seconds",
        "peak GB": "peak_gb", "scratch GB": "scratch_gb", "÷ floor": "to_floor",
        "÷ genrec": "to_genrec",
    }  # fmt: skip
    columns = {head: key for head, key in columns.items() if any(row.get(key) for row in rows)}
    table = Table("", title=title)
    for head in columns:
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(row["name"], *(f"{row[key]:.2f}" for key in columns.values()))
    say.print(table)


def find_log(arguments: argparse.Namespace) -> Path:
    """The folder of the log, made where it is missing, and read once."""
    source: Path = arguments.source or arguments.folder / (
        f"log-{arguments.rows}" + ("-shuffled" if arguments.shuffle else "")
    )
    if not (source / "ratings.csv").exists():
        say.print(f"making {source}")
        command = [sys.executable, str(HERE / "biglog.py"), str(source)]
        command += ["--rows", str(arguments.rows), *(["--shuffle"] if arguments.shuffle else [])]
        subprocess.run(command, check=True)
    with (source / "ratings.csv").open("rb") as file:
        while file.read(1 << 24):
            pass
    return source.resolve()


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, help="of the log that is made")
    parser.add_argument("--runs", type=int, help="of each contender; default: 3")
    parser.add_argument("--shuffle", action="store_true", help="a log in random order")
    parser.add_argument("--only", type=lambda text: text.split(","), help="contenders, by commas")
    parser.add_argument("--memory-limit", help="passed to genrec")
    parser.add_argument("--huge", action="store_true", help="genrec alone, 250 M rows in 4 GB")
    parser.add_argument("--python", default=sys.executable, help="that the rivals run in")
    parser.add_argument("--source", type=Path, help="folder of a real log, instead of a made one")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir(), "genrec-bench"))
    parser.add_argument("--json", action="store_true", help="on stdout; the table on stderr")
    arguments = parser.parse_args()
    if arguments.huge:
        arguments.memory_limit = arguments.memory_limit or HUGE_LIMIT
        arguments.only = ["genrec"]
    arguments.rows = arguments.rows or (HUGE_ROWS if arguments.huge else ROWS)
    arguments.runs = arguments.runs or (1 if arguments.huge else 3)
    arguments.only = arguments.only or list(CONTENDERS)
    if unknown := set(arguments.only) - set(CONTENDERS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(CONTENDERS)}")
    return arguments


def main() -> None:
    """Run the rounds; a contender that fails once is out."""
    arguments = parse()
    source = find_log(arguments)
    ran = contenders(arguments, source)
    failed = {}
    for turn in range(arguments.runs):
        say.print(f"round {turn + 1} of {arguments.runs}")
        for one in [one for one in ran if one.name not in failed]:
            try:
                # What 250 M rows gave would not fit into memory to be looked at.
                one_run(one, arguments.folder, watch=arguments.huge, check=not arguments.huge)
            except RuntimeError as error:
                failed[one.name] = str(error)
                say.print(f"{one.name} failed: {error}", style="red", markup=False)
    ran = [one for one in ran if one.name not in failed]
    rows = summary(ran)
    if rows:
        show(rows, f"{source}: {len(os.sched_getaffinity(0))} cores, {arguments.runs} runs")
    facts = {one.name: one.facts for one in ran if one.facts}
    for name, found in facts.items():
        counts = ", ".join(f"{found[key]:,} {key}" for key in ("users", "items", "events"))
        say.print(f"{name:7} {counts}")
    if arguments.json:
        limit = arguments.memory_limit
        print(
            json.dumps(
                {
                    "log": str(source),
                    "log_bytes": (source / "ratings.csv").stat().st_size,
                    "machine": platform.platform(),
                    "cores": len(os.sched_getaffinity(0)),
                    "memory_limit": limit,
                    "rows": rows,
                    "failed": failed,
                }
            )
        )
    assert len({json.dumps(found) for found in facts.values()}) <= 1, "the contenders disagree"
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
