"""A bench that is cut short goes on; one that is repeated is read; none is left half-written."""

import json
import resource
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from genrec_cli.recommenders.baselines import BASELINES

from .console import Console, kill_when, rows_of

SYSTEMS = ("popularity", "ease", "markov")
BENCH = ("bench", "--users", "60", "--systems", ",".join(SYSTEMS), "--json")
CLOCK = ("fit_seconds", "rank_seconds", "peak_gb")


@pytest.fixture
def fresh(prepared: Console, tmp_path: Path) -> Console:
    """The dataset `sample`, on which nothing was benched yet."""
    shutil.copytree(prepared.workspace / "data", tmp_path / "workspace" / "data")
    return Console(tmp_path / "workspace")


@pytest.fixture(scope="module")
def once(prepared: Console, tmp_path_factory: pytest.TempPathFactory) -> tuple[Console, Any]:
    """A workspace in which the three systems were benched, and what the bench said."""
    root = tmp_path_factory.mktemp("once") / "workspace"
    shutil.copytree(prepared.workspace / "data", root / "data")
    console = Console(root)
    return console, console.done(*BENCH).json


def rows_without(document: Mapping[str, Any], *names: str) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in names} for row in document["rows"]]


def finished(console: Console) -> list[Path]:
    return sorted((console.workspace / "bench" / "sample").glob("*/metrics.json"))


def left_over(console: Console) -> list[str]:
    """What stands beside the finished benches."""
    return [path.name for path in (console.workspace / "bench" / "sample").glob(".partial*")]


def test_a_killed_bench_goes_on_where_it_was(fresh: Console, once: tuple[Console, Any]) -> None:
    measured = fresh.workspace / "bench" / "sample" / ".measured"
    fitted = fresh.workspace / "fitted" / "sample"
    # EASE has been begun: all of its grid is to be tried yet.
    kill_when(fresh.start(*BENCH), lambda: any(fitted.glob("ease-*/.lock")))
    assert [path.name.split("-")[0] for path in measured.iterdir()] == ["popularity"]
    assert not any(fitted.glob("ease-*/fitted.json"))
    assert finished(fresh) == []

    again = fresh.done(*BENCH)
    assert [row["cached"] for row in again.json["rows"]] == [True, False, False]
    before = [line for line in again.err.splitlines() if line.endswith(", measured before")]
    assert [line[:17] for line in before] == ["[1/3] popularity:"]
    undisturbed = rows_without(once[1], *CLOCK, "cached")
    assert rows_without(again.json, *CLOCK, "cached") == undisturbed
    assert len(finished(fresh)) == 1


def test_a_system_that_fails_is_named_and_the_others_are_not_repeated(
    fresh: Console, once: tuple[Console, Any]
) -> None:
    shutil.copytree(once[0].workspace / "fitted", fresh.workspace / "fitted")
    [ease] = (fresh.workspace / "fitted" / "sample").glob("ease-*")
    (ease / "state.npz").write_bytes(b"no longer an archive")
    failed = fresh(*BENCH)
    assert (failed.code, failed.out) == (1, "")
    assert f"error: system 'ease': {ease}, which keeps a fitted ease, is damaged: " in failed.err
    assert f"fix: rm -r '{ease}'" in failed.err
    assert (finished(fresh), left_over(fresh)) == ([], [])
    shutil.rmtree(ease)
    again = fresh.done(*BENCH)
    assert [row["cached"] for row in again.json["rows"]] == [True, False, False]
    assert "[1/3] popularity" in again.err


def test_the_second_bench_is_read_and_says_the_same(once: tuple[Console, Any]) -> None:
    console, first = once
    second = console.done(*BENCH).json
    assert [row["cached"] for row in first["rows"]] == [False] * 3
    assert [row["cached"] for row in second["rows"]] == [True] * 3
    assert rows_without(second, "cached") == rows_without(first, "cached")
    for part in ("protocol", "by_k", "comparisons", "slices", "systems", "seed_groups"):
        assert second[part] == first[part], part
    tables = [rows_of(Path(said["folder"]) / "per_user.parquet") for said in (first, second)]
    assert tables[0] == tables[1]


def test_neither_order_nor_company_changes_a_row(once: tuple[Console, Any]) -> None:
    console, first = once
    turned = console.done(*BENCH[:4], "markov,rules,popularity", "--json").json
    assert [row["system"] for row in turned["rows"]] == ["markov", "rules", "popularity"]
    own = {row["system"]: row for row in rows_without(first, "cached")}
    for row in rows_without(turned, "cached"):
        assert row == own.get(row["system"], row)
    assert {"markov", "popularity"} <= own.keys()


def test_other_questions_are_not_answered_from_before(once: tuple[Console, Any]) -> None:
    console, _ = once
    one = ("bench", "--users", "60", "--systems", "popularity", "--json")
    others = ["--users", "61"], ["--k", "5", "20"], ["--split", "validation"], ["--seed", "1"]
    for other in others:
        assert not console.done(*one, *other).json["rows"][0]["cached"], other
    [row] = console.done(*one, "--k", "1,10").json["rows"]
    assert row["cached"]  # the same lists, read at another cutoff


@contextmanager
def small_disk(most: int) -> Iterator[None]:
    """No file can become larger than so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_no_bench(once: tuple[Console, Any]) -> None:
    console, _ = once
    before = finished(console)
    with small_disk(20_000):  # the report is larger
        failed = console(*BENCH)
    assert (failed.code, failed.out) == (1, "")
    assert failed.err.endswith("error: File too large\n")
    assert (finished(console), left_over(console)) == (before, [])


# Which systems.


def test_what_is_excluded_is_left_out(once: tuple[Console, Any]) -> None:
    console, first = once
    said = console.done(*BENCH, "--exclude", "ease").json
    assert [row["system"] for row in said["rows"]] == ["popularity", "markov"]
    assert rows_without(said, "cached") == [
        row for row in rows_without(first, "cached") if row["system"] != "ease"
    ]
    refused = console(*BENCH, "--exclude", "eas")
    assert (refused.code, refused.out) == (2, "")
    assert "unknown system 'eas'" in refused.err
    refused = console(*BENCH, "--exclude", ",".join(SYSTEMS))
    assert refused.code == 2
    assert "no system is left" in refused.err


def test_all_means_every_run_and_baseline(trained: Console) -> None:
    every = ",".join(BASELINES)
    said = trained.done(
        "bench", "--systems", "all", "--exclude", every, "--users", "4", "--json"
    ).json
    assert [row["system"] for row in said["rows"]] == ["nano-1"]


def test_the_reference_is_the_wanted_one_and_must_be_measured(once: tuple[Console, Any]) -> None:
    console, first = once
    compared = console.done(*BENCH, "--reference", "markov").json["comparisons"]
    assert compared["reference"] == "markov"
    assert [row["system"] for row in compared["rows"]] == ["popularity", "ease"]
    figures = {row["system"]: row["NDCG@10"] for row in first["rows"]}
    for row in compared["rows"]:
        assert row["difference"] == pytest.approx(figures[row["system"]] - figures["markov"])
        assert row["ci"][0] <= row["difference"] <= row["ci"][1]
    before = finished(console)
    refused = console(*BENCH, "--reference", "rules")
    assert (refused.code, refused.out) == (2, "")
    assert "--reference 'rules' is not measured" in refused.err
    assert "one of: popularity, ease, markov" in refused.err
    assert finished(console) == before


# Seeds.


def test_random_systems_are_fitted_with_every_seed(once: tuple[Console, Any]) -> None:
    console, _ = once
    few = ("bench", "--users", "60", "--systems", "als,popularity", "--json")
    said = console.done(*few, "--seeds", "2").json
    als, popularity = said["rows"]
    assert (als["seeds"], popularity["seeds"]) == ([0, 1], [0])
    assert said["protocol"]["seeds"] == 2
    assert [name for name in popularity if name.endswith("_sd")] == []
    alone = console.done(*few).json["rows"][0]
    assert alone["cached"]
    assert "NDCG@10_sd" not in alone
    # Of two figures a and b the mean is (a + b) / 2 and the sample deviation |a - b| / √2.
    for name in ("HR@10", "NDCG@10", "coverage@10"):
        other = 2 * als[name] - alone[name]
        assert als[f"{name}_sd"] == pytest.approx(abs(alone[name] - other) / 2**0.5)
    assert als["NDCG@10_sd"] > 0
    users = rows_of(Path(said["folder"]) / "per_user.parquet")
    own = [user["NDCG@10"] for user in users if user["system"] == "als"]
    assert sum(own) / 60 == pytest.approx(als["NDCG@10"])


def test_runs_that_differ_in_their_seed_only_are_taken_together(changeable: Console) -> None:
    runs = changeable.workspace / "runs" / "sample"
    others: dict[str, dict[str, float]] = {
        "nano-2": {"seed": 5},
        "nano-3": {"learning_rate": 0.5},
        "nano-4": {},  # nano-1 once more: a second run of one seed says nothing about seeds
    }
    for name, changed in others.items():
        shutil.copytree(runs / "nano-1", runs / name)
        manifest = json.loads((runs / name / "run.json").read_text())
        assert changed.keys() <= manifest["settings"].keys()
        manifest["settings"] |= changed
        (runs / name / "run.json").write_text(json.dumps(manifest))
    said = changeable.done(
        "bench", "--users", "8", "--systems", "nano-1,nano-2,nano-3,nano-4,popularity", "--json"
    ).json
    [group] = said["seed_groups"]
    assert group["systems"] == ["nano-4", "nano-2"]
    figures = {row["system"]: row for row in said["rows"]}
    for name in ("HR@10", "NDCG@10"):  # of one and the same model
        assert group[name] == pytest.approx(figures["nano-1"][name])
        assert group[f"{name}_sd"] == pytest.approx(0, abs=1e-9)
    assert [row["seeds"] for row in said["rows"]] == [[0]] * 5


def test_a_split_that_asks_nobody_is_refused(console: Console, tmp_path: Path) -> None:
    # Who comes in the time of the validation items comes for the first time, and only then.
    old = [(f"u{n % 10}", f"i{n}", n) for n in range(80)]
    new = [(f"new{n // 3}", f"i{n}", 80 + n) for n in range(12)]
    late = [(f"u{n}", f"i{n + 1}", 92 + n) for n in range(8)]
    log = tmp_path / "log.csv"
    rows = [f"{user},{item},{1_600_000_000 + day * 86_400}" for user, item, day in old + new + late]
    log.write_text("\n".join(["user_id,item_id,timestamp", *rows]))
    items = tmp_path / "items.csv"
    items.write_text("\n".join(["item_id,title", *(f"i{n},Film {n}" for n in range(80))]))
    options = ("--split", "global-time", "--min-user", "1", "--min-item", "1", "--name", "sample")
    console.done("prepare", "table", "--source", log, "--items", items, *options)
    asked = ("bench", "--systems", "popularity,markov", "--json")
    assert console.done(*asked).json["protocol"]["users"] >= 8
    refused = console(*asked, "--split", "validation")
    assert (refused.code, refused.out) == (1, "")
    assert "nobody in dataset 'sample' has a validation item to ask for" in refused.err
    assert len(finished(console)) == 1
