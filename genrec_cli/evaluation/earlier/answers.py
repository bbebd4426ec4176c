"""`per_user.parquet` of a finished bench, and whom it shares with another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from genrec_cli.core.errors import WorkspaceError
from genrec_cli.core.schema import ITEM_ID, SYSTEM, USER_ID
from genrec_cli.evaluation.earlier.benches import AGAIN, PER_USER_FILE, Bench
from genrec_cli.evaluation.metrics import Figures


@dataclass(frozen=True)
class Answers:
    """What every user got from every system of a bench.

    Attributes:
        users: raw ids, string [users].
        targets: raw id of the item that each was asked for, string [users].
        figures: system -> metric -> float64, [users].
    """

    users: pa.Array
    targets: pa.Array
    figures: Mapping[str, Mapping[str, Figures]]


class Pairs(NamedTuple):
    """Users of two benches who were asked for the same item in both.

    Attributes:
        first: int64, [pairs]; their places in the first bench.
        second: the same in the second.
        in_both: users of both, also those who were asked for different items.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    in_both: int


def read_answers(bench: Bench) -> Answers:
    """Read the figures of every user.

    Raises:
        WorkspaceError: the file is missing or damaged, or is not that of this `metrics.json`.
    """
    path = bench.folder / PER_USER_FILE
    if not path.is_file():
        raise WorkspaceError(f"{path} is missing", AGAIN)
    try:
        names = pq.read_schema(path).names
        metrics = [name for name in names if "@" in name]
        table = pq.read_table(path, columns=[SYSTEM, USER_ID, ITEM_ID, *metrics])
        parts = {
            system: table.filter(pc.equal(table[SYSTEM], system)).combine_chunks()
            for system in bench.systems
        }
        first = parts[bench.systems[0]]
        users, targets = _texts(first, USER_ID), _texts(first, ITEM_ID)
        same = all(_texts(part, USER_ID).equals(users) for part in parts.values())
    except (OSError, KeyError, pa.ArrowException) as error:
        raise WorkspaceError(f"{path} is damaged: {error}", AGAIN) from None
    if not (same and len(users)):
        message = f"{path} is damaged: it has not the same users for every system"
        raise WorkspaceError(message, AGAIN)
    figures = {
        system: {metric: part[metric].to_numpy().astype(np.float64) for metric in metrics}
        for system, part in parts.items()
    }
    return Answers(users, targets, figures)


def pair(first: Answers, second: Answers) -> Pairs:
    """Find the users who were asked for the same item in both, in the order of their ids."""
    places = pc.index_in(second.users, value_set=first.users)
    in_second = np.flatnonzero(pc.is_valid(places).to_numpy(zero_copy_only=False))
    # The seeds of resamples and flips count in this order, which no bench decides.
    in_second = in_second[pc.sort_indices(second.users.take(in_second)).to_numpy()]
    in_first = places.take(in_second).to_numpy().astype(np.int64)
    asked = pc.equal(first.targets.take(in_first), second.targets.take(in_second))
    same = asked.to_numpy(zero_copy_only=False)
    return Pairs(in_first[same], in_second[same], len(in_first))


def shared_metrics(first: Answers, second: Answers, systems: Sequence[str]) -> list[str]:
    """Metrics that were measured in both benches, in the order of the first."""
    return [name for name in first.figures[systems[0]] if name in second.figures[systems[0]]]


def _texts(table: pa.Table, name: str) -> pa.Array:
    return table[name].cast(pa.string()).combine_chunks()
