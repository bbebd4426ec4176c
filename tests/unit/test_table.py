"""Logs of one's own: which files, which columns, and one table whatever they are written in."""

import gzip
import json
import pickle
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet as pq
from small_data import whole

from genrec_cli.core.errors import DataError
from genrec_cli.core.progress import SILENT, Task
from genrec_cli.core.schema import INTERACTIONS, RAW_ITEMS, TITLED_INTERACTIONS
from genrec_cli.data.rawlog import RawLog
from genrec_cli.data.table import Columns, read_table
from genrec_cli.data.table.columns import chosen

REAL = Path(__file__).parents[2].parent / "shared" / "data"
LOG = b"user,item,time\na,x,1\nb,y,2\n"
ROWS = [("a", "x", 1, None), ("b", "y", 2, None)]


class Notes:
    """A progress that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.totals: list[float | None] = []
        self.done = 0.0

    def task(self, title: str, total: float | None, unit: str) -> AbstractContextManager[Task]:
        self.totals.append(total)
        return self

    def note(self, text: str) -> None:
        self.notes.append(text)

    def __enter__(self) -> "Notes":
        return self

    def __exit__(self, *exc: object) -> None: ...

    def skip(self, amount: float) -> None: ...

    def advance(self, amount: float = 1) -> None:
        self.done += amount

    def figures(self, values: Mapping[str, str]) -> None: ...


def write(folder: Path, **files: bytes | pa.Table) -> Path:
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            pq.write_table(content, path, row_group_size=2)
    return folder


def rows(log: RawLog) -> list[Any]:
    table = whole(log)
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


# --- columns


@pytest.mark.parametrize(
    ("header", "user", "item", "time"),
    [
        ("user_id item_id timestamp", "user_id", "item_id", "timestamp"),
        ("userId movieId rating timestamp", "userId", "movieId", "timestamp"),
        ("reviewer asin order", "reviewer", "asin", "order"),
        ("reviewerID reviewerName asin overall unixReviewTime", "reviewerID", "asin", None),
        ("asin parent_asin user_id timestamp", "user_id", "parent_asin", "timestamp"),
        ("USER User_ID item time", "User_ID", "item", "time"),
        ("Customer-ID Article ID t_dat date", "Customer-ID", None, "date"),
        ("session_id item_id datetime date", "session_id", "item_id", "datetime"),
    ],
)
def test_usual_names_are_guessed_whatever_their_case(
    header: str, user: str, item: str | None, time: str | None
) -> None:
    names = header.replace("Article ID", "Article_ID").split()
    roles = chosen(names, Columns(), Path("x"))
    assert roles["user"] == user
    assert roles["item"] == (item or "Article_ID")
    assert roles["time"] == (time or "unixReviewTime")


def test_named_columns_win_and_are_not_guessed_again(tmp_path: Path) -> None:
    write(tmp_path, a__csv=b"user,item,time,name,when,stars\n1,2,3,a,5,4\n")
    columns = Columns(user="name", item="user", time="when")
    log = read_table(tmp_path / "a.csv", columns=columns)
    assert rows(log) == [("a", "1", 5, 4.0)]
    assert log.columns == {"user": "name", "item": "user", "time": "when", "rating": "stars"}


def test_one_column_may_play_two_roles(tmp_path: Path) -> None:
    write(tmp_path, a__csv=LOG)
    log = read_table(tmp_path / "a.csv", columns=Columns(title="item"))
    assert rows(log) == [("a", "x", 1, None, "x"), ("b", "y", 2, None, "y")]


def test_what_was_guessed_is_said_and_kept(tmp_path: Path) -> None:
    write(tmp_path, a__csv=b"reviewer,asin,order,stars\na,x,1,5\n", i__csv=b"asin,title\nx,X\n")
    notes = Notes()
    log = read_table(tmp_path / "a.csv", tmp_path / "i.csv", progress=notes)
    assert notes.notes == [
        "columns: user ← reviewer, item ← asin, time ← order (an order), rating ← stars, "
        "title ← title of i.csv"
    ]
    assert log.columns == {
        "user": "reviewer",
        "item": "asin",
        "time": "order",
        "rating": "stars",
        "title": "title",
    }
    assert log.time_unit == "order"
    assert log.files == (tmp_path / "a.csv", tmp_path / "i.csv")


# --- files


def test_a_folder_and_a_pattern_are_read_in_the_order_of_names(tmp_path: Path) -> None:
    more = gzip.compress(b"time,user,item\n2,b,y\n")  # other files may order columns otherwise
    folder = write(tmp_path / "d", **{"2__csv__gz": more, "1__csv": LOG[:21], "x__md": b"?"})
    for source in (folder, str(folder / "*.csv*"), tmp_path / "*" / "[12].csv*"):
        log = read_table(source)
        assert rows(log) == ROWS
        assert log.source == f"{source} (2 files)"
        assert log.files == (folder / "1.csv", folder / "2.csv.gz")


def test_items_may_lie_in_the_folder_of_the_log(tmp_path: Path) -> None:
    write(tmp_path, log__csv=LOG, a_items__csv=b"item,title\nx,X\n")
    log = read_table(tmp_path, tmp_path / "a_items.csv")
    assert rows(log) == ROWS
    assert log.items.to_pylist() == [{"item_id": "x", "raw_title": "X"}]


def test_the_bar_is_as_long_as_the_files(tmp_path: Path) -> None:
    table = pa.table({"user": ["a"] * 5, "item": ["x"] * 5, "time": [1, 2, 3, 4, 5]})
    for name, content in {"csv": LOG, "gz": gzip.compress(LOG), "parquet": table}.items():
        write(tmp_path, **{f"a__{name}": content})
        notes = Notes()
        for block in read_table(tmp_path / f"a.{name}").blocks(notes):
            block.read()
        assert notes.totals == [(tmp_path / f"a.{name}").stat().st_size]
        assert notes.done == pytest.approx(notes.totals[0])


def test_parquet_is_one_block_a_row_group_and_blocks_can_be_pickled(tmp_path: Path) -> None:
    table = pa.table({"user": ["a"] * 5, "item": ["x"] * 5, "time": [1, 2, 3, 4, 5]})
    write(tmp_path, a__parquet=table, b__csv=LOG, c__jsonl=b'{"user":"a","item":"x","time":1}')
    blocks = list(read_table(tmp_path / "a.parquet").blocks(SILENT))
    assert [block.read().num_rows for block in blocks] == [2, 2, 1]
    assert max(len(pickle.dumps(block)) for block in blocks) < 2000
    for name in ("a.parquet", "b.csv", "c.jsonl"):
        log = read_table(tmp_path / name)
        again = [pickle.loads(pickle.dumps(block)).read() for block in log.blocks(SILENT)]
        assert pa.concat_tables(again).equals(whole(log))


@pytest.mark.parametrize(
    "kind", [pa.int64(), pa.int32(), pa.string(), pa.large_string(), pa.binary(), pa.string_view()]
)
def test_ids_of_parquet_become_text(tmp_path: Path, kind: pa.DataType) -> None:
    ids = pa.array(["7", "8"], pa.string()).cast(kind)
    write(tmp_path, a__parquet=pa.table({"user": ids, "item": ids, "time": [1, 2]}))
    assert rows(read_table(tmp_path / "a.parquet")) == [("7", "7", 1, None), ("8", "8", 2, None)]


def test_dictionaries_and_timestamps_of_parquet(tmp_path: Path) -> None:
    ids = pa.array(["7", "8"]).dictionary_encode()
    for unit in ("s", "ms", "us", "ns"):
        times = pa.array([5, 6], pa.timestamp(unit))
        # Parquet has no seconds: Arrow writes them as milliseconds, and remembers that it did.
        write(tmp_path, a__parquet=pa.table({"user": ids, "item": ids, "time": times}))
        log = read_table(tmp_path / "a.parquet")
        kept = pq.read_schema(tmp_path / "a.parquet").field("time").type.unit
        assert log.time_unit == kept
        scale = 1000 if (unit, kept) == ("s", "ms") else 1
        assert [row[2] for row in rows(log)] == [5 * scale, 6 * scale]


# --- separators, RecBole


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", "::"])
def test_separators_are_told_by_the_header(tmp_path: Path, separator: str) -> None:
    # A title may hold any character that is no separator, and single colons even beside "::".
    lines = [["user", "item", "time", "title"], ["a", "x", "1", "Star Trek: 'V'"]]
    text = "".join(separator.join(line) + "\n" for line in lines)
    write(tmp_path, a__dat=text.encode())
    assert rows(read_table(tmp_path / "a.dat")) == [("a", "x", 1, None, "Star Trek: 'V'")]


INTER = b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t7\t5\t8.8e8\n"
ITEM = b'item_id:token\tmovie_title:token_seq\tgenre:token_seq\n7\t"Toy" Story\tA B\n'


@pytest.mark.parametrize("source", ["m", "m/m.inter"])
def test_recbole_files_are_read_with_the_titles_beside_them(tmp_path: Path, source: str) -> None:
    write(tmp_path / "m", m__inter=INTER, m__item=ITEM, m__user=b"user_id:token\n1\n")
    log = read_table(tmp_path / source)
    assert rows(log) == [("1", "7", 880000000, 5.0)]
    assert log.items.to_pylist() == [{"item_id": "7", "raw_title": '"Toy" Story'}]
    assert log.columns["title"] == "movie_title"
    assert log.time_unit == "s"
    assert log.files == (tmp_path / "m" / "m.inter", tmp_path / "m" / "m.item")


# --- titles


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("i.csv", b"title,item\nX,x\n"),
        ("i.csv.gz", gzip.compress(b"movieId,name\nx,X\n")),
        ("i.tsv", b"asin\tproduct_title\nx\tX\n"),
        ("i.jsonl", b'{"item":"x","title":"X","more":[1]}\n'),
        ("i.parquet", pa.table({"item": ["x"], "title": ["X"]})),
    ],
)
def test_items_may_be_of_any_kind(tmp_path: Path, name: str, content: bytes | pa.Table) -> None:
    write(tmp_path, log__csv=LOG, **{name.replace(".", "__"): content})
    log = read_table(tmp_path / "log.csv", tmp_path / name)
    assert log.items.schema == RAW_ITEMS
    assert log.items.to_pylist() == [{"item_id": "x", "raw_title": "X"}]
    assert whole(log).schema == INTERACTIONS


def test_titles_may_stand_in_the_log(tmp_path: Path) -> None:
    write(tmp_path, a__csv=b"user,item,time,title\na,x,1,X\na,y,2,\n", i__csv=b"item,title\nx,Z\n")
    log = read_table(tmp_path / "a.csv")
    assert whole(log).schema == TITLED_INTERACTIONS
    assert [row[4] for row in rows(log)] == ["X", ""]
    assert log.items.num_rows == 0
    # With a file of items the log's titles are read only if they are asked for.
    items = tmp_path / "i.csv"
    assert whole(read_table(tmp_path / "a.csv", items)).schema == INTERACTIONS
    both = read_table(tmp_path / "a.csv", items, Columns(title="title"))
    assert whole(both).schema == TITLED_INTERACTIONS
    assert both.items.num_rows == 1


def test_a_title_column_that_nobody_has_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, a__csv=LOG, i__csv=b"item,title\nx,Z\n")
    with pytest.raises(DataError, match="no column titel"):
        read_table(tmp_path / "a.csv", tmp_path / "i.csv", Columns(title="titel"))


# --- the same content in every form

TEXT = st.text(alphabet='abé ",;\n|', max_size=8)
EVENTS = st.lists(
    st.tuples(
        st.from_regex(r"[a-z0-9]([a-z ]{0,3}[a-z0-9])?", fullmatch=True),
        st.integers(1, 9999).map(str),
        st.integers(10**9, 10**10),
        st.none() | st.sampled_from([0.5, 3.0, 5.0]),
        TEXT,
    ),
    min_size=1,
    max_size=8,
)
NAMES = ("user", "item", "time", "rating", "title")


def as_csv(events: Sequence[Any], separator: str, line_end: str) -> bytes:
    def quoted(value: Any) -> str:
        return "" if value is None else '"' + str(value).replace('"', '""') + '"'

    lines = [separator.join(map(quoted, row)) for row in [NAMES, *events]]
    return "".join(line + line_end for line in lines).encode()


def as_jsonl(events: Sequence[Any]) -> bytes:
    return "".join(json.dumps(dict(zip(NAMES, row, strict=True))) + "\n" for row in events).encode()


def as_parquet(events: Sequence[Any]) -> bytes:
    sink = pa.BufferOutputStream()
    columns = dict(zip(NAMES, map(list, zip(*events, strict=True)), strict=True))
    columns["rating"] = pa.array(columns["rating"], pa.float64())
    pq.write_table(pa.table(columns), sink, row_group_size=3)
    content: bytes = sink.getvalue().to_pybytes()
    return content


FORMS: dict[str, Callable[[Sequence[Any]], bytes]] = {
    "csv": lambda events: as_csv(events, ",", "\n"),
    "crlf": lambda events: as_csv(events, ";", "\r\n"),
    "tsv": lambda events: as_csv(events, "\t", "\n"),
    "gzip": lambda events: gzip.compress(as_csv(events, ",", "\n")),
    "zstd": lambda events: pa.compress(as_jsonl(events), codec="zstd", asbytes=True),
    "jsonl": as_jsonl,
    "parquet": as_parquet,
}


@settings(max_examples=40)
@given(EVENTS)
def test_the_same_content_in_any_form_is_the_same_table(events: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, form in FORMS.items():
            path = Path(folder) / name
            path.write_bytes(form(events))
            assert rows(read_table(path)) == events, name


# --- real data


def real(name: str) -> Path:
    if not (REAL / name).exists():
        pytest.skip(f"{REAL / name} is not there")
    return REAL / name


@pytest.mark.realdata
def test_the_toys_need_no_options() -> None:
    folder = real("amazon-toys-2014")
    log = read_table(folder / "interactions.csv.gz", folder / "items.csv.gz")
    assert (whole(log).num_rows, log.items.num_rows, log.time_unit) == (167_597, 11_924, "order")


@pytest.mark.realdata
def test_movielens_needs_no_options(tmp_path: Path) -> None:
    zipfile.ZipFile(real("ml-latest-small.zip")).extractall(tmp_path)
    folder = tmp_path / "ml-latest-small"
    log = read_table(folder / "ratings.csv", folder / "movies.csv")
    assert (whole(log).num_rows, log.items.num_rows, log.time_unit) == (100_836, 9_742, "s")
