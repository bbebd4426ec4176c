"""Time and memory of `genrec bench` with all classical baselines, anew and from what was kept.

    python benchmarks/bench.py WORKSPACE/data/ml-1m [SYSTEM ...]

The dataset is linked into a workspace of its own, where nothing was kept. Each bench is a process
of its own; the second one must give the same figures. Prints wall and CPU seconds (the machine may
be shared) and peak memory.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any


def benched(workspace: Path, systems: Sequence[str]) -> dict[str, Any]:
    """Run one bench, print what it took, and return its document."""
    named = ["--systems", ",".join(systems)] if systems else []
    command = [sys.executable, "-m", "genrec_cli", "bench", "--json", "--quiet", *named]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [*command, "--workspace", str(workspace)], stdout=subprocess.PIPE, check=True
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    document: dict[str, Any] = json.loads(done.stdout)
    peak = max(row["peak_gb"] for row in document["rows"])
    print(f"{wall:8.1f} s wall {cpu:8.1f} s CPU {peak:6.2f} GB at most", flush=True)
    return document


def main() -> None:
    """Bench twice and compare."""
    dataset, systems = Path(sys.argv[1]).resolve(), sys.argv[2:]
    with TemporaryDirectory() as folder:
        (Path(folder) / "data").mkdir()
        (Path(folder) / "data" / dataset.name).symlink_to(dataset)
        print("anew")
        first = benched(Path(folder), systems)
        print("from what was kept")
        second = benched(Path(folder), systems)
    for one, other in zip(first["rows"], second["rows"], strict=True):
        assert {**one, "cached": True} == other, one["system"]
        fit, rank = one["fit_seconds"], one["rank_seconds"]
        line = f"NDCG@10 {one['NDCG@10']:.4f}  fit {fit:7.1f} s  rank {rank:6.1f} s"
        print(f"{one['system']:12} {line}  {one['peak_gb']:5.2f} GB")


if __name__ == "__main__":
    main()
