import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from genrec_cli.core.errors import GenrecError, UsageError, WorkspaceError
from genrec_cli.core.schema import RECOMMENDATIONS
from genrec_cli.data.recommendations import check_output, write_recommendations

AMELIE = {"rank": 1, "item_id": "007", "title": 'Amélie, "Le Fabuleux" (2001)', "score": -1.5}
HEAT = {"rank": 2, "item_id": "6", "title": "Heat\u2028(1995)", "score": -2.25}
USERS: list[dict[str, Any]] = [
    {"user_id": "01", "history": ["Toy Story (1995)"], "recommendations": [AMELIE, HEAT]},
    {"user_id": "nobody", "history": [], "recommendations": []},
    {"user_id": "x,y", "history": [], "recommendations": [AMELIE]},
]
ROWS = [{"user_id": "01", **AMELIE}, {"user_id": "01", **HEAT}, {"user_id": "x,y", **AMELIE}]


def read_parquet(path: Path) -> list[dict[str, Any]]:
    table = pq.read_table(path)
    assert table.schema == RECOMMENDATIONS
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def read_csv(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{**row, "rank": int(row["rank"]), "score": float(row["score"])} for row in rows]


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    # Split at line ends only: a title may hold U+2028, at which splitlines would cut.
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


@pytest.mark.parametrize(
    ("name", "read", "expected"),
    [
        ("recs.parquet", read_parquet, ROWS),
        ("recs.csv", read_csv, ROWS),
        ("recs.jsonl", read_jsonl, USERS),
    ],
)
def test_each_format_is_read_back_as_it_was_written(
    tmp_path: Path,
    name: str,
    read: Callable[[Path], list[dict[str, Any]]],
    expected: list[dict[str, Any]],
) -> None:
    write_recommendations(tmp_path / name, USERS)
    assert read(tmp_path / name) == expected
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["recs.parquet", "recs.csv"])
def test_nobody_gives_a_table_without_rows(tmp_path: Path, name: str) -> None:
    write_recommendations(tmp_path / name, [])
    read = read_parquet if name.endswith("parquet") else read_csv
    assert read(tmp_path / name) == []


@pytest.mark.parametrize("name", ["recs.parquet", "recs.csv", "recs.jsonl"])
def test_an_error_midway_leaves_the_old_file(tmp_path: Path, name: str) -> None:
    write_recommendations(tmp_path / name, USERS)
    before = (tmp_path / name).read_bytes()
    broken = [*USERS, {"user_id": object(), "history": [], "recommendations": [AMELIE]}]
    with pytest.raises((TypeError, ValueError)):
        write_recommendations(tmp_path / name, broken)
    assert (tmp_path / name).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("name", "force", "kind", "message", "fix"),
    [
        (
            "recs.xlsx",
            False,
            UsageError,
            "cannot write 'recs.xlsx': the ending decides on the format",
            "use one of .parquet, .csv, .jsonl",
        ),
        (
            "gone/recs.csv",
            False,
            UsageError,
            "no such folder: {folder}/gone",
            "mkdir -p {folder}/gone",
        ),
        (
            "there.csv",
            False,
            WorkspaceError,
            "{folder}/there.csv exists already",
            "add --force, or name another file",
        ),
        ("folder.csv", True, UsageError, "{folder}/folder.csv is a folder", "name a file"),
    ],
)
def test_an_output_that_cannot_be_is_refused_beforehand(
    tmp_path: Path, name: str, force: bool, kind: type[GenrecError], message: str, fix: str
) -> None:
    (tmp_path / "there.csv").write_text("precious")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(kind) as caught:
        check_output(tmp_path / name, force=force)
    assert caught.value.message == message.format(folder=tmp_path)
    assert caught.value.fix is not None
    assert caught.value.fix == fix.format(folder=tmp_path)


@pytest.mark.parametrize(("name", "force"), [("new.csv", False), ("there.csv", True)])
def test_an_output_that_can_be_is_let_pass(tmp_path: Path, name: str, force: bool) -> None:
    (tmp_path / "there.csv").write_text("precious")
    check_output(tmp_path / name, force=force)
    assert (tmp_path / "there.csv").read_text() == "precious"
