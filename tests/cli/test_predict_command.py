import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest

from genrec_cli.core.workspace import Workspace
from genrec_cli.evaluation import tuning

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
    assert list(person) == ["user_id", "history", "exact", "recommendations"]
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
            "reading 'Reservor Dogs (1992)' as 'Reservoir Dogs (1992)' (97% sure)\n",
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


def predicted(console: Console, *options: str | Path) -> dict[str, Any]:
    """What one person is recommended, with some options."""
    (person,) = console.done("predict", "--user", "v001", *options, "--json").json["users"]
    assert isinstance(person, dict)
    return person


def ids(person: dict[str, Any]) -> list[str]:
    return [entry["item_id"] for entry in person["recommendations"]]


# --- what may be recommended


def test_only_listed_items_are_recommended_and_scored_as_ever(
    trained: Console, tmp_path: Path
) -> None:
    everything = predicted(trained, "-k", "500")
    catalog, _ = dataset_of(trained)
    wanted = ids(everything)[5:50:5]
    path = tmp_path / "in-stock.txt"
    lines = [item if place % 2 else catalog[item] for place, item in enumerate(wanted)]
    path.write_text("\n".join([*lines, everything["history"][0]]), encoding="utf-8-sig")
    person = predicted(trained, "--only", path, "-k", "500")
    assert person["exact"]
    assert ids(person) == wanted  # and no title that she knows, though it is listed
    scores = {entry["item_id"]: entry["score"] for entry in everything["recommendations"]}
    for entry in person["recommendations"]:
        assert entry["score"] == pytest.approx(scores[entry["item_id"]], abs=1e-4)


def test_items_of_a_list_are_left_out(trained: Console, tmp_path: Path) -> None:
    before = ids(predicted(trained, "-k", "20"))
    path = tmp_path / "sold-out.txt"
    path.write_text("\n\n".join(before[:10]))
    assert ids(predicted(trained, "--without", path)) == before[10:]


def test_both_lists_count(trained: Console, tmp_path: Path) -> None:
    best = ids(predicted(trained, "-k", "6"))
    only, without = tmp_path / "only.txt", tmp_path / "without.txt"
    only.write_text("\n".join(best[:4]))
    without.write_text("\n".join(best[1:3] + best[5:]))
    assert ids(predicted(trained, "--only", only, "--without", without)) == [best[0], best[3]]


NEW = (
    "sku,name\n"
    'new-1,"Matrix Resurrections, The (2021)"\n'
    "new-2,Dune (2021)\n"
    "new-3,Dune (2021)\n"
    "new-4,\n"
    "new-5,千と千尋の神隠し (2001)\n"
)


def test_a_catalog_that_the_model_never_saw_is_ranked(trained: Console, tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text(NEW, encoding="utf-8")
    person = predicted(trained, "--catalog", path)
    assert person["history"] == dataset_of(trained)[1]["v001"]
    assert {entry["item_id"]: entry["title"] for entry in person["recommendations"]} == {
        "new-1": "The Matrix Resurrections (2021)",
        "new-2": "Dune (2021)",
        "new-3": "Dune (2021) [new-3]",
        "new-4": "new-4",
        "new-5": "千と千尋の神隠し (2001)",
    }
    shares = [math.exp(entry["score"]) for entry in person["recommendations"]]
    assert sum(shares) == pytest.approx(1, abs=1e-4)  # of the new catalog, and of nothing else
    path.with_name("only.txt").write_text("new-1\nDune (2021)\n")
    some = predicted(trained, "--catalog", path, "--only", tmp_path / "only.txt")
    assert sorted(ids(some)) == ["new-1", "new-2"]


def test_known_items_of_a_new_catalog_are_not_recommended_again(
    trained: Console, tmp_path: Path
) -> None:
    source = Workspace(trained.workspace).dataset("sample") / "catalog.parquet"
    same = predicted(trained, "--catalog", source, "--explain")
    assert same == predicted(trained, "--explain")
    catalog, users = dataset_of(trained)
    known = next(item for item, title in catalog.items() if title == users["v001"][-1])
    path = tmp_path / "new.jsonl"
    rows = [{"item_id": known, "title": "Something Else"}, {"item_id": "x", "title": "X"}]
    path.write_text("\n".join(map(json.dumps, rows)))
    assert ids(predicted(trained, "--catalog", path)) == ["x"]
    typed = trained.done("predict", "--history", users["v001"][0], "--catalog", path, "--json")
    assert sorted(ids(typed.json["users"][0])) == sorted([known, "x"])


# --- why


def test_explanations_spell_the_titles_and_multiply_to_their_scores(trained: Console) -> None:
    plain, explained = predicted(trained), predicted(trained, "--explain")
    catalog, _ = dataset_of(trained)
    for one, entry in zip(plain["recommendations"], explained["recommendations"], strict=True):
        assert list(entry) == [*one, "explanation"]
        turns = entry["explanation"]
        assert all(list(turn) == ["text", "probability", "others"] for turn in turns)
        assert "".join(turn["text"] for turn in turns) == entry["title"]
        product = math.prod(turn["probability"] for turn in turns)
        # Passes of other shapes, which bfloat16 rounds otherwise.
        assert math.log(product) == pytest.approx(entry["score"], abs=2e-3)
        for turn in turns:
            shares = [other["probability"] for other in turn["others"]]
            assert 1 <= len(shares) <= 3
            assert shares == sorted(shares, reverse=True)
            assert turn["probability"] + sum(shares) <= 1 + 1e-9
        starts = [other["text"].rstrip("…") for other in turns[0]["others"]]
        assert all(any(title.startswith(s) for title in catalog.values()) for s in starts)


def test_people_see_how_each_title_was_chosen(trained: Console) -> None:
    outcome = trained.done("predict", *PAIR, "-k", "2", "--explain")
    assert outcome.out.count("How each was chosen") == 2
    assert sum(line.startswith("└──") for line in outcome.out.splitlines()) == 4
    assert "How each" not in trained.done("predict", *PAIR, "-k", "2").out


def test_explanations_are_written_as_json_lines(trained: Console, tmp_path: Path) -> None:
    path = tmp_path / "recs.jsonl"
    person = predicted(trained, "--explain", "--output", path)
    assert json.loads(path.read_text(encoding="utf-8")) == person


# --- how it is searched


def test_the_search_is_exact_unless_it_is_cut_short(trained: Console) -> None:
    best = predicted(trained)
    assert best["exact"]
    assert ids(predicted(trained, "--search", "exact", "--budget", "100000")) == ids(best)
    assert len(ids(predicted(trained, "--search", "beam"))) == 10
    cut = predicted(trained, "--budget", "1")
    assert not cut["exact"]
    check_person(cut, dataset_of(trained)[0], 10)


def test_only_a_search_that_is_not_exact_is_spoken_of(trained: Console, tmp_path: Path) -> None:
    said = "The search{} was not exact: another title may belong here.\n"
    asked = ("predict", "--user", "v001")
    assert "exact" not in trained.done(*asked).out
    assert said.format("") in trained.done(*asked, "--milliseconds", "0.001").out
    path = tmp_path / "recs.csv"
    outcome = trained.done(*asked, "--budget", "1", "--output", path)
    assert outcome.out.endswith(said.format(" for 1 of them"))


def test_scores_may_be_shares_of_the_whole_vocabulary(trained: Console) -> None:
    of_catalog = predicted(trained, "-k", "500")["recommendations"]
    of_all = predicted(trained, "-k", "500", "--normaliser", "vocabulary")["recommendations"]
    before = {entry["item_id"]: entry["score"] for entry in of_catalog}
    assert before.keys() == {entry["item_id"] for entry in of_all}
    assert all(entry["score"] < before[entry["item_id"]] for entry in of_all)


def test_a_prior_moves_the_list_towards_it(changeable: Console) -> None:
    plain = changeable.done("predict", "--user", "v001", "--json").json["users"][0]
    strong = ("--prior", "popularity", "--prior-weight", "1000", "--json")
    moved = changeable.done("predict", "--user", "v001", *strong).json["users"][0]
    none = changeable.done("predict", "--user", "v001", *strong[:3], "0", "--json").json["users"][0]
    assert none == plain
    assert moved["exact"] is True
    counts = train_counts(changeable)
    popular = sorted(counts.values(), reverse=True)
    top = [counts[entry["item_id"]] for entry in moved["recommendations"]]
    assert top == sorted(top, reverse=True)
    assert top[0] >= popular[20]  # what she has seen is left out


def train_counts(console: Console) -> dict[str, int]:
    rows = rows_of(console.workspace / "data" / "sample" / "catalog.parquet")
    return {row["item_id"]: row["train_count"] for row in rows}


def test_the_weight_of_a_prior_is_chosen_once_and_remembered(
    changeable: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "USERS", 20)
    asked = ("predict", "--user", "v001", "--prior", "popularity", "--json")
    first = changeable.done(*asked)
    file = changeable.workspace / "runs" / "sample" / "nano-1" / "prior-popularity.json"
    kept = json.loads(file.read_text())
    assert f"weight {kept['weight']:g}, chosen on validation items" in first.err
    assert kept["NDCG@10"][str(kept["weight"])] == max(kept["NDCG@10"].values())
    file.write_text(json.dumps({**kept, "weight": 0.0}))
    again = changeable.done(*asked)
    assert "weight 0, chosen" in again.err
    plain = changeable.done("predict", "--user", "v001", "--json")
    assert again.json["users"] == plain.json["users"]
    changeable.done(*asked, "--search", "beam")  # another search, another choice
    assert json.loads(file.read_text())["identity"]["mixed"][0]["search"]["method"] == "beam"


def test_free_text_gives_no_item_twice_and_none_that_was_seen(trained: Console) -> None:
    said = trained.done("predict", "--user", "v001", "-k", "4", "--search", "free", "--json").json
    [user] = said["users"]
    assert user["exact"] is False
    titles = [entry["title"] for entry in user["recommendations"]]
    assert len(set(titles)) == len(titles) <= 4
    assert not set(titles) & set(user["history"])
    ranks = [entry["rank"] for entry in user["recommendations"]]
    assert ranks == list(range(1, len(titles) + 1))
