import json
from pathlib import Path
from typing import Any

import pytest

from .console import Console, rows_of

FEW = ("bench", "--users", "8", "--json")
METRICS = ("HR@5", "NDCG@5", "MRR@5", "HR@10", "NDCG@10", "MRR@10")


def measured(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows without what a clock or the machine decides."""
    varying = ("fit_seconds", "rank_seconds", "peak_gb")
    return [{k: v for k, v in row.items() if k not in varying} for row in document["rows"]]


def test_a_bench_has_the_shape_of_the_design(trained: Console) -> None:
    said = trained.done(*FEW).json
    assert said["dataset"] == "sample"
    assert [row["system"] for row in said["rows"]] == ["popularity", "nano-1"]
    for row in said["rows"]:
        measured_here = [name for metric in METRICS for name in (metric, f"{metric}_ci")]
        lists = ["valid@5", "unique@5", "valid@10", "unique@10", "exact"]
        timed = ["fit_seconds", "rank_seconds", "peak_gb"]
        assert list(row) == ["system", "users", *measured_here, *lists, *timed]
        assert [row[name] for name in lists] == [1.0] * 5
        assert row["users"] == 8
        for metric in METRICS:
            low, high = row[f"{metric}_ci"]
            assert 0 <= low <= row[metric] <= high <= 1
        assert row["HR@5"] <= row["HR@10"]
        assert row["NDCG@10"] <= row["HR@10"]
    protocol = said["protocol"]
    assert (protocol["users"], protocol["users_of"], protocol["seed"]) == (8, 600, 0)
    assert protocol["split"] == "leave-one-out, test"


def test_a_bench_leaves_files_that_say_the_same(trained: Console) -> None:
    said = trained.done(*FEW).json
    folder = Path(said["folder"])
    kept = json.loads((folder / "metrics.json").read_text())
    assert {key: said[key] for key in kept} == kept
    users = rows_of(folder / "per_user.parquet")
    assert len(users) == 2 * 8
    for row in said["rows"]:
        own = [user for user in users if user["system"] == row["system"]]
        assert len({user["user_id"] for user in own}) == 8
        for metric in METRICS:
            assert sum(user[metric] for user in own) / 8 == pytest.approx(row[metric])
        for user in own:
            assert user["HR@10"] == (user["rank"] <= 10) or user["tied"] > 1
    asked = [[u["user_id"], u["item_id"]] for u in users if u["system"] == "popularity"]
    assert asked == [[u["user_id"], u["item_id"]] for u in users if u["system"] == "nano-1"]


def test_equal_seeds_give_equal_metrics_and_other_seeds_other_users(trained: Console) -> None:
    one, same, other = (trained.done(*FEW, "--seed", seed).json for seed in ("3", "3", "4"))
    assert measured(one) == measured(same)
    users = [
        {u["user_id"] for u in rows_of(Path(d["folder"]) / "per_user.parquet")}
        for d in (one, same, other)
    ]
    assert users[0] == users[1] != users[2]


@pytest.mark.parametrize(
    "spelling",
    [
        ["--k", "5", "10"],
        ["--k", "5", "--k", "10"],
        ["--k", "5,10"],
        ["--k", "10", "5", "10"],
        ["--k", "5", "10", "--seed", "0"],
        [],  # the default
    ],
    ids=" ".join,
)
def test_cutoffs_may_be_spelled_in_any_way(trained: Console, spelling: list[str]) -> None:
    popularity = ("bench", "--systems", "popularity", "--json")
    expected = trained.done(*popularity, "--k", "5", "--k", "10").json
    assert measured(trained.done(*popularity, *spelling).json) == measured(expected)
    assert [key for key in expected["rows"][0] if key in METRICS] == list(METRICS)


def test_the_validation_split_asks_other_questions(trained: Console) -> None:
    said = trained.done("bench", "--systems", "popularity", "--split", "validation", "--json").json
    users = rows_of(Path(said["folder"]) / "per_user.parquet")
    folder = trained.workspace / "data" / "sample"
    ids = [row["item_id"] for row in rows_of(folder / "catalog.parquet")]
    targets = {
        row["user_id"]: ids[row["items"][-2]] for row in rows_of(folder / "sequences.parquet")
    }
    assert {user["user_id"]: user["item_id"] for user in users} == targets
    assert said["protocol"]["split"] == "leave-one-out, validation"


def test_people_see_a_table_with_intervals_and_the_protocol(trained: Console) -> None:
    outcome = trained.done("bench", "--systems", "popularity", "--k", "5")
    for part in (
        "sample: 600 users, leave-one-out, test",
        "HR@5",
        "NDCG@5",
        "popularity",
        "Full ranking of 427",
    ):
        assert part in outcome.out
    assert "written to" in outcome.out


@pytest.fixture
def stale(changeable: Console) -> Console:
    """A workspace whose data were prepared anew, in another way, after the run."""
    changeable.done("prepare", "sample", "--seed", "1", "--force")
    return changeable


def test_a_run_on_other_data_is_refused_when_named(stale: Console) -> None:
    benches = stale.workspace / "bench" / "sample"
    before = set(benches.glob("*"))
    refused = stale("bench", "--systems", "popularity,nano-1")
    assert (refused.code, refused.out) == (1, "")
    assert "run 'nano-1' was trained on another version of dataset 'sample'" in refused.err
    assert set(benches.glob("*")) == before


def test_a_run_on_other_data_is_left_out_with_a_note_otherwise(stale: Console) -> None:
    outcome = stale.done("bench", "--json")
    assert [row["system"] for row in outcome.json["rows"]] == ["popularity"]
    left_out = "leaving out: run 'nano-1' was trained on another version of dataset 'sample'"
    assert outcome.err.startswith(left_out)
    assert outcome.err.count("\n") == 1


def test_a_figure_does_not_depend_on_the_other_cutoffs(trained: Console) -> None:
    rows = [
        trained.done("bench", "--systems", "nano-1", "--users", "40", "--k", k, "--json").json
        for k in ("5", "5,10,20")
    ]
    one, other = (document["rows"][0]["HR@5"] for document in rows)
    assert one == other


def test_free_text_is_read_back_and_its_validity_told(trained: Console) -> None:
    said = trained.done(
        "bench", "--users", "4", "--systems", "nano-1", "--k", "3", "--search", "free", "--json"
    ).json
    [row] = said["rows"]
    assert row["exact"] == 0
    assert 0 <= row["unique@3"] <= row["valid@3"] < 1  # three steps of training write nonsense
    assert said["systems"]["nano-1"]["search"]["method"] == "free"
    table = trained.done("bench", "--users", "4", "--k", "3", "--search", "free").out
    assert "valid@3" in table
    assert "valid@3" not in trained.done("bench", "--users", "4", "--k", "3").out


def test_a_budget_shows_in_the_share_of_proven_lists(trained: Console) -> None:
    few = ("bench", "--users", "8", "--systems", "nano-1", "--json")
    [row] = trained.done(*few, "--budget", "1").json["rows"]
    assert 0 <= row["exact"] < 1
    assert (row["valid@10"], row["unique@10"]) == (1, 1)
    [row] = trained.done(*few, "--normaliser", "vocabulary", "--budget", "40").json["rows"]
    assert row["valid@10"] == 1
