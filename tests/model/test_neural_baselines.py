"""SASRec, GRU4Rec and NeuMF: what they learn, what they look at, and how they are kept."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_data import dataset_of, items_of
from tiny import Steps
from torch import Tensor

from genrec_cli.core.errors import DataError
from genrec_cli.core.progress import SILENT, Progress
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import NOWHERE, held_out, without_test
from genrec_cli.recommenders.baselines import BASELINES
from genrec_cli.recommenders.neural.gru4rec import GRU4Rec
from genrec_cli.recommenders.neural.neumf import NeuMF
from genrec_cli.recommenders.neural.pairs import Pairing
from genrec_cli.recommenders.neural.sasrec import SASRec
from genrec_cli.recommenders.neural.sequences import SequenceModel, Shape
from genrec_cli.recommenders.neural.trained import Trained

SEQUENTIAL: list[type[SequenceModel]] = [GRU4Rec, SASRec]
KINDS: list[type[Trained]] = [NeuMF, *SEQUENTIAL]
Arrays = Mapping[str, Any]


def ring() -> Dataset:
    """30 items in a ring of random order; 600 people walk along it, each for 12 steps."""
    rng = np.random.default_rng(0)
    order = rng.permutation(30)
    starts = rng.integers(30, size=600)
    return dataset_of([order[(start + np.arange(12)) % 30].tolist() for start in starts], 30)


def tastes() -> Dataset:
    """20 items of two kinds; 600 people touch 10 of one kind only, in random order."""
    rng = np.random.default_rng(0)
    return dataset_of([(rng.permutation(10) + row % 2 * 10).tolist() for row in range(600)], 20)


@pytest.fixture(scope="module")
def few() -> Dataset:
    """24 people and 15 items, to train on in a moment."""
    rng = np.random.default_rng(1)
    sequences = [rng.integers(15, size=5 + row % 7).tolist() for row in range(24)]
    return without_test(dataset_of(sequences, 15))


def fitted(
    kind: type[Trained],
    dataset: Dataset,
    seed: int = 0,
    folder: Path | None = None,
    progress: Progress = SILENT,
) -> Trained:
    system = kind()
    system.folder, system.progress = folder, progress
    system.fit(dataset, seed)
    return system


def same(one: Arrays, other: Arrays) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[n], other[n]) for n in one)


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def system(request: pytest.FixtureRequest, few: Dataset) -> Trained:
    return fitted(request.param, few)


# What they learn


@pytest.mark.parametrize("kind", SEQUENTIAL)
def test_who_reads_sequences_learns_what_follows_what(kind: type[Trained]) -> None:
    dataset = ring()
    system = fitted(kind, without_test(dataset))
    cases = held_out(dataset, "test")
    first = system.rank(cases.histories, 1, cases.seen).items[:, 0]
    assert (first == cases.targets).mean() > 0.9  # by chance 1 in 19
    curve = system.record["curve"]
    assert curve[-1]["loss"] < curve[0]["loss"] <= np.log(30) + 0.1  # in nats


def test_neumf_learns_tastes() -> None:
    system = fitted(NeuMF, without_test(tastes()))
    scores = system.scores([items_of(3, 1), items_of(12), items_of(8, 2, 5), items_of(19, 15, 11)])
    assert (np.argsort(-scores, axis=1)[:, :10] // 10 == [[0], [1], [0], [1]]).all()


def test_in_training_a_target_is_no_part_of_the_history_that_asks_for_it() -> None:
    network = NeuMF()._made(dataset_of([], 30))
    histories = [items_of(1, 4, 7), items_of(2, 4), items_of(*range(10, 29))]
    for pairs in Pairing(histories, 30).epoch(np.random.default_rng(0)):
        askers = network.askers(pairs)
        for asker, owner, target in zip(askers, pairs.owners, pairs.asked[:, 0], strict=True):
            start, size = pairs.starts[owner], pairs.sizes[owner]
            history = pairs.read[start : start + size]
            rest = [history[history != target].numpy()]
            torch.testing.assert_close(asker[None], network.people(rest))


# What they look at


def test_scores_are_finite_and_of_every_item(system: Trained) -> None:
    scores = system.scores([items_of(0, 3), items_of(14)])
    assert scores.shape == (2, 15)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


def test_scores_do_not_depend_on_who_else_asks(system: Trained) -> None:
    rng = np.random.default_rng(3)
    histories = [rng.integers(15, size=1 + 37 * row % 230).astype(np.int32) for row in range(300)]
    together = system.scores(histories)
    alone = np.concatenate([system.scores([history]) for history in histories])
    np.testing.assert_allclose(together, alone, atol=2e-5)


@pytest.mark.parametrize("kind", SEQUENTIAL)
def test_only_the_latest_200_events_matter(kind: type[Trained], few: Dataset) -> None:
    system = fitted(kind, few)
    history = np.random.default_rng(4).integers(15, size=250).astype(np.int32)
    whole, latest, fewer = system.scores([history, history[-200:], history[-199:]])
    np.testing.assert_array_equal(whole, latest)
    assert not np.array_equal(fewer, latest)


@pytest.mark.parametrize("kind", SEQUENTIAL)
def test_what_comes_later_changes_nothing_before_it(kind: type[SequenceModel]) -> None:
    network = kind()._build(Shape(items=30, length=12, width=16, dropout=0.2)).eval()
    events = torch.arange(12)[None]

    def expected(inputs: Tensor) -> Tensor:
        with torch.no_grad():
            hidden: Tensor = network(inputs, torch.tensor([12]))
        return hidden[0]

    usual = expected(events)
    for place in range(12):
        other = events.clone()
        other[0, place] = 29
        changed = (expected(other) - usual).abs().amax(dim=1)
        assert (changed[:place] == 0).all()
        assert (changed[place:] > 0).all()


def test_neumf_knows_a_person_by_the_set_of_her_items(few: Dataset) -> None:
    system = fitted(NeuMF, few)
    usual, shuffled, repeated, nobody = system.scores(
        [items_of(2, 7, 9), items_of(9, 2, 7), items_of(2, 7, 9, 9, 9), items_of()]
    )
    np.testing.assert_array_equal(usual, shuffled)
    np.testing.assert_array_equal(usual, repeated)
    assert np.isfinite(nobody).all()


def test_neumf_scores_a_catalog_in_parts_as_it_trains_on_it() -> None:
    items = 20_000  # several parts for 64 people
    system = NeuMF()
    system._network = system._made(dataset_of([], items)).eval()
    rng = np.random.default_rng(0)
    histories = [rng.integers(items, size=9).astype(np.int32) for _ in range(64)]
    chosen = torch.from_numpy(rng.integers(items, size=(64, 5)))
    with torch.no_grad():
        people = system._network.people([np.unique(history) for history in histories])
        expected = system._network(people, system._network.asked(chosen))
    scores = system.scores(histories)
    assert scores.shape == (64, items)
    found = np.take_along_axis(scores, chosen.numpy(), axis=1)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


# How they are kept


def test_they_are_listed_in_the_order_of_their_years() -> None:
    assert list(BASELINES)[-3:] == ["neumf", "gru4rec", "sasrec"]
    assert [BASELINES[kind.name] for kind in KINDS] == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_brings_everything_back(kind: type[Trained], few: Dataset) -> None:
    system = fitted(kind, few)
    again = kind()
    again.restore(few, system.state(), {})
    assert same(again.state(), system.state())
    histories = [items_of(1, 5, 2), items_of(14)]
    np.testing.assert_array_equal(again.scores(histories), system.scores(histories))


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_alone_decides(kind: type[Trained], few: Dataset) -> None:
    first = fitted(kind, few, seed=3)
    torch.rand(7)  # a global generator that stands elsewhere
    assert same(fitted(kind, few, seed=3).state(), first.state())
    assert not same(fitted(kind, few, seed=4).state(), first.state())


@pytest.mark.parametrize("kind", KINDS)
def test_who_was_killed_twice_learns_the_same(
    kind: type[Trained], few: Dataset, tmp_path: Path
) -> None:
    for epoch in (2, 7):
        with pytest.raises(KeyboardInterrupt):
            fitted(kind, few, folder=tmp_path, progress=Steps(stop_at=epoch))
    resumed, usual = fitted(kind, few, folder=tmp_path), fitted(kind, few)
    assert same(resumed.state(), usual.state())
    curves = [[line["NDCG@10"] for line in one.record["curve"]] for one in (resumed, usual)]
    assert curves[0] == curves[1]
    assert len(curves[0]) > 7


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_to_learn_from_is_an_error_that_says_so(kind: type[Trained]) -> None:
    with pytest.raises(DataError, match=f"no training history of two items .*{kind.name}") as error:
        fitted(kind, without_test(dataset_of([[0, 1, 2], [2, 0, 1]], 3)))
    assert error.value.fix == f"--exclude {kind.name}"


def test_neumf_needs_two_different_items() -> None:
    with pytest.raises(DataError, match="no training history of two items"):
        fitted(NeuMF, without_test(dataset_of([[0, 0, 0, 1, 2]], 3)))


@pytest.mark.parametrize("kind", KINDS)
def test_without_validation_items_they_still_learn_something(
    kind: type[Trained], few: Dataset
) -> None:
    nowhere = np.full_like(few.bounds.validation, NOWHERE)
    dataset = replace(few, bounds=replace(few.bounds, validation=nowhere))
    assert np.isfinite(fitted(kind, dataset).scores([items_of(1, 2)])).all()
