"""Choosing the weight of an item prior on validation items."""

from pathlib import Path
from typing import Final

import numpy as np

from genrec_cli.core.progress import Progress
from genrec_cli.core.provenance import versions
from genrec_cli.core.workspace import read_json, write_json
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import held_out, sample_rows
from genrec_cli.evaluation.metrics import ndcg, place_in_ranking
from genrec_cli.recommenders.hybrid import Hybrid

WEIGHTS: Final = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
USERS: Final = 512
_K: Final = 10
_USERS_AT_ONCE: Final = 64


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
    system.validation = dict(zip(WEIGHTS, (totals / len(cases)).tolist(), strict=True))
    system.weight = WEIGHTS[int(totals.argmax())]


def recall_weight(
    system: Hybrid, file: Path, dataset: Dataset, seed: int, progress: Progress
) -> None:
    """Set a fitted hybrid's weight to what a file remembers, else choose it and write the file.

    A weight that was chosen with another search is chosen again.
    """
    search = system.run.describe()["search"]
    kept = read_json(file) if file.exists() else {}
    if kept.get("search") == search and "weight" in kept:
        system.weight = float(kept["weight"])
    else:
        choose_weight(system, dataset, seed, progress)
        figures = {str(weight): value for weight, value in system.validation.items()}
        made = {"weight": system.weight, "search": search, "seed": seed, "users": USERS}
        write_json(file, {**made, "NDCG@10": figures, "versions": versions()})
    progress.note(f"{system.name}: weight {system.weight:g}, chosen on validation items")
