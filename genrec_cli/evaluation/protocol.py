"""Full ranking of held-out items: every system gets the same users, candidates and questions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from genrec_cli.core.progress import Progress
from genrec_cli.core.provenance import Stopwatch, peak_memory_gb
from genrec_cli.core.schema import ITEM_ID, RANK, USER_ID
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import Cases
from genrec_cli.evaluation.evidence.intervals import bootstrap_interval
from genrec_cli.evaluation.metrics import (
    METRICS,
    Figures,
    Placement,
    place_in_ranking,
    place_in_scores,
)
from genrec_cli.evaluation.tuning import choose_weight
from genrec_cli.recommenders.base import Recommender, Scorer
from genrec_cli.recommenders.hybrid import Hybrid

_USERS_AT_ONCE = 64  # scores of a 62k catalog take 16 MB, and progress moves


class Lists(NamedTuple):
    """What some users got.

    Attributes:
        items: int32, [users, k]; None where the whole catalog was scored.
        proven: of how many users it is known that no other item belongs there.
    """

    items: NDArray[np.int32] | None
    proven: int


@dataclass(frozen=True)
class Evaluation:
    """What one system reached.

    Attributes:
        system: its name.
        placement: where each user's target stood.
        exact: share of users whose ranking is proven to be the system's true one.
        items: int32, [users, k]; what was listed, -1 for nothing or for what is no item; None: the
            whole catalog was scored.
        fit_seconds: wall time of fitting, or of loading what was trained before.
        rank_seconds: wall time of ranking all users.
        peak_gb: largest memory of the process so far.
    """

    system: str
    placement: Placement
    exact: float
    items: NDArray[np.int32] | None
    fit_seconds: float
    rank_seconds: float
    peak_gb: float


def evaluate(
    system: Recommender, dataset: Dataset, cases: Cases, k: int, seed: int, progress: Progress
) -> Evaluation:
    """Fit a system and rank the whole catalog, minus each user's history, for every case.

    A target that stands in its own history (a repeat) stays a candidate.
    """
    watch = Stopwatch()
    system.fit(dataset, seed)
    if isinstance(system, Hybrid) and system.weight is None:
        choose_weight(system, dataset, seed, progress)
    fitted = watch.seconds
    with progress.task(f"{system.name}: ranking", len(cases), "users") as task:
        parts = []
        for part in cases.batches(_USERS_AT_ONCE):
            parts.append(_place(system, part, k))
            task.advance(len(part))
    placements, lists = zip(*parts, strict=True)
    return Evaluation(
        system=system.name,
        placement=Placement(
            above=np.concatenate([part.above for part in placements]),
            tied=np.concatenate([part.tied for part in placements]),
        ),
        exact=sum(part.proven for part in lists) / len(cases),
        items=None if lists[0].items is None else np.concatenate([part.items for part in lists]),
        fit_seconds=round(fitted, 3),
        rank_seconds=round(watch.seconds - fitted, 3),
        peak_gb=round(peak_memory_gb(), 3),
    )


def figures(placement: Placement, cutoffs: Sequence[int]) -> dict[str, Figures]:
    """Every metric of every user: "HR@5" -> [users], and so on."""
    return {
        f"{name}@{k}": metric(placement, k) for k in cutoffs for name, metric in METRICS.items()
    }


def summary(evaluation: Evaluation, cutoffs: Sequence[int], seed: int) -> dict[str, Any]:
    """One row of the table: means over users, with 95 % bootstrap intervals."""
    row: dict[str, Any] = {"system": evaluation.system, "users": len(evaluation.placement.above)}
    for name, values in figures(evaluation.placement, cutoffs).items():
        row[name] = float(values.mean())
        row[f"{name}_ci"] = list(bootstrap_interval(values, seed))
    for k in cutoffs:
        row[f"valid@{k}"], row[f"unique@{k}"] = _shares(evaluation.items, k)
    row["exact"] = evaluation.exact
    row["fit_seconds"] = evaluation.fit_seconds
    row["rank_seconds"] = evaluation.rank_seconds
    row["peak_gb"] = evaluation.peak_gb
    return row


def per_user_table(
    evaluation: Evaluation, dataset: Dataset, cases: Cases, cutoffs: Sequence[int]
) -> pa.Table:
    """One row a user: her target, the best rank it may have, how many share it, the metrics."""
    columns: dict[str, Any] = {
        "system": [evaluation.system] * len(cases),
        USER_ID: [dataset.user_ids[row] for row in cases.rows],
        ITEM_ID: [dataset.item_ids[item] for item in cases.targets],
        RANK: pa.array(evaluation.placement.above + 1, pa.int64()),
        "tied": pa.array(evaluation.placement.tied, pa.int64()),
    }
    return pa.table({**columns, **figures(evaluation.placement, cutoffs)})


def _shares(items: NDArray[np.int32] | None, k: int) -> tuple[float, float]:
    """Share of the k places that hold an item, and that hold one for the first time."""
    if items is None:
        return 1.0, 1.0
    lists = np.sort(items[:, :k], axis=1)
    valid = lists >= 0
    first = np.diff(lists, axis=1, prepend=-1) > 0
    return float(valid.mean()), float((valid & first).mean())


def _place(system: Recommender, cases: Cases, k: int) -> tuple[Placement, Lists]:
    """Where targets stand, and what is known of the lists."""
    if isinstance(system, Scorer):
        placement = place_in_scores(system.scores(cases.histories), cases.seen, cases.targets)
        return placement, Lists(None, len(cases))
    ranking = system.rank(cases.histories, k, cases.seen)
    return place_in_ranking(ranking, cases.targets), Lists(ranking.items, int(ranking.exact.sum()))
