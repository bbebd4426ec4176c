"""The engine of a Ray cluster: tasks on its nodes, results in their shared memory.

A node may die at any time: Ray makes lost results anew from their arguments. Only the driver cannot
die, which is this process. Workers import genrec themselves: every node needs the same version of
it, of Python and of the libraries, as `pip install -c constraints.txt 'genrec-cli[ray]'` gives
them. What the log says and what is made of it lies in the memory of the nodes, and on their disks
where Ray spills it; blocks of text stay until the end, for a lost result may need them again.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from genrec_cli.core.progress import Progress
from genrec_cli.data.engine.cluster_session import fetch
from genrec_cli.data.engine.cluster_tasks import (
    apply,
    finish_part,
    group_blocks,
    not_shared,
    order_slices,
)
from genrec_cli.data.engine.finishing import Finish, Finished
from genrec_cli.data.engine.grouping import Window
from genrec_cli.data.engine.numbering import Numbering
from genrec_cli.data.engine.ordering import Heads, Order
from genrec_cli.data.engine.tables import SECTIONS
from genrec_cli.data.rawlog import RawLog

A = TypeVar("A")
T = TypeVar("T")

_PER_PROCESSOR = 4  # partitions; several, so that no node waits long for the others
_AT_WORK = 2  # tasks for each processor that run or wait; more would only fill the memory

# A block's slices for the partitions are to have more than 100 kB each: smaller ones would pile up
# in the driver's memory. A block of text groups to some 4 MB.
_SLICES_OF_A_BLOCK = 32

_RETRIES = 10


class RayEngine:
    """Works on all nodes of a cluster.

    Args:
        ray: what `cluster_session.session` yields.
        partitions: how many; None: some for each processor of the cluster.
    """

    def __init__(self, ray: Any, partitions: int | None = None) -> None:
        processors = max(1, int(ray.cluster_resources().get("CPU", 1)))
        count = min(partitions or _PER_PROCESSOR * processors, SECTIONS)
        self._ray = ray
        self._at_work = _AT_WORK * processors
        self._edges = [place * SECTIONS // count for place in range(count + 1)]
        self._slices: list[list[Any]] = [[] for _ in range(count)]
        self._codes: list[Any] = []
        self._partitions: list[Any] = []

    def ingest(self, log: RawLog, window: Window, progress: Progress) -> Numbering:
        """Read and group the whole log."""
        book = Numbering()
        self._slices = [[] for _ in self._slices]
        self._codes = []
        batches = _batched(log.blocks(progress), -(-len(self._slices) // _SLICES_OF_A_BLOCK))
        started = (
            self._start(group_blocks, len(self._slices), window, self._edges, *batch)
            for batch in batches
        )
        for summaries, slices in self._in_order(started):
            self._codes.append(self._ray.put([book.add(summary) for summary in summaries]))
            for place, piece in enumerate(slices):
                self._slices[place].append(piece)
        return book

    def order(self, rule: Order, progress: Progress) -> Heads:
        """Make sorted partitions of what was read."""
        shared = self._ray.put(rule)
        heads = Heads(0, 0, 0, 0)
        self._partitions = []
        started = (self._start(order_slices, 1, shared, *self._codes, *s) for s in self._slices)
        with progress.task("Ordering", len(self._slices), "parts") as task:
            for place, (counted, (partition,)) in enumerate(self._in_order(started)):
                self._slices[place].clear()
                self._partitions.append(partition)
                heads += counted
                task.advance()
        return heads

    def map(self, function: Callable[..., T], *shared: Any, columns: list[str]) -> Iterator[T]:
        """Call `function(partition, *shared)` on those columns of every partition, in order."""
        for_all = [self._ray.put(value) for value in shared]
        started = (
            self._start(apply, 0, function, columns, partition, *for_all)
            for partition in self._partitions
        )
        return (result for result, _ in self._in_order(started))

    def finish(self, how: Finish, target: Path, progress: Progress) -> Iterator[Finished]:
        """Finish every partition, in order, and write their sequences to files of a folder.

        Raises:
            WorkspaceError: the folder does not lie on storage that all nodes share.
        """
        shared = self._ray.put(how)
        target = target.absolute()
        target.mkdir(parents=True)
        paths = [target / f"part-{place:05}.parquet" for place in range(len(self._partitions))]
        work = zip(self._partitions, paths, strict=True)
        started = (self._start(finish_part, 0, partition, shared, path) for partition, path in work)
        with progress.task("Writing", len(paths), "parts") as task:
            for path, (done, _) in zip(paths, self._in_order(started), strict=True):
                if not path.is_file():
                    raise not_shared(path)
                yield done
                task.advance()
        for draft in target.glob(".*"):  # of a worker that died while it wrote
            draft.unlink(missing_ok=True)

    def _start(self, function: Callable[..., Any], others: int, *arguments: Any) -> list[Any]:
        """Start a task; references to its result, or to the first one and to the others."""
        task = self._ray.remote(function).options(
            num_returns=1 + others,
            num_cpus=1,
            max_retries=_RETRIES,  # of a task whose worker died, or whose result is lost
            retry_exceptions=False,
            scheduling_strategy="SPREAD",
        )
        references = task.remote(*arguments)
        return list(references) if others else [references]

    def _in_order(self, started: Iterable[list[Any]]) -> Iterator[tuple[Any, list[Any]]]:
        """First results of tasks and references to the others, with only a few tasks at a time."""
        waiting: deque[list[Any]] = deque()
        for references in started:
            waiting.append(references)
            if len(waiting) > self._at_work:
                first, *others = waiting.popleft()
                yield fetch(self._ray, first), others
        while waiting:
            first, *others = waiting.popleft()
            yield fetch(self._ray, first), others


def _batched(pieces: Iterable[A], size: int) -> Iterator[list[A]]:
    remaining = iter(pieces)
    while batch := list(islice(remaining, size)):
        yield batch
