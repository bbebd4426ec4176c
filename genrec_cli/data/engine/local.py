"""The engine of one machine: threads for its cores, and files for what does not fit."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pyarrow.parquet as pq

from genrec_cli.core.progress import Progress
from genrec_cli.core.schema import SEQUENCES
from genrec_cli.data.engine.finishing import PARQUET, Finish, Finished, finish
from genrec_cli.data.engine.grouping import Window, group
from genrec_cli.data.engine.numbering import Numbering, renumber
from genrec_cli.data.engine.ordering import Heads, Order, order
from genrec_cli.data.engine.shelf import Partitions, Runs
from genrec_cli.data.engine.tables import SECTIONS
from genrec_cli.data.rawlog import RawLog

A = TypeVar("A")
T = TypeVar("T")

# Bytes of runs that make a partition: small enough for the processor's cache to help with sorting,
# large enough for numpy's calls not to count.
_PARTITION = 8_000_000

# Shares of the memory limit. The rest is for the blocks at work, for sorting, and for Python.
_FOR_RUNS = 8
_FOR_PARTITIONS = 6


class LocalEngine:
    """Works within one process.

    Args:
        scratch: folder for spilled data; the caller removes it.
        memory_limit: bytes that the process shall not exceed.
        partition_bytes: size of partitions, as runs.
    """

    def __init__(self, scratch: Path, memory_limit: int, partition_bytes: int = _PARTITION) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        self._runs = Runs(scratch, memory_limit // _FOR_RUNS)
        self._partitions = Partitions(scratch, memory_limit // _FOR_PARTITIONS)
        self._partition_bytes = partition_bytes
        self._threads = min(os.cpu_count() or 1, 8)

    def ingest(self, log: RawLog, window: Window, progress: Progress) -> Numbering:
        """Read and group the whole log."""
        book = Numbering()
        blocks = log.blocks(progress)
        for run, summary in self._in_order(lambda block: group(block.read(), window), blocks):
            self._runs.add(renumber(run, book.add(summary)))
        return book

    def order(self, rule: Order, progress: Progress) -> Heads:
        """Make sorted partitions of what was read."""
        ranges = self._ranges()
        heads = Heads(0, 0, 0, 0)
        with progress.task("Ordering", len(ranges), "parts") as task:
            ordered = self._in_order(lambda ends: order(self._runs.read(*ends), rule), ranges)
            for partition, counted in ordered:
                self._partitions.add(partition)
                heads += counted
                task.advance()
        self._runs.clear()
        return heads

    def map(self, function: Callable[..., T], *shared: Any, columns: list[str]) -> Iterator[T]:
        """Call `function(partition, *shared)` on those columns of every partition, in order."""
        read = self._partitions.read
        places = range(self._partitions.count)
        return self._in_order(lambda place: function(read(place, columns), *shared), places)

    def finish(self, how: Finish, target: Path, progress: Progress) -> Iterator[Finished]:
        """Finish every partition, in order, and write their sequences to one file."""
        places = range(self._partitions.count)
        read = self._partitions.read
        with (
            pq.ParquetWriter(target, SEQUENCES, **PARQUET) as writer,
            progress.task("Writing", len(places), "parts") as task,
        ):
            for done in self._in_order(lambda place: finish(read(place), how), places):
                writer.write_table(done.sequences)
                yield done
                task.advance()

    def _ranges(self) -> list[tuple[int, int]]:
        """Ranges of sections that hold about the bytes of a partition."""
        ranges, first, held = [], 0, 0
        for section, size in enumerate(self._runs.section_bytes.tolist()):
            if held and held + size > self._partition_bytes:
                ranges.append((first, section))
                first, held = section, 0
            held += size
        return [*ranges, (first, SECTIONS)]

    def _in_order(self, function: Callable[[A], T], work: Iterable[A]) -> Iterator[T]:
        """Results in the order of the work, with only a few pieces at work or waiting."""
        waiting: deque[Future[T]] = deque()
        with ThreadPoolExecutor(self._threads) as pool:
            try:
                for piece in work:
                    waiting.append(pool.submit(function, piece))
                    if len(waiting) > self._threads:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()
