import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_bench import MadeBench, Ranks, figures

from .console import Console, Outcome

FIRST, SECOND = "20261121-100000-000001", "20261122-090000-000002"
USERS = [f"u{number}" for number in range(40)]
LATER = "2026-11-22T09:00:00+00:00"


def random_ranks(seed: int, users: list[str] = USERS, most: int = 30) -> dict[str, int]:
    drawn = np.random.default_rng(seed).integers(1, most, len(users)).tolist()
    return dict(zip(users, drawn, strict=True))


def folder(console: Console, name: str, dataset: str = "toys") -> Path:
    return console.workspace / "bench" / dataset / name


def made(console: Console, first: MadeBench, second: MadeBench) -> Console:
    first.write(folder(console, FIRST, first.dataset))
    second.write(folder(console, SECOND, second.dataset))
    return console


def both(console: Console, *more: str) -> Outcome:
    return console("bench", "--compare", FIRST, SECOND, *more)


def said(console: Console) -> dict[str, Any]:
    return console.done("bench", "--compare", FIRST, SECOND, "--json").json


@pytest.fixture
def two(console: Console) -> Console:
    """Two benches; the second drew other users of whom half are the first's, in another order."""
    others = [*USERS[:19:-1], *(f"w{number}" for number in range(20))]
    first = {"popularity": random_ranks(1), "rules": random_ranks(2), "nano-1": random_ranks(3)}
    second = {"rules": random_ranks(4, others, 6), "popularity": random_ranks(5, others)}
    return made(console, MadeBench(first), MadeBench(second, created=LATER))


def paired(console: Console, system: str, metric: str) -> tuple[list[float], list[float]]:
    """What users of both benches got, in one order."""
    tables = [
        pq.read_table(folder(console, name) / "per_user.parquet").to_pylist()
        for name in (FIRST, SECOND)
    ]
    one, other = (
        {row["user_id"]: row[metric] for row in table if row["system"] == system}
        for table in tables
    )
    users = sorted(one.keys() & other.keys())
    return [one[user] for user in users], [other[user] for user in users]


def test_figures_are_means_over_the_users_of_both_whatever_their_order(two: Console) -> None:
    document = said(two)
    assert document["users"] == {"first": 40, "second": 40, "in_both": 20, "paired": 20}
    assert [row["system"] for row in document["rows"]] == ["popularity", "rules"]
    for row in document["rows"]:
        metrics = [name for name in row if name != "system"]
        assert metrics == list(figures(1))
        for metric in metrics:
            before, after = paired(two, row["system"], metric)
            change = row[metric]
            assert change["first"] == pytest.approx(sum(before) / 20)
            assert change["second"] == pytest.approx(sum(after) / 20)
            assert change["difference"] == pytest.approx(change["second"] - change["first"])
            low, high = change["ci"]
            assert low <= change["difference"] <= high
            assert 0 < change["p"] <= change["p_holm"] <= 1


def test_what_only_one_has_measured_is_listed(two: Console) -> None:
    document = said(two)
    assert (document["only_first"], document["only_second"]) == (["nano-1"], [])
    assert "Only in A: nano-1." in both(two).out


def test_the_other_way_round_every_difference_has_the_other_sign(two: Console) -> None:
    forth = said(two)["rows"]
    back = two.done("bench", "--compare", SECOND, FIRST, "--json").json["rows"]
    by_system = {row["system"]: row for row in back}
    for row in forth:
        for metric in figures(1):
            one, other = row[metric], by_system[row["system"]][metric]
            assert one["difference"] == pytest.approx(-other["difference"])
            assert one["p"] == other["p"]


def test_holm_counts_the_systems_that_were_compared(console: Console) -> None:
    better = dict.fromkeys(USERS[:8], 1)
    worse = dict.fromkeys(USERS[:8], 20)
    first = {"a": worse, "b": worse, "c": worse}
    second = {"a": better, "b": worse, "c": worse}
    rows = said(made(console, MadeBench(first), MadeBench(second)))["rows"]
    changes = [row["HR@10"] for row in rows]
    # Of the 2^8 ways to flip eight equal differences two are as extreme.
    assert [change["p"] for change in changes] == [2 / 256, 1, 1]
    assert [change["p_holm"] for change in changes] == [6 / 256, 1, 1]


def test_a_user_with_another_target_is_not_paired(console: Console) -> None:
    ranks = {"rules": dict.fromkeys(USERS[:4], 1)}
    moved = MadeBench({"rules": dict.fromkeys(USERS[:4], 3)}, targets={"u0": "elsewhere"})
    console = made(console, MadeBench(ranks), moved)
    assert said(console)["users"] == {"first": 4, "second": 4, "in_both": 4, "paired": 3}
    assert "4 are in both, 1 of them with another target" in both(console).out


def test_two_equal_benches_have_no_difference_at_all(console: Console) -> None:
    bench = MadeBench({"rules": random_ranks(0)})
    console = made(console, bench, bench)
    document = said(console)
    assert document["differs"] == []
    for metric in figures(1):
        change = document["rows"][0][metric]
        assert (change["difference"], change["ci"], change["p"]) == (0, [0, 0], 1)
    assert "Protocol, versions and settings are the same." in both(console).out


def test_what_differs_besides_is_said(console: Console) -> None:
    ranks = {"rules": random_ranks(0)}
    first = MadeBench(ranks, systems={"rules": {"settings": {"decay": 1.0}, "validation": 0.1}})
    second = MadeBench(
        ranks,
        systems={"rules": {"settings": {"decay": 0.5}, "validation": 0.2}},
        protocol={"time_ties": {"rule": "file", "share": 0.421}, "dataset_hash": "sha256:ff"},
        versions={"genrec": "0.2.0"},
    )
    console = made(console, first, second)
    found = {(d["about"], d["what"], d["first"], d["second"]) for d in said(console)["differs"]}
    assert found == {
        ("protocol", "dataset_hash", "sha256:00", "sha256:ff"),
        ("protocol", "time_ties.rule", "hash", "file"),
        ("versions", "genrec", "0.1.0", "0.2.0"),
        ("rules", "settings.decay", 1.0, 0.5),
    }
    lines = both(console).out.splitlines()
    assert any("settings.decay" in line and "1.0" in line and "0.5" in line for line in lines)


def test_people_see_who_was_paired_and_what_is_significant(console: Console) -> None:
    worse: Ranks = dict.fromkeys(USERS, 9)
    better: Ranks = dict.fromkeys(USERS, 1)
    console = made(console, MadeBench({"rules": worse}), MadeBench({"rules": better}))
    out = both(console).out
    assert "toys: 40 paired users" in out
    [row] = [line for line in out.splitlines() if "rules" in line]
    assert "+.6990*" in row  # NDCG@10: 1 - 1 / log2(10)
    assert "+.0000 " in row  # HR@10: rank 9 was a hit already


@pytest.mark.parametrize(
    "names",
    [
        ("20261121", "20261122"),
        ("previous", "latest"),
        (FIRST, "latest"),
    ],
    ids=" ".join,
)
def test_benches_are_found_by_beginnings_and_by_age(two: Console, names: tuple[str, str]) -> None:
    document = two.done("bench", "--compare", *names, "--json").json
    assert (document["first"]["bench"], document["second"]["bench"]) == (FIRST, SECOND)


def test_a_bench_may_lie_elsewhere(two: Console, tmp_path: Path) -> None:
    elsewhere = folder(two, FIRST).rename(tmp_path / "kept")
    document = two.done("bench", "--compare", elsewhere, "latest", "--json").json
    assert document["first"]["folder"] == str(elsewhere)
    assert document["users"]["paired"] == 20


def test_previous_is_of_the_latest_one_s_dataset(two: Console) -> None:
    between = MadeBench({"rules": {"u": 1}}, dataset="films", created="2026-11-22T08:00:00+00:00")
    between.write(folder(two, "20261122-080000-000000", "films"))
    document = two.done("bench", "--compare", "previous", "latest", "--json").json
    assert document["first"]["bench"] == FIRST


def refused(outcome: Outcome, code: int, *parts: str) -> None:
    assert (outcome.code, outcome.out) == (code, "")
    for part in parts:
        assert part in outcome.err


def test_an_unknown_name_is_refused_with_those_that_there_are(two: Console) -> None:
    outcome = two("bench", "--compare", "2025", "latest")
    refused(outcome, 1, "no bench '2025'", SECOND, FIRST)


def test_an_ambiguous_beginning_is_refused(two: Console) -> None:
    outcome = two("bench", "--compare", "2026", "latest")
    refused(outcome, 1, "'2026' can mean 2 benches", FIRST, SECOND, "--dataset")


def test_without_benches_one_is_told_to_make_some(console: Console) -> None:
    refused(console("bench", "--compare", "previous", "latest"), 1, "no previous bench")


def test_one_bench_is_no_two(two: Console) -> None:
    refused(two("bench", "--compare", SECOND, "latest"), 2, "both names mean", SECOND)


def test_benches_of_two_datasets_are_refused(console: Console) -> None:
    ranks = {"rules": {"u": 1}}
    other = MadeBench(ranks, dataset="films", protocol={"dataset_hash": "sha256:ff"})
    console = made(console, MadeBench(ranks), other)
    refused(both(console), 1, "dataset 'toys'", "'films'")


def test_a_dataset_by_another_name_is_still_the_same(console: Console) -> None:
    ranks = {"rules": {"u": 1}}
    console = made(console, MadeBench(ranks), MadeBench(ranks, dataset="films"))
    assert said(console)["users"]["paired"] == 1


@pytest.mark.parametrize(
    ("second", "part"),
    [
        (MadeBench({"rules": {"w": 1}}), "none is in both"),
        (
            MadeBench({"rules": {"u": 1}}, targets={"u": "x"}, protocol={"split": "validation"}),
            "1 are in both, but none was asked for the same item; splits are 'leave-one-out, test'",
        ),
        (MadeBench({"ease": {"u": 1}}), "no system is in both"),
    ],
    ids=["users", "targets", "systems"],
)
def test_benches_with_nothing_in_common_are_refused(
    console: Console, second: MadeBench, part: str
) -> None:
    refused(both(made(console, MadeBench({"rules": {"u": 1}}), second)), 1, part)


def test_benches_without_a_common_cutoff_are_refused(two: Console) -> None:
    path = folder(two, SECOND) / "per_user.parquet"
    table = pq.read_table(path)
    pq.write_table(table.rename_columns([n.replace("@", "@2") for n in table.column_names]), path)
    refused(both(two), 1, "no metric in common")


def missing(bench: Path) -> None:
    (bench / "per_user.parquet").unlink()


def cut_off(bench: Path) -> None:
    path = bench / "per_user.parquet"
    path.write_bytes(path.read_bytes()[:-40])


def without_a_system(bench: Path) -> None:
    path = bench / "per_user.parquet"
    table = pq.read_table(path)
    pq.write_table(
        table.filter(pa.array([s != "rules" for s in table["system"].to_pylist()])), path
    )


def without_ids(bench: Path) -> None:
    path = bench / "per_user.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["item_id"]), path)


def no_json(bench: Path) -> None:
    (bench / "metrics.json").write_text("{")


def no_rows(bench: Path) -> None:
    path = bench / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"rows": []}))


def other_format(bench: Path) -> None:
    path = bench / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 9}))


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        (missing, "per_user.parquet is missing"),
        (cut_off, "per_user.parquet is damaged"),
        (without_a_system, "has not the same users for every system"),
        (without_ids, "per_user.parquet is damaged"),
        (no_json, "metrics.json is damaged"),
        (no_rows, "metrics.json is damaged"),
        (other_format, "has format 9, this genrec reads 2"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_damaged_bench_is_refused(two: Console, damage: Any, part: str) -> None:
    damage(folder(two, SECOND))
    refused(both(two), 1, part)


@pytest.mark.parametrize(
    "option", ["--k 5", "--seed 0", "--split test", "--users 3", "--systems rules", "--budget 9"]
)
def test_options_of_a_measurement_are_refused(two: Console, option: str) -> None:
    refused(both(two, *option.split()), 2, f"--compare has no use for {option.split()[0]}")


def test_the_dataset_may_be_named(two: Console) -> None:
    two.done("bench", "--compare", "previous", "latest", "--dataset", "toys")
    refused(both(two, "--dataset", "films"), 1, f"no bench '{FIRST}'")
