import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_data import dataset_of

from genrec_cli.core.errors import DataError
from genrec_cli.core.progress import SILENT, Task
from genrec_cli.data.newcatalog import Offer, offer_of, read_catalog
from genrec_cli.data.titles import clean_title


class Notes:
    """A progress display that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    @contextmanager
    def task(self, title: str, total: float | None, unit: str) -> Iterator[Task]:
        with SILENT.task(title, total, unit) as task:
            yield task

    def note(self, text: str) -> None:
        self.said.append(text)


def write(path: Path, content: bytes | pa.Table) -> Path:
    if isinstance(content, pa.Table):
        pq.write_table(content, path)
    else:
        path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("new.csv", b'item_id,title\n10,"Matrix, The (1999)"\n9,Heat\n'),
        ("new.csv.gz", gzip.compress(b"title;item_id\nThe Matrix (1999);10\nHeat;9\n")),
        ("new.tsv", b"asin\tproduct_name\textra\n9\tHeat\tx\n10\tThe Matrix (1999)\ty\n"),
        ("new.jsonl", b'{"id":1,"item_id":10,"title":"The Matrix (1999)"}\n'
         b'{"item_id":"9","title":" Heat "}\n'),
        ("new.parquet", pa.table({"item_id": [10, 9], "title": ["The Matrix (1999)", "Heat"]})),
    ],
)  # fmt: skip
def test_a_catalog_may_be_of_any_kind_and_order(
    tmp_path: Path, name: str, content: bytes | pa.Table
) -> None:
    offer = read_catalog(write(tmp_path / name, content))
    assert offer.item_ids == ["9", "10"]
    assert offer.titles == ["Heat", "The Matrix (1999)"]
    assert offer.name == f"catalog {tmp_path / name}"


def test_titles_become_what_prepare_would_make_of_them(tmp_path: Path) -> None:
    rows = b"item_id,title\n2,\n10,Emma (1996)\n1,Emma  (1996)\n3,A &amp; B\n"
    notes = Notes()
    offer = read_catalog(write(tmp_path / "new.csv", rows), notes)
    assert dict(zip(offer.item_ids, offer.titles, strict=True)) == {
        "1": "Emma (1996)",
        "2": "2",
        "3": "A & B",
        "10": "Emma (1996) [10]",
    }
    assert notes.said == [
        "new.csv: item ← item_id, title ← title; 4 items, 1 without a title (the id stands in), "
        "1 with a title that another has (the id stands behind)"
    ]


@settings(max_examples=40)
@given(
    st.dictionaries(
        st.text("ab0 ", min_size=1).filter(str.strip).map(str.strip), st.text(), min_size=1
    )
)
def test_every_item_gets_one_clean_title_of_its_own(
    tmp_path_factory: pytest.TempPathFactory, rows: dict[str, str]
) -> None:
    path = tmp_path_factory.mktemp("catalogs") / "new.parquet"
    table = pa.table({"item_id": list(rows), "title": pa.array(rows.values(), pa.string())})
    offer = read_catalog(write(path, table))
    assert sorted(offer.item_ids) == sorted(rows)
    assert len(set(offer.titles)) == len(rows)
    assert all(offer.titles)
    for item_id, title in zip(offer.item_ids, offer.titles, strict=True):
        assert title.startswith(clean_title(rows[item_id]) or item_id)


@pytest.mark.parametrize(
    ("name", "content", "message", "fix"),
    [
        ("gone.csv", None, "no such file", "pass a file of ids and titles"),
        ("a.csv", b"", "the file is empty", "pass a file with data"),
        ("a.csv", b"item_id,title\n", "no rows in it", "pass a catalog with at least one item"),
        (
            "a.parquet",
            pa.table({"item_id": pa.array([], pa.string()), "title": pa.array([], pa.string())}),
            "no rows in it",
            "pass a catalog with at least one item",
        ),
        (
            "a.csv",
            b"item_id,price\n1,2\n",
            "no column for the title (it has item_id, price)",
            "call the columns item_id and title",
        ),
        (
            "a.csv",
            b"1,Heat\n2,Emma\n",
            "no column for the item (it has 1, Heat)",
            "call the columns item_id and title",
        ),
        (
            "a.csv",
            b"movie,product,title\n1,2,Heat\n",
            "movie and product may both be the item (it has movie, product, title)",
            "call the columns item_id and title",
        ),
        (
            "a.csv",
            b"item_id,title\n1,Heat\n2,Emma\n1,Big\n",
            "rows 1 and 3 both have the id '1': 'Heat' and 'Big'",
            "give each item one row and an id of its own",
        ),
        (
            "a.parquet",
            pa.table({"item_id": ["1", None], "title": ["Heat", "Emma"]}),
            "row 2: item_id is missing",
            "mend or delete that row",
        ),
        (
            "a.parquet",
            pa.table({"item_id": [1.5], "title": ["Heat"]}),
            "column item_id is of type double, which is no id (text or a whole number)",
            "write it with another type",
        ),
        (
            "a.jsonl",
            b'[{"item_id": "1", "title": "Heat"}]\n',
            'no JSON object: \'[{"item_id": "1", "title": "Heat"}]\'',
            "write one object a line: jq -c '.[]' file.json > file.jsonl",
        ),
        (
            "a.jsonl",
            b'{"item_id": "1", "title": "Heat"}\n{"item_id"\n',
            "no JSON object in one line (Expecting ':' delimiter): '{\"item_id\"'",
            'write one object a line: {"item_id": …, "title": …}',
        ),
    ],
)
def test_a_catalog_that_cannot_be_used_is_refused(
    tmp_path: Path, name: str, content: bytes | pa.Table | None, message: str, fix: str
) -> None:
    path = tmp_path / name
    if content is not None:
        write(path, content)
    with pytest.raises(DataError) as caught:
        read_catalog(path)
    where, _, said = caught.value.message.partition(": ")
    assert where.startswith(str(path))
    assert (said, caught.value.fix) == (message, fix)


def test_a_dataset_offers_its_own_catalog() -> None:
    dataset = dataset_of([[0, 1, 2]])
    offer = offer_of(dataset)
    assert (offer.item_ids, offer.titles) == (dataset.item_ids, dataset.titles)
    assert offer.name == "dataset 'small'"


def test_items_keep_their_ids_in_another_catalog() -> None:
    offer = Offer(["b", "c", "a"], ["B", "C", "A"], "letters")
    assert offer.numbers_of(["a", "x", "c"]).tolist() == [2, -1, 1]
