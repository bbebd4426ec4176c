"""Full ranking of held-out items: every system gets the same users, candidates and questions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from genrec_cli.core.progress import Progress
from genrec_cli.core.provenance import Stopwatch, peak_memory_gb
from genrec_cli.core.schema import ITEM_ID, RANK, USER_ID
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import Cases
from genrec_cli.evaluation.intervals import bootstrap_interval
from genrec_cli.evaluation.metrics import (
    METRICS,
    Figures,
    Placement,
    place_in_ranking,
    place_in_scores,
)
from genrec_cli.recommenders.base import Recommender, Scorer

_USERS_AT_ONCE = 64  # scores of a 62k catalog take 16 MB, and progress moves


@dataclass(frozen=True)
class Evaluation:
    """What one system reached.

    Attributes:
        system: its name.
        placement: where each user's target stood.
        fit_seconds: wall time of fitting, or of loading what was trained before.
        rank_seconds: wall time of ranking all users.
        peak_gb: largest memory of the process so far.
    """

    system: str
    placement: Placement
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
    fitted = watch.seconds
    with progress.task(f"{system.name}: ranking", len(cases), "users") as task:
        parts = []
        for part in _batches(cases):
            parts.append(_place(system, part, k))
            task.advance(len(part))
    return Evaluation(
        system=system.name,
        placement=Placement(
            above=np.concatenate([part.above for part in parts]),
            tied=np.concatenate([part.tied for part in parts]),
        ),
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


def _place(system: Recommender, cases: Cases, k: int) -> Placement:
    exclude = [
        history[history != target]
        for history, target in zip(cases.histories, cases.targets, strict=True)
    ]
    if isinstance(system, Scorer):
        return place_in_scores(system.scores(cases.histories), exclude, cases.targets)
    return place_in_ranking(system.rank(cases.histories, k, exclude), cases.targets)


def _batches(cases: Cases) -> Iterator[Cases]:
    for start in range(0, len(cases), _USERS_AT_ONCE):
        part = slice(start, start + _USERS_AT_ONCE)
        yield Cases(cases.rows[part], cases.histories[part], cases.targets[part])
