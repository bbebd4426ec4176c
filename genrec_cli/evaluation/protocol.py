"""Full ranking of held-out items: every system gets the same users, candidates and questions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genrec_cli.core.progress import Progress
from genrec_cli.core.provenance import Stopwatch, forget_peak_memory, peak_memory_gb
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import Cases
from genrec_cli.evaluation.metrics import Placement, place_in_ranking, place_in_scores
from genrec_cli.recommenders.base import Ranking, Recommender, Scorer, precedence, top_k

_USERS_AT_ONCE: Final = 64  # scores of a 62k catalog take 16 MB, and progress moves


@dataclass(frozen=True)
class Exam:
    """What every system is asked.

    Attributes:
        dataset: the whole one.
        cases: held-out items of some of its users, and their histories.
        k: length of the lists.
    """

    dataset: Dataset
    cases: Cases
    k: int

    @cached_property
    def places(self) -> NDArray[np.int32]:
        """Which of two items with equal scores is listed first."""
        return precedence(self.dataset)


@dataclass(frozen=True)
class Measured:
    """What one system did in an exam, with one seed.

    Attributes:
        placement: where each user's target stood.
        items: int32, [users, k]; what was listed, -1 for nothing or for what is no item.
        exact: bool, [users]; whether the list is proven to be the system's true one.
        fit_seconds: wall time of fitting, or of loading what was trained before.
        rank_seconds: wall time of ranking all users.
        peak_gb: largest memory of the process meanwhile.
        description: what the system says of itself.
    """

    placement: Placement
    items: NDArray[np.int32]
    exact: NDArray[np.bool_]
    fit_seconds: float
    rank_seconds: float
    peak_gb: float
    description: Mapping[str, Any]


def measure(
    system: Recommender,
    exam: Exam,
    seed: int,
    fit: Callable[[Recommender, int], float],
    progress: Progress,
) -> Measured:
    """Fit a system and rank the whole catalog for every case, minus what the user must not get.

    Args:
        system: not fitted yet.
        exam: what it is asked.
        seed: of what is random in it.
        fit: fits it on what it may know, and returns the seconds that took.
        progress: where ranking reports to.
    """
    forget_peak_memory()
    fit_seconds = fit(system, seed)
    watch = Stopwatch()
    parts = []
    with progress.task(f"{system.name}: ranking", len(exam.cases), "users") as task:
        for part in exam.cases.batches(_USERS_AT_ONCE):
            parts.append(_ask(system, part, exam))
            task.advance(len(part))
    placements, rankings = zip(*parts, strict=True)
    return Measured(
        placement=Placement(
            above=np.concatenate([part.above for part in placements]),
            tied=np.concatenate([part.tied for part in placements]),
        ),
        items=np.concatenate([part.items for part in rankings]),
        exact=np.concatenate([part.exact for part in rankings]),
        fit_seconds=round(fit_seconds, 3),
        rank_seconds=round(watch.seconds, 3),
        peak_gb=round(peak_memory_gb(), 3),
        description=dict(system.describe()),
    )


def _ask(system: Recommender, cases: Cases, exam: Exam) -> tuple[Placement, Ranking]:
    """Where targets stand, and the lists."""
    if isinstance(system, Scorer):
        scores = system.scores(cases.histories)
        ranking = top_k(scores, cases.seen, exam.k, exam.places)
        return place_in_scores(scores, cases.seen, cases.targets), ranking
    ranking = system.rank(cases.histories, exam.k, cases.seen)
    return place_in_ranking(ranking, cases.targets), ranking
