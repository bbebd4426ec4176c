"""Systems asked in memory, without a workspace."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from small_data import dataset_of

from genrec_cli.core.progress import SILENT
from genrec_cli.core.settings import Split
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import held_out, without_test
from genrec_cli.evaluation.protocol import Exam, Measured, measure
from genrec_cli.evaluation.results import Result, Results
from genrec_cli.recommenders.base import Recommender

WORDS = ["iron", "stone", "river", "ghost", "house", "night", "king", "road"]


def two_tastes(users: int = 48, items: int = 30) -> Dataset:
    """People of two tastes, without repeats, and titles that share words."""
    rng = np.random.default_rng(7)
    tastes = np.repeat([[4.0, 1.0], [1.0, 4.0]], items // 2, axis=1)
    sequences = [
        rng.choice(items, size=8 + row % 5, replace=False, p=taste / taste.sum()).tolist()
        for row in range(users)
        for taste in [tastes[row % 2]]
    ]
    titles = [f"{WORDS[item % 8]} {WORDS[item % 7]} {item}" for item in range(items)]
    return replace(dataset_of(sequences, items), titles=titles)


def exam_of(dataset: Dataset, k: int, split: Split = "test") -> Exam:
    """Everybody is asked."""
    return Exam(dataset, held_out(dataset, split), k)


def asked(system: Recommender, exam: Exam) -> Measured:
    """What a system does, fitted as the protocol wants it and not tuned."""

    def fit(unfitted: Recommender, seed: int) -> float:
        unfitted.fit(without_test(exam.dataset), seed)
        return 0.0

    return measure(system, exam, 0, fit, SILENT)


def results_of(exam: Exam, cutoffs: Sequence[int], *systems: tuple[str, Measured]) -> Results:
    """Measurements as a bench holds them."""
    results = [Result(name, "baseline", (), (0,), (own,), False) for name, own in systems]
    return Results(exam, tuple(cutoffs), 0, tuple(results))
