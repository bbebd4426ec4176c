import json
from pathlib import Path
from typing import Any

import pytest

from genrec_cli.recommenders.baselines import CLASSICAL

from .console import Console, rows_of

FEW = ("bench", "--users", "8", "--systems", "popularity,nano-1", "--json")
METRICS = ("HR@5", "NDCG@5", "MRR@5", "HR@10", "NDCG@10", "MRR@10")
BEYOND = ("coverage@10", "gini@10", "novelty@10", "popularity_lift@10", "diversity@10")
SHARES = ("valid@5", "unique@5", "valid@10", "unique@10")


def measured(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows without what a clock, the machine or an earlier bench decides."""
    varying = ("fit_seconds", "rank_seconds", "peak_gb", "cached")
    return [{k: v for k, v in row.items() if k not in varying} for row in document["rows"]]


@pytest.fixture(scope="module")
def bare(trained: Console) -> dict[str, Any]:
    """What a bench of a few users says without any other option."""
    return trained.done("bench", "--users", "8", "--json").json


def test_a_bare_bench_measures_the_classical_baselines_and_every_run(bare: dict[str, Any]) -> None:
    assert [row["system"] for row in bare["rows"]] == [*CLASSICAL, "nano-1"]
    assert [row["kind"] for row in bare["rows"]] == ["baseline"] * len(CLASSICAL) + ["run"]
    assert bare["comparisons"]["reference"] in CLASSICAL
    figures = {row["system"]: row["NDCG@10"] for row in bare["rows"] if row["kind"] == "baseline"}
    assert figures[bare["comparisons"]["reference"]] == max(figures.values())


def test_a_row_has_the_shape_of_the_design(bare: dict[str, Any]) -> None:
    assert bare["dataset"] == "sample"
    for row in bare["rows"]:
        figures = [name for metric in METRICS for name in (metric, f"{metric}_ci")]
        made = ["exact", "seeds", "fit_seconds", "rank_seconds", "peak_gb", "cached"]
        named = ["system", "kind", "parents", "users"]
        assert list(row) == [*named, *figures, *BEYOND, *SHARES, *made]
        assert [row[name] for name in (*SHARES, "exact")] == [1.0] * 5
        assert (row["users"], row["parents"], row["seeds"]) == (8, [], [0])
        for metric in METRICS:
            low, high = row[f"{metric}_ci"]
            assert 0 <= low <= row[metric] <= high <= 1
        assert row["HR@5"] <= row["HR@10"]
        assert row["MRR@10"] <= row["NDCG@10"] <= row["HR@10"]
        by_k = bare["by_k"][row["system"]]
        assert [by_k["HR"][k - 1] for k in (5, 10)] == [row["HR@5"], row["HR@10"]]
        assert by_k["HR"] == sorted(by_k["HR"])
    protocol = bare["protocol"]
    assert (protocol["users"], protocol["users_of"], protocol["seed"]) == (8, 600, 0)
    assert (protocol["split"], protocol["primary"]) == ("leave-one-out, test", "NDCG@10")


def test_a_bench_leaves_files_that_say_the_same(bare: dict[str, Any]) -> None:
    folder = Path(bare["folder"])
    names = {"metrics.json", "per_user.parquet", "report.html", "table.md", "table.tex"}
    assert {path.name for path in folder.iterdir()} == names
    kept = json.loads((folder / "metrics.json").read_text())
    assert {key: bare[key] for key in kept} == kept
    users = rows_of(folder / "per_user.parquet")
    assert len(users) == len(bare["rows"]) * 8
    asked = [[user["user_id"], user["item_id"]] for user in users[:8]]
    report = (folder / "report.html").read_text()
    for row in bare["rows"]:
        own = [user for user in users if user["system"] == row["system"]]
        assert [[user["user_id"], user["item_id"]] for user in own] == asked
        for metric in METRICS:
            assert sum(user[metric] for user in own) / 8 == pytest.approx(row[metric])
        for user in own:
            assert user["HR@10"] == (user["rank"] <= 10) or user["tied"] > 1
            assert len(set(user["recommended"])) == 10
            if user["tied"] == 1:
                at = user["recommended"].index(user["item_id"]) if user["rank"] <= 10 else None
                assert at == (user["rank"] - 1 if user["rank"] <= 10 else None)
        figure = f"{row['NDCG@10']:.4f}".removeprefix("0")
        for text in (report, (folder / "table.md").read_text(), (folder / "table.tex").read_text()):
            assert row["system"] in text
            assert figure in text


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
    others = ",".join(name for name in CLASSICAL if name != "popularity")
    outcome = stale.done("bench", "--exclude", others, "--json")
    assert [row["system"] for row in outcome.json["rows"]] == ["popularity"]
    left_out = "leaving out: run 'nano-1' was trained on another version of dataset 'sample'"
    assert outcome.err.startswith(left_out)
    assert outcome.err.count("nano-1") == 1


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
    few = ("bench", "--users", "4", "--systems", "nano-1", "--k", "3")
    assert "valid@3" in trained.done(*few, "--search", "free").out
    assert "valid@3" not in trained.done(*few).out


def test_a_budget_shows_in_the_share_of_proven_lists(trained: Console) -> None:
    few = ("bench", "--users", "8", "--systems", "nano-1", "--json")
    [row] = trained.done(*few, "--budget", "1").json["rows"]
    assert 0 <= row["exact"] < 1
    assert (row["valid@10"], row["unique@10"]) == (1, 1)
    [row] = trained.done(*few, "--normaliser", "vocabulary", "--budget", "40").json["rows"]
    assert row["valid@10"] == 1
