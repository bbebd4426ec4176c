import json
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from preparing import PLENTY, prepare_with
from small_data import KEEP_ALL, Row, dataset_of, items_of, raw_log

from genrec_cli.core.errors import DataError
from genrec_cli.core.settings import SplitRule
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.engine.local import LocalEngine
from genrec_cli.data.split import Cases, held_out, without_test
from genrec_cli.evaluation.evidence.intervals import bootstrap_interval
from genrec_cli.evaluation.evidence.slices import (
    Slicing,
    slice_figures,
    slices_of,
    tied_targets,
)


def cases_of(lengths: list[int], targets: list[int]) -> Cases:
    histories = [np.zeros(length, dtype=np.int32) for length in lengths]
    return Cases(np.arange(len(lengths)), histories, items_of(*targets))


def with_counts(*counts: int) -> Dataset:
    return replace(dataset_of([[0, 1, 2]], items=len(counts)), train_counts=np.array(counts))


def bins(slicings: list[Slicing], name: str) -> dict[str, list[int]]:
    (slicing,) = [slicing for slicing in slicings if slicing.name == name]
    return {part.label: part.users.tolist() for part in slicing.bins}


def by_length(lengths: list[int]) -> dict[str, list[int]]:
    found = slices_of(cases_of(lengths, [0] * len(lengths)), with_counts(1), None)
    return bins(found, "history length")


@pytest.mark.parametrize(
    ("lengths", "labels"),
    [
        ([19] * 5 + [43] * 5 + [95] * 5 + [207] * 5, ["≤ 49", "50–99", "≥ 100"]),
        ([4] * 6 + [5, 6, 7] * 2 + [12, 80] * 3, ["≤ 4", "5–9", "≥ 10"]),
        ([1, 1, 2, 2, 3, 3], ["1", "≥ 2"]),
        ([3, 1000], ["≤ 199", "≥ 1000"]),
    ],
)
def test_histories_are_parted_at_round_lengths(lengths: list[int], labels: list[str]) -> None:
    assert list(by_length(lengths)) == labels


def test_each_user_is_in_the_bin_of_her_length() -> None:
    assert by_length([4, 80, 4, 6, 5, 9, 10, 4]) == {
        "≤ 4": [0, 2, 7],
        "5–9": [3, 4, 5],
        "≥ 10": [1, 6],
    }


def test_targets_are_parted_by_their_share_of_events() -> None:
    # 100 events: 0 and 1 have half, 2 and 3 (equally popular) reach three quarters with item 2.
    dataset = with_counts(30, 20, 14, 14, 10, 6, 5, 1, 0)
    found = bins(slices_of(cases_of([1] * 9, list(range(9))), dataset, None), "target popularity")
    assert found == {
        "head (≥ 20)": [0, 1],
        "middle (14–19)": [2, 3],
        "tail (1–13)": [4, 5, 6, 7],
        "cold (0 events)": [8],
    }


def test_the_head_may_be_a_single_item_and_leave_no_middle() -> None:
    found = slices_of(cases_of([1] * 3, [0, 1, 2]), with_counts(98, 1, 1), None)
    assert bins(found, "target popularity") == {"head (≥ 98)": [0], "tail (1–97)": [1, 2]}


def test_cold_and_tied_targets_stand_apart() -> None:
    cases, tied = cases_of([1, 1, 1], [0, 1, 0]), np.array([False, False, True])
    found = slices_of(cases, with_counts(3, 0), tied)
    assert bins(found, "cold target") == {"warm": [0, 2], "cold": [1]}
    assert bins(found, "tied target") == {"untied": [0, 1], "tied": [2]}


def test_what_does_not_tell_users_apart_is_left_out() -> None:
    cases = cases_of([3, 3], [0, 0])
    assert slices_of(cases, with_counts(3), np.zeros(2, dtype=bool)) == []
    # Without any training event at all, all targets are cold.
    assert slices_of(cases, with_counts(0), None) == []


@given(
    st.lists(
        st.tuples(st.integers(1, 3000), st.integers(0, 9), st.booleans()), min_size=1, max_size=30
    ),
    st.lists(st.integers(0, 20), min_size=10, max_size=10),
)
def test_every_user_is_in_one_bin_and_no_bin_is_empty(
    users: list[tuple[int, int, bool]], counts: list[int]
) -> None:
    lengths, targets, tied = (list(values) for values in zip(*users, strict=True))
    dataset = with_counts(*counts)
    for slicing in slices_of(cases_of(lengths, targets), dataset, np.array(tied)):
        members = [user for part in slicing.bins for user in part.users.tolist()]
        assert sorted(members) == list(range(len(users)))
        assert all(len(part.users) for part in slicing.bins)
        assert len({part.label for part in slicing.bins}) == len(slicing.bins) > 1
        if slicing.name == "target popularity":
            popularity = [dataset.train_counts[items_of(*targets)[p.users]] for p in slicing.bins]
            for more, less in zip(popularity, popularity[1:], strict=False):
                assert more.min() > less.max()


ROWS = st.lists(
    st.tuples(st.sampled_from("uvwx"), st.sampled_from("abcde"), st.integers(0, 4)),
    min_size=12,
    max_size=40,
)


def is_tied(events: list[tuple[str, int]], place: int) -> bool:
    """Whether an event of a user shares its time with another one of hers."""
    return Counter(time for _, time in events)[events[place][1]] > 1


@given(ROWS, st.sampled_from(get_args(SplitRule)))
@settings(max_examples=40)
def test_as_many_targets_are_tied_as_the_audit_counts(rows: list[Row], rule: SplitRule) -> None:
    assume(max(Counter(user for user, _, _ in rows).values()) >= 3)
    asked = KEEP_ALL.model_copy(update={"split": rule})
    with tempfile.TemporaryDirectory() as folder:
        try:
            prepared = prepare_with(
                LocalEngine(Path(folder) / "scratch", PLENTY, 10**6),
                raw_log(rows),
                asked,
                Path(folder),
            )
        except DataError:  # such a log cannot be cut in time
            assume(False)
        dataset = prepared.dataset
        cases = held_out(dataset, "test")
        tied = tied_targets(dataset, cases)
        validation = held_out(dataset, "validation")
        tied_before = tied_targets(dataset, validation)
    counted = dataset.manifest["audit"]["ties"]
    assert (int(tied.sum()), round(float(tied.mean()), 4)) == (counted["users"], counted["share"])
    sequences = prepared.sequences()
    for found, asked_for in ((tied, cases), (tied_before, validation)):
        for flag, row, history in zip(found, asked_for.rows, asked_for.histories, strict=True):
            assert flag == is_tied(sequences[dataset.user_ids[row]], len(history))


def test_some_users_are_enough_to_know_their_ties(tmp_path: Path) -> None:
    rows = [
        ("a", "x", 1),
        ("a", "y", 2),
        ("a", "z", 2),
        ("b", "x", 1),
        ("b", "y", 2),
        ("b", "z", 3),
    ]
    rows += [("c", "x", 1), ("c", "y", 1), ("c", "z", 3)]
    engine = LocalEngine(tmp_path / "scratch", PLENTY, 10**6)
    dataset = prepare_with(engine, raw_log(rows), KEEP_ALL, tmp_path).dataset
    some = held_out(dataset, "test", np.array([2, 0]))
    assert tied_targets(dataset, some).tolist() == [False, True]
    assert tied_targets(dataset, held_out(dataset, "validation")).tolist() == [True, False, True]
    with pytest.raises(AssertionError, match="other places"):
        tied_targets(without_test(dataset), held_out(without_test(dataset), "validation"))


def test_figures_of_a_slicing_by_hand() -> None:
    cases, tied = cases_of([1] * 5, [0] * 5), np.array([True, False, True, False, True])
    (slicing,) = slices_of(cases, with_counts(1), tied)
    hits = np.array([1.0, 0.0, 0.0, 0.0, 0.5])
    gains = np.array([0.5, 0.25, 0.0, 0.25, 0.25])
    per_user = {"sasrec": {"HR@10": hits, "NDCG@10": gains}, "popularity": {"HR@10": 1 - hits}}
    document = slice_figures(slicing, per_user, seed=3)
    assert json.loads(json.dumps(document)) == document
    assert document["name"] == "tied target"
    untied, both = document["bins"]
    assert (untied["label"], untied["users"]) == ("untied", 2)
    assert untied["systems"] == {
        "sasrec": {
            "HR@10": 0.0,
            "HR@10_ci": [0.0, 0.0],
            "NDCG@10": 0.25,
            "NDCG@10_ci": [0.25, 0.25],
        },
        "popularity": {"HR@10": 1.0, "HR@10_ci": [1.0, 1.0]},
    }
    assert (both["label"], both["users"]) == ("tied", 3)
    found = both["systems"]["sasrec"]
    assert (found["HR@10"], found["NDCG@10"]) == (0.5, 0.25)
    assert found["HR@10_ci"] == pytest.approx(bootstrap_interval(hits[[0, 2, 4]], seed=3))


def test_bins_weighted_by_their_users_add_up_to_the_whole() -> None:
    rng = np.random.default_rng(0)
    cases = cases_of(rng.integers(1, 300, size=500).tolist(), rng.integers(20, size=500).tolist())
    figures = rng.random(500)
    dataset = with_counts(*range(20))
    slicings = slices_of(cases, dataset, rng.random(500) < 0.3)
    assert [s.name for s in slicings] == [
        "history length",
        "target popularity",
        "cold target",
        "tied target",
    ]
    for slicing in slicings:
        document = slice_figures(slicing, {"a": {"HR@10": figures}}, seed=0)
        total = sum(part["users"] * part["systems"]["a"]["HR@10"] for part in document["bins"])
        assert total / 500 == pytest.approx(figures.mean())
        for part in document["bins"]:
            low, high = part["systems"]["a"]["HR@10_ci"]
            assert low <= part["systems"]["a"]["HR@10"] <= high
