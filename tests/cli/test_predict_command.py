import csv
import json
from pathlib import Path
from typing import Any

import pytest

from genrec_cli.core.workspace import Workspace

from .console import Console, movielens_folder, rows_of

PAIR = ("--user", "v001", "--user", "v002")


def dataset_of(
    console: Console, name: str = "sample"
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Item id -> title, and user id -> titles in order, read from the files."""
    folder = Workspace(console.workspace).dataset(name)
    catalog = rows_of(folder / "catalog.parquet")
    titles = [row["title"] for row in catalog]
    sequences = rows_of(folder / "sequences.parquet")
    users = {row["user_id"]: [titles[item] for item in row["items"]] for row in sequences}
    return {row["item_id"]: row["title"] for row in catalog}, users


def check_person(person: dict[str, Any], catalog: dict[str, str], count: int) -> None:
    """The promises: k titles, from the catalog, none seen, none twice, best first."""
    assert list(person) == ["user_id", "history", "recommendations"]
    entries = person["recommendations"]
    assert all(list(entry) == ["rank", "item_id", "title", "score"] for entry in entries)
    assert [entry["rank"] for entry in entries] == list(range(1, count + 1))
    assert all(catalog[entry["item_id"]] == entry["title"] for entry in entries)
    titles = [entry["title"] for entry in entries]
    assert len(set(titles)) == count
    assert not set(titles) & set(person["history"])
    scores = [entry["score"] for entry in entries]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] < 0


@pytest.mark.parametrize("k", [1, 10])
def test_each_user_gets_k_unseen_titles_of_the_catalog(trained: Console, k: int) -> None:
    said = trained.done("predict", *PAIR, "-k", str(k), "--json").json
    assert list(said) == ["run", "k", "users"]
    assert (said["run"], said["k"]) == ("nano-1", k)
    catalog, users = dataset_of(trained)
    assert [person["user_id"] for person in said["users"]] == ["v001", "v002"]
    for person in said["users"]:
        assert person["history"] == users[person["user_id"]]
        check_person(person, catalog, k)


def test_a_k_beyond_the_catalog_gives_all_that_is_unseen(trained: Console) -> None:
    said = trained.done("predict", "--user", "v003", "-k", "500", "--json").json
    catalog, users = dataset_of(trained)
    check_person(said["users"][0], catalog, len(catalog) - len(set(users["v003"])))


def test_people_see_their_titles_in_a_table(trained: Console) -> None:
    outcome = trained.done("predict", "--user", "v001", "-k", "3")
    catalog, users = dataset_of(trained)
    assert f"User v001: {len(users['v001'])} titles so far, the last 10" in outcome.out
    assert all(title in outcome.out for title in users["v001"][-10:])
    assert sum(title in outcome.out for title in set(catalog.values()) - set(users["v001"])) >= 3


def as_parquet(path: Path) -> list[dict[str, Any]]:
    return rows_of(path)


def as_csv(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{**row, "rank": int(row["rank"]), "score": float(row["score"])} for row in rows]


def as_jsonl(path: Path) -> list[dict[str, Any]]:
    users = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        {"user_id": user["user_id"], **entry} for user in users for entry in user["recommendations"]
    ]


@pytest.mark.parametrize(
    ("ending", "read"), [("parquet", as_parquet), ("csv", as_csv), ("jsonl", as_jsonl)]
)
def test_an_output_file_says_what_the_document_says(
    trained: Console, tmp_path: Path, ending: str, read: Any
) -> None:
    path = tmp_path / f"recs.{ending}"
    said = trained.done("predict", *PAIR, "-k", "3", "--output", path, "--json").json
    expected = [
        {"user_id": person["user_id"], **entry}
        for person in said["users"]
        for entry in person["recommendations"]
    ]
    found = read(path)
    scores = [row.pop("score") for row in found]
    assert scores == pytest.approx([row.pop("score") for row in expected], abs=1e-5)
    assert found == expected


def test_an_output_is_replaced_only_by_force(trained: Console, tmp_path: Path) -> None:
    path = tmp_path / "recs.csv"
    path.write_text("precious")
    refused = trained("predict", "--user", "v001", "--output", path)
    assert (refused.code, path.read_text()) == (1, "precious")
    assert f"{path} exists already" in refused.err
    trained.done("predict", "--user", "v001", "--output", path, "--force")
    assert len(as_csv(path)) == 10


@pytest.mark.parametrize(
    ("content", "users"),
    [
        ("v002\nv001\n", ["v002", "v001"]),
        ("\ufeffv002\r\n\r\n  v001\r\nv002", ["v002", "v001"]),  # Windows, blanks, a repeat
    ],
)
def test_users_are_read_from_a_file(
    trained: Console, tmp_path: Path, content: str, users: list[str]
) -> None:
    path = tmp_path / "users.txt"
    path.write_bytes(content.encode())
    said = trained.done("predict", "--users-file", path, "-k", "1", "--json").json
    assert [person["user_id"] for person in said["users"]] == users


def test_everybody_gets_titles_also_from_an_untrained_run(console: Console, tmp_path: Path) -> None:
    source = movielens_folder(tmp_path / "log", users=20, items=12, events=200)
    console.done("prepare", "movielens", "--source", source, "--name", "few")
    console.done("finetune", "--base-model", "nano", "--max-steps", "0")
    path = tmp_path / "all.parquet"
    console.done("predict", "--all", "-k", "2", "--output", path)
    _, users = dataset_of(console, "few")
    rows = rows_of(path)
    assert [row["user_id"] for row in rows if row["rank"] == 1] == sorted(users, key=int)
    assert not [row for row in rows if row["title"] in users[row["user_id"]]]
    assert len({(row["user_id"], row["title"]) for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("typed", "history", "note"),
    [
        (
            ["Ocean's Twelve (2004); Coco (2017)"],
            ["Ocean's Twelve (2004)", "Coco (2017)"],
            "",
        ),
        (["coco", "OCEANS TWELVE ;"], ["Coco (2017)", "Ocean's Twelve (2004)"], ""),
        (
            ["Reservor Dogs (1992)"],
            ["Reservoir Dogs (1992)"],
            "reading 'Reservor Dogs (1992)' as 'Reservoir Dogs (1992)' (96% sure)\n",
        ),
    ],
)
def test_a_typed_history_is_read_as_titles(
    trained: Console, typed: list[str], history: list[str], note: str
) -> None:
    options = [part for text in typed for part in ("--history", text)]
    outcome = trained.done("predict", *options, "-k", "3", "--json")
    (person,) = outcome.json["users"]
    assert person["history"] == history
    check_person(person, dataset_of(trained)[0], 3)
    assert outcome.err == f"{note}loading run nano-1\n"


def test_asking_twice_gives_the_same_answer(trained: Console) -> None:
    one, other = (trained.done("predict", *PAIR, "--json").out for _ in range(2))
    assert one == other


def test_a_run_trained_on_another_version_of_the_data_is_refused(changeable: Console) -> None:
    changeable.done("prepare", "sample", "--seed", "1", "--force")
    refused = changeable("predict", "--user", "v001")
    assert refused.code == 1
    assert "run 'nano-1' was trained on another version of dataset 'sample'" in refused.err
