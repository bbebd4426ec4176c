"""What the engine of a Ray cluster runs on the nodes.

A task gives the same result whenever and wherever it runs, for Ray runs it again when its worker
or its result is lost.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from genrec_cli.core.errors import WorkspaceError
from genrec_cli.core.schema import SEQUENCES
from genrec_cli.data.engine.finishing import PARQUET, Finish, Finished, finish
from genrec_cli.data.engine.grouping import Summary, Window, group
from genrec_cli.data.engine.numbering import renumber
from genrec_cli.data.engine.ordering import Heads, Order, order
from genrec_cli.data.engine.tables import KEY, numbers, section_starts
from genrec_cli.data.rawlog import Block

T = TypeVar("T")


def group_blocks(window: Window, edges: Sequence[int], *blocks: Block) -> tuple[Any, ...]:
    """Summaries of blocks, then for each partition the slices of their runs."""
    summaries: list[Summary] = []
    slices: list[list[pa.Table]] = [[] for _ in edges[1:]]
    for block in blocks:
        run, summary = group(block.read(), window)
        summaries.append(summary)
        starts = section_starts(numbers(run, KEY))[list(edges)]
        for place, (first, last) in enumerate(pairwise(starts.tolist())):
            slices[place].append(run.slice(first, last - first))
    return summaries, *slices


def order_slices(rule: Order, *pieces: Any) -> tuple[Heads, pa.Table]:
    """Merge a partition from the codes of all batches and its slices of them."""
    batches = len(pieces) // 2
    codes: list[NDArray[np.int32]] = [each for batch in pieces[:batches] for each in batch]
    slices: list[pa.Table] = [each for batch in pieces[batches:] for each in batch]
    partition, heads = order([renumber(*pair) for pair in zip(slices, codes, strict=True)], rule)
    return heads, partition


def apply(function: Callable[..., T], columns: list[str], partition: pa.Table, *shared: Any) -> T:
    """Call a function on some columns of a partition."""
    return function(partition.select(columns), *shared)


def finish_part(partition: pa.Table, how: Finish, path: Path) -> Finished:
    """Write a partition's sequences; what comes back has none."""
    done = finish(partition, how)
    # Ray may run a task twice at a time, when it takes a node for dead that is not.
    draft = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        pq.write_table(done.sequences, draft, **PARQUET)
    except FileNotFoundError:
        raise not_shared(path) from None
    draft.replace(path)
    return replace(done, sequences=SEQUENCES.empty_table())


def not_shared(path: Path) -> WorkspaceError:
    """The error for a file that one machine has and another has not."""
    return WorkspaceError(
        f"{path} was written on a node of the Ray cluster and is not there on this machine, or the "
        "other way round",
        "put the workspace on storage that all nodes have mounted at the same path (--workspace)",
    )
