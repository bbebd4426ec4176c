"""Choosing settings on validation items: a baseline's own, and the weight of an item prior."""

from pathlib import Path
from typing import Any, Final

import numpy as np

from genrec_cli.core.progress import Progress
from genrec_cli.core.provenance import versions
from genrec_cli.core.workspace import read_json, write_json
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import held_out, sample_rows
from genrec_cli.evaluation.metrics import ndcg, place_in_ranking, place_in_scores
from genrec_cli.recommenders.baseline import Baseline
from genrec_cli.recommenders.hybrid import Hybrid

WEIGHTS: Final = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)
USERS: Final = 512  # asked for every weight; a language model takes a while for each
_BASELINE_USERS: Final = 2048
_K: Final = 10
_USERS_AT_ONCE: Final = 64


def choose_settings(system: Baseline, dataset: Dataset, progress: Progress) -> list[dict[str, Any]]:
    """Have a fitted baseline use those of its grid with the best NDCG@10 on validation items.

    They are of at most 2,048 users, the same for every baseline; of equally good settings the
    first are chosen.

    Returns:
        What the choice was made by: each settings' NDCG@10.
    """
    if len(system.grid) == 1:
        return []
    rows = sample_rows(dataset, "validation", _BASELINE_USERS, 0)
    cases = held_out(dataset, "validation", rows)
    if len(cases) == 0:
        return []
    totals = np.zeros(len(system.grid))
    title = f"{system.name}: choosing its settings"
    with progress.task(title, len(cases) * len(system.grid), "users") as task:
        for place, settings in enumerate(system.grid):
            system.use(settings)
            for part in cases.batches(_USERS_AT_ONCE):
                scores = system.scores(part.histories)
                placement = place_in_scores(scores, part.seen, part.targets)
                totals[place] += ndcg(placement, _K).sum()
                task.advance(len(part))
    best = system.grid[int(totals.argmax())]
    if system.settings != best:
        system.use(best)
    return [
        {"settings": dict(settings), "NDCG@10": total / len(cases)}
        for settings, total in zip(system.grid, totals.tolist(), strict=True)
    ]


def choose_weight(system: Hybrid, dataset: Dataset, seed: int, progress: Progress) -> None:
    """Set a fitted hybrid's weight to the one with the best NDCG@10 on the validation items.

    The sample is seeded, of at most 512 users; of equally good weights the smallest is chosen.
    """
    cases = held_out(dataset, "validation", sample_rows(dataset, "validation", USERS, seed))
    totals = np.zeros(len(WEIGHTS))
    with progress.task(f"{system.name}: choosing its weight", len(cases), "users") as task:
        for part in cases.batches(_USERS_AT_ONCE):
            rankings = system.rank_by_weight(part.histories, _K, part.seen, WEIGHTS)
            placements = [place_in_ranking(ranking, part.targets) for ranking in rankings]
            totals += [ndcg(placement, _K).sum() for placement in placements]
            task.advance(len(part))
    system.validation = dict(zip(WEIGHTS, (totals / max(1, len(cases))).tolist(), strict=True))
    system.weight = WEIGHTS[int(totals.argmax())]


def recall_weight(
    system: Hybrid, file: Path, dataset: Dataset, seed: int, progress: Progress
) -> None:
    """Set a fitted hybrid's weight to what a file remembers, else choose it and write the file.

    A weight that was chosen with another search, or with another prior, is chosen again.
    """
    identity = dict(system.identity())
    kept = read_json(file) if file.exists() else {}
    if kept.get("identity") == identity and "weight" in kept:
        system.weight = float(kept["weight"])
    else:
        choose_weight(system, dataset, seed, progress)
        figures = {str(weight): value for weight, value in system.validation.items()}
        made = {"weight": system.weight, "identity": identity, "seed": seed, "users": USERS}
        write_json(file, {**made, "NDCG@10": figures, "versions": versions()})
    progress.note(f"{system.name}: weight {system.weight:g}, chosen on validation items")
