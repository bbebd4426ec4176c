"""Counting baselines against figures that were measured on the same files by other code.

The reference rows are those of ../shared/data/README.md: counts from training parts only, histories
with the validation item, full ranking without seen items, ties in expectation.
"""

from pathlib import Path

import numpy as np
import pytest
from preparing import prepare

from genrec_cli.core.progress import SILENT
from genrec_cli.core.settings import PrepareSettings
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.sources import Input, open_log
from genrec_cli.data.split import held_out, without_test
from genrec_cli.evaluation.metrics import hit_rate, ndcg, place_in_scores
from genrec_cli.evaluation.tuning import choose_settings
from genrec_cli.recommenders.baseline import Baseline, Settings
from genrec_cli.recommenders.counting.itemknn import ItemKNN
from genrec_cli.recommenders.counting.markov import Markov
from genrec_cli.recommenders.counting.rules import Rules

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
ML_1M = SHARED / "ml-1m.zip"
TOYS = SHARED / "amazon-toys-2014"

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} is not there"),
]


def dataset_from(raw: Input) -> Dataset:
    if raw.source is None or not raw.source.exists():
        pytest.skip(f"{raw.source} is not there")
    return prepare(open_log(raw, SHARED, SILENT), PrepareSettings(ties="file")).dataset


@pytest.fixture(scope="module")
def movielens() -> Dataset:
    return dataset_from(Input("movielens", ML_1M))


@pytest.fixture(scope="module")
def toys() -> Dataset:
    events, items = TOYS / "interactions.csv.gz", TOYS / "items.csv.gz"
    return dataset_from(Input("table", source=events, items=items))


def reached(system: Baseline, dataset: Dataset) -> list[float]:
    """HR@5, NDCG@5, HR@10 and NDCG@10 on the test items."""
    figures = []
    for part in held_out(dataset, "test").batches(64):
        placement = place_in_scores(system.scores(part.histories), part.seen, part.targets)
        figures.append([metric(placement, k) for k in (5, 10) for metric in (hit_rate, ndcg)])
    means: list[float] = np.concatenate(figures, axis=1).mean(axis=1).tolist()
    return means


@pytest.mark.parametrize(
    ("kind", "settings", "reference"),
    [
        (Markov, {}, [0.1533, 0.1062, 0.2144, 0.1259]),
        (ItemKNN, {"decay": 1.0}, [0.0435, 0.0274, 0.0699, 0.0359]),
        (ItemKNN, {"decay": 0.8}, [0.1079, 0.0712, 0.1603, 0.0881]),
    ],
)
def test_movielens_1m_gives_the_reference(
    movielens: Dataset, kind: type[Baseline], settings: Settings, reference: list[float]
) -> None:
    system = kind()
    system.fit(without_test(movielens), 0)
    system.use(settings)
    assert reached(system, movielens) == pytest.approx(reference, abs=1.5e-4)


@pytest.mark.parametrize(
    ("kind", "settings", "reference"),
    [
        (Markov, {}, [0.0591, 0.0441, 0.0709, 0.0479]),
        (ItemKNN, {"decay": 1.0}, [0.0493, 0.0334, 0.0667, 0.0391]),
        (ItemKNN, {"decay": 0.8}, [0.0596, 0.0414, 0.0784, 0.0474]),
    ],
)
def test_toys_gives_the_reference(
    toys: Dataset, kind: type[Baseline], settings: Settings, reference: list[float]
) -> None:
    system = kind()
    system.fit(without_test(toys), 0)
    system.use(settings)
    # Counts are small here: which of two tied items comes first moves a figure by up to 0.0005.
    assert reached(system, toys) == pytest.approx(reference, abs=5e-4)


def test_rules_tuned_on_validation_items_beat_the_untuned_reference_on_toys(toys: Dataset) -> None:
    system = Rules()
    known = without_test(toys)
    system.fit(known, 0)
    choose_settings(system, known, SILENT)
    reference = [0.0775, 0.0571, 0.0992, 0.0640]
    for found, least in zip(reached(system, toys), reference, strict=True):
        assert found > least
