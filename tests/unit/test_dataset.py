import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from preparing import prepare_with
from small_data import Row, raw_log

from genrec_cli.core.errors import DataError, WorkspaceError
from genrec_cli.core.schema import CATALOG, SEQUENCES
from genrec_cli.core.settings import PrepareSettings
from genrec_cli.data.dataset import Dataset, content_hash, load_dataset
from genrec_cli.data.engine.finishing import section_digests
from genrec_cli.data.engine.local import LocalEngine
from genrec_cli.data.split import Cut

FILES = ("catalog.parquet", "sequences.parquet")
USERS = ("1", "12", "123", "900")
TIED: list[Row] = [(user, item, 1) for user in USERS for item in "abcdefgh"]
CLEAR: list[Row] = [(user, item, time) for user in USERS for time, item in enumerate("abcdefgh")]
AGAIN = "prepare it again with --force"


def written(folder: Path, rows: list[Row], seed: int = 0) -> str:
    folder.mkdir()
    settings = PrepareSettings(min_user=1, min_item=1, seed=seed)
    engine = LocalEngine(folder / "scratch", memory_limit=10**9)
    return prepare_with(engine, raw_log(rows), settings, folder).hash


def small(folder: Path, rows: list[Row] | None = None) -> Dataset:
    written(folder, rows or CLEAR)
    return load_dataset(folder)


def test_the_same_input_and_seed_give_the_same_bytes(tmp_path: Path) -> None:
    hashes = [written(tmp_path / name, TIED, seed=3) for name in "ab"]
    assert hashes[0] == hashes[1]
    for file in FILES:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize(("rows", "differs"), [(TIED, True), (CLEAR, False)])
def test_another_seed_matters_only_where_times_are_tied(
    tmp_path: Path, rows: list[Row], differs: bool
) -> None:
    one, other = (written(tmp_path / str(seed), rows, seed) for seed in (1, 2))
    assert (one != other) is differs


def test_a_dataset_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    dataset = small(tmp_path / "small")
    assert dataset.name == "small"
    assert dataset.user_ids == ["1", "12", "123", "900"]
    assert dataset.item_ids == list("abcdefgh")
    assert dataset.titles == [f"Film {item}" for item in "abcdefgh"]
    assert [dataset.sequence(row).tolist() for row in range(4)] == [list(range(8))] * 4
    assert dataset.train_counts.tolist() == [4, 4, 4, 4, 4, 4, 0, 0]


def catalog_of(item_ids: list[str]) -> pa.Table:
    count = range(len(item_ids))
    columns = [list(count), item_ids, item_ids, item_ids, [0 for _ in count]]
    arrays = [pa.array(c, f.type) for c, f in zip(columns, CATALOG, strict=True)]
    return pa.table(arrays, schema=CATALOG)


def sequences_of(lists: list[list[int]]) -> pa.Table:
    columns: list[list[Any]] = [["u"] * len(lists), lists, lists]
    arrays = [pa.array(c, f.type) for c, f in zip(columns, SEQUENCES, strict=True)]
    return pa.table(arrays, schema=SEQUENCES)


def hash_of(catalog: pa.Table, sequences: pa.Table) -> str:
    keys = np.zeros(len(sequences), dtype=np.uint64)
    return content_hash(catalog, section_digests(keys, sequences), None)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((["ab", "c"], []), (["a", "bc"], [])),
        ((["a"], [[1, 2], [3]]), (["a"], [[1], [2, 3]])),
        ((["a"], [[1, 2]]), (["a"], [[2, 1]])),
        ((["a", "b"], []), (["b", "a"], [])),
        ((["a", ""], []), (["", "a"], [])),
    ],
)
def test_the_hash_tells_tables_apart(
    one: tuple[list[str], list[list[int]]], other: tuple[list[str], list[list[int]]]
) -> None:
    hashes = {hash_of(catalog_of(ids), sequences_of(lists)) for ids, lists in (one, other)}
    assert len(hashes) == 2


def test_the_hash_does_not_see_how_a_table_is_cut_into_chunks() -> None:
    whole, sequences = catalog_of(["a", "b", "c"]), sequences_of([[1, 2], [3]])
    cut = pa.concat_tables([whole.slice(0, 1), whole.slice(1)])
    halves = pa.concat_tables([sequences.slice(0, 1), sequences.slice(1)])
    assert hash_of(whole, sequences) == hash_of(cut, halves)


def test_the_hash_sees_the_cut_of_a_global_time_split() -> None:
    cuts = [None, Cut(1, 2), Cut(1, 3)]
    assert len({content_hash(catalog_of(["a"]), {}, cut) for cut in cuts}) == 3


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def without_titles(path: Path) -> None:
    pq.write_table(pq.read_table(path).drop_columns(["title"]), path)


def with_numbers_for_titles(path: Path) -> None:
    table = pq.read_table(path)
    column = pa.array([[1]] * len(table), pa.list_(pa.int64()))
    pq.write_table(table.set_column(2, "title", column), path)


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("catalog.parquet", cut_short),
        ("catalog.parquet", emptied),
        ("catalog.parquet", Path.unlink),
        ("catalog.parquet", without_titles),
        ("catalog.parquet", with_numbers_for_titles),
        ("sequences.parquet", cut_short),
        ("sequences.parquet", Path.unlink),
    ],
)
def test_a_damaged_table_is_said_to_be_damaged(
    tmp_path: Path, file: str, damage: Callable[[Path], None]
) -> None:
    folder = small(tmp_path / "small").folder
    damage(folder / file)
    with pytest.raises(WorkspaceError) as caught:
        load_dataset(folder)
    assert caught.value.message.startswith(f"{folder} is damaged: ")
    assert caught.value.fix == AGAIN


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (json.dumps({"format": 99}), "{path} has format 99, this genrec reads 2"),
        (json.dumps({}), "{path} has format None, this genrec reads 2"),
        ("[1]", "{path} is damaged: it holds no JSON object"),
        (
            '{"format": 2',
            "{path} is damaged: Expecting ',' delimiter: line 1 column 13 (char 12)",
        ),
        (None, "{path} is missing"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_named(
    tmp_path: Path, manifest: str | None, message: str
) -> None:
    path = small(tmp_path / "small").folder / "dataset.json"
    path.unlink()
    if manifest is not None:
        path.write_text(manifest)
    with pytest.raises(WorkspaceError) as caught:
        load_dataset(path.parent)
    assert caught.value.message == message.format(path=path)


def test_users_are_found_by_their_raw_ids(tmp_path: Path) -> None:
    dataset = small(tmp_path / "small")
    assert dataset.rows_of(["900", "1", "900"]) == [3, 0, 3]


def test_an_unknown_user_is_offered_the_nearest_ids(tmp_path: Path) -> None:
    dataset = small(tmp_path / "small")
    with pytest.raises(DataError) as caught:
        dataset.rows_of(["1", "124"])
    assert caught.value.message == "unknown user '124' in dataset 'small'"
    assert caught.value.fix is not None
    near = caught.value.fix.removeprefix("nearest ids: ").split("   ")[0].split(", ")
    assert set(near) == {"1", "12", "123"}


def test_rows_in_another_order_are_refused(tmp_path: Path) -> None:
    path = small(tmp_path / "small").folder / "sequences.parquet"
    table = pq.read_table(path)
    pq.write_table(table.take(pa.array(range(len(table) - 1, -1, -1))), path)
    with pytest.raises(WorkspaceError, match="not those it was made with"):
        load_dataset(path.parent)


def test_tables_that_are_not_those_of_the_manifest_are_refused(tmp_path: Path) -> None:
    written(tmp_path / "one", CLEAR)
    written(tmp_path / "other", TIED)
    one, other = (tmp_path / name / "sequences.parquet" for name in ("one", "other"))
    one.write_bytes(other.read_bytes())
    with pytest.raises(WorkspaceError, match="not those it was made with") as refused:
        load_dataset(tmp_path / "one")
    assert refused.value.fix == AGAIN
