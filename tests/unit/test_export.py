import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from preparing import prepare_with
from small_data import Row, raw_log

from genrec_cli.core.settings import PrepareSettings, SplitRule
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.engine.local import LocalEngine
from genrec_cli.data.export import Format, export
from genrec_cli.data.split import held_out, training_part

ROWS: list[Row] = [
    (f"u {user}", f"i{(user * place) % 13}", 10 * place + user % 3)
    for user in range(40)
    for place in range(4 + user % 9)
]
TITLES = {f"i{item}": f'Film "{item}", the\tbest (1999)' for item in range(13)}

Event = tuple[str, str, int, int]  # user, item, timestamp, place


def dataset_in(folder: Path, split: SplitRule) -> Dataset:
    folder.mkdir()
    settings = PrepareSettings(min_user=1, min_item=1, split=split)
    engine = LocalEngine(folder / "scratch", memory_limit=10**9)
    prepared = prepare_with(engine, raw_log(ROWS, TITLES), settings, folder)
    manifest = {**prepared.dataset.manifest, "split": split}
    return Dataset(**{**vars(prepared.dataset), "manifest": manifest})


def from_csv(folder: Path, part: str) -> list[dict[str, Any]]:
    with (folder / f"{part}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def from_parquet(folder: Path, part: str) -> list[dict[str, Any]]:
    return list(pq.read_table(folder / f"{part}.parquet").to_pylist())


def from_recbole(folder: Path, part: str) -> list[dict[str, Any]]:
    short = {"train": "train", "validation": "valid", "test": "test"}
    suffix = "item" if part == "items" else f"{short[part]}.inter"
    with (folder / f"small.{suffix}").open(newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    names = [name.split(":")[0] for name in rows[0]]
    return [dict(zip(names, row, strict=True)) for row in rows[1:]]


READERS: dict[Format, Callable[[Path, str], list[dict[str, Any]]]] = {
    "csv": from_csv,
    "parquet": from_parquet,
    "recbole": from_recbole,
}


def events(rows: list[dict[str, Any]]) -> list[Event]:
    return [
        (row["user_id"], row["item_id"], int(row["timestamp"]), int(row["place"])) for row in rows
    ]


@pytest.mark.parametrize("split", ["leave-one-out", "global-time"])
@pytest.mark.parametrize("kind", ["csv", "parquet", "recbole"])
def test_the_splits_are_read_back_as_genrec_reads_them(
    tmp_path: Path, kind: Format, split: SplitRule
) -> None:
    dataset = dataset_in(tmp_path / "data", split)
    folder = tmp_path / "out"
    folder.mkdir()
    files = export(dataset, kind, folder, "small")
    assert sorted(files) == sorted(folder.iterdir())
    read = READERS[kind]
    training = [
        (user, dataset.item_ids[item])
        for row, user in enumerate(dataset.user_ids)
        for item in training_part(dataset, row)
    ]
    train = events(read(folder, "train"))
    assert [(user, item) for user, item, _, _ in train] == training
    for part in ("validation", "test"):
        cases = held_out(dataset, part)
        expected = [
            (dataset.user_ids[row], dataset.item_ids[target], len(history))
            for row, target, history in zip(cases.rows, cases.targets, cases.histories, strict=True)
        ]
        written = events(read(folder, part))
        assert [(user, item, place) for user, item, _, place in written] == expected
    times = {(user, item, time) for user, item, time, _ in train}
    assert times <= set(ROWS)
    titles = {row["item_id"]: row["title"] for row in read(folder, "items")}
    assert titles == dict(zip(dataset.item_ids, dataset.titles, strict=True))


def test_recbole_is_told_how_to_split(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    export(dataset_in(tmp_path / "data", "leave-one-out"), "recbole", folder, "small")
    settings = yaml.safe_load((folder / "small.yaml").read_text())
    assert settings["TIME_FIELD"] == "place"
    assert settings["eval_args"]["split"] == {"LS": "valid_and_test"}
    whole = (folder / "small.inter").read_text().splitlines()
    assert whole[0] == "user_id:token\titem_id:token\ttimestamp:float\tplace:float"
    assert len(whole) == len(ROWS) + 1
