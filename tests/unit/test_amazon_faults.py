import gzip
import io
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from test_amazon import (
    META_2014,
    META_2018,
    META_2023,
    ROWS,
    csv_2014,
    csv_2018,
    csv_2023,
    json_lines,
    literal_lines,
    metadata,
    reviews_2014,
    reviews_2018,
    reviews_2023,
    rows_of,
    split_2023,
    titles_of,
    write,
)

from genrec_cli.core.errors import DataError
from genrec_cli.data.amazon import category_of, read_amazon
from genrec_cli.data.amazon.literals import parse

MEND = "mend or delete that line, or download the data again"
MEND_META = "mend or delete that line, or download the metadata again"

LOG_2014 = "reviews_Toys_and_Games_5.json"
LOG_2018 = "Toys_and_Games_5.json"


def refused(source: Path, category: str | None = None) -> DataError:
    with pytest.raises(DataError) as caught:
        rows_of(read_amazon(source, category))
    assert caught.value.fix
    return caught.value


@pytest.mark.parametrize(
    ("name", "good", "bad", "message"),
    [
        (LOG_2018, reviews_2018(), b'{"asin": "1", "over', "no JSON object in one line ("),
        (LOG_2018, reviews_2018(), b"[1]", "no JSON object: '[1]'"),
        (
            LOG_2018,
            reviews_2018(),
            b'{"asin": "1", "unixReviewTime": 1390176000, "overall": 5.0}',
            "reviewerID is missing or null",
        ),
        (
            LOG_2018,
            reviews_2018(),
            b'{"asin": "", "reviewerID": "A1", "unixReviewTime": 1390176000, "overall": 5.0}',
            "asin '' is empty",
        ),
        (
            "Toys_and_Games.jsonl",
            reviews_2023(),
            b'{"parent_asin": "1", "user_id": "A1", "timestamp": 1390176000, "rating": 5.0}',
            "timestamp '1390176000' is too small for Unix milliseconds",
        ),
    ],
)
def test_bad_lines_of_json_are_named(
    tmp_path: Path, name: str, good: list[dict[str, object]], bad: bytes, message: str
) -> None:
    write(tmp_path, {name: json_lines(good) + b"\n" + bad + b"\n" + json_lines(good)})
    error = refused(tmp_path / name)
    assert error.message.startswith(f"{tmp_path / name}:5: {message}")
    assert error.fix == MEND


@pytest.mark.parametrize(
    "bad",
    [
        b"{'reviewerID': 'A1', 'asin': __import__('os').system('true'), 'overall': 5.0}",
        b"{'reviewerID': 'A1', 'asin': 'B1', 'helpful': [0, len('x')], 'overall': 5.0}",
        b"{'reviewerID': 'A1', 'asin': 'B1'",
        b"{'reviewerID': 'A1', 'asin': '\\x'}",
        b"{'reviewerID': 'A\xff'}",
        b"'A1'",
        b"{'asin': " + b"[" * 100_000,
        b"\xc2\xa0",
    ],
)
def test_bad_python_lines_are_named_and_never_run(tmp_path: Path, bad: bytes) -> None:
    good = literal_lines(reviews_2014())
    write(tmp_path, {LOG_2014: good + bad + b"\n" + good, **META_2014})
    error = refused(tmp_path)
    where = f"{tmp_path / LOG_2014}:4: not a Python dictionary of plain values: "
    assert error.message.startswith(where)
    assert len(error.message) < len(where) + 80
    assert error.fix == MEND

    write(tmp_path, {LOG_2014: good, "meta_Toys_and_Games.json": good + bad})
    error = refused(tmp_path)
    assert error.message.startswith(
        f"{tmp_path / 'meta_Toys_and_Games.json'}:4: not a Python dictionary of plain values: "
    )


def test_bad_values_of_python_lines_are_named(tmp_path: Path) -> None:
    bad = b"{'reviewerID': 'A1', 'asin': 'B1', 'unixReviewTime': 'soon', 'overall': 5.0}\n"
    write(tmp_path, {LOG_2014: literal_lines(reviews_2014()) + bad})
    error = refused(tmp_path)
    assert error.message.startswith(f"{tmp_path / LOG_2014}:4: unixReviewTime 'soon' is no number")
    assert error.fix == MEND


@pytest.mark.parametrize(
    ("line", "record"),
    [
        (b"{}", {}),
        (b"{'a': u'\\u00e9', \"b\": \"it's\"}\r", {"a": "é", "b": "it's"}),
        (b"{'a': 'x' 'y', 'b': (1, 2)}", {"a": "xy", "b": (1, 2)}),
        (b"{'a': -1.5e3, 'b': None, 'c': True,}", {"a": -1500.0, "b": None, "c": True}),
        (b"{'a': [[[{'b': []}]]]}", {"a": [[[{"b": []}]]]}),
        (b"{'d': '{\\'a\\': 1}', 'a': '\\\\'}", {"d": "{'a': 1}", "a": "\\"}),
        (b"{'a': '\\d'}", {"a": "\\d"}),
    ],
)
def test_plain_python_is_understood(line: bytes, record: Mapping[str, object]) -> None:
    assert parse(line) == record
    assert parse(line, ["a"]) == {key: record[key] for key in record if key == "a"}


def test_a_long_doubtful_line_is_refused_at_once() -> None:
    assert parse(b"{'a': [" + b"'x', " * 1_000_000 + b"x]}") is None
    assert parse(b"{'a': [" + b"'x', " * 1_000_000 + b"'x']}", ["b"]) == {}


@pytest.mark.parametrize(
    ("name", "content", "line", "message"),
    [
        ("ratings_Toys_and_Games.csv", csv_2014() + b"A1,B1,5.0\n", 4, "3 fields where"),
        ("Toys_and_Games.csv", csv_2018() + b"B1,A1,5.0,soon\n", 4, "unixReviewTime 'soon' is no"),
        ("Toys_and_Games.csv", csv_2018() + b"B1,,5.0,1390176000\n", 4, "reviewerID '' is empty"),
        ("Toys_and_Games.csv", csv_2023() + b"A1,B1,5,1390176000\n", 5, "timestamp '1390176000'"),
        ("Toys_and_Games.csv", csv_2023() + b"A1,B1,much,1390176000000\n", 5, "rating 'much' is"),
    ],
)
def test_bad_rows_of_csv_are_named(
    tmp_path: Path, name: str, content: bytes, line: int, message: str
) -> None:
    write(tmp_path, {name: content})
    error = refused(tmp_path)
    assert error.message.startswith(f"{tmp_path / name}:{line}: {message}")
    assert error.fix == MEND


def test_a_bad_row_in_a_part_of_a_split_is_named(tmp_path: Path) -> None:
    good = {f"Toys_and_Games.{part}.csv": split_2023(ROWS[0], "") for part in ("train", "valid")}
    bad = split_2023(ROWS[0], "").rpartition(b",")[0]
    write(tmp_path, {**good, "Toys_and_Games.test.csv": bad})
    error = refused(tmp_path)
    assert error.message.startswith(f"{tmp_path / 'Toys_and_Games.test.csv'}:2: 4 fields where ")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (LOG_2018, b"once upon a time\n", "neither JSON nor a Python dictionary of plain values"),
        (LOG_2018, b'\n{"asin": "1"}\n', "no reviewerID, unixReviewTime in it, as reviews of 2018"),
        ("Toys_and_Games.jsonl", b'{"user_id": "1"}\n', "no parent_asin, timestamp in it, as"),
        ("Toys_and_Games.csv", b"user_id,asin,rating\n", "no parent_asin, timestamp in it, as"),
        ("Toys_and_Games.train.csv", csv_2018(), "no user_id, parent_asin, timestamp in it"),
        (LOG_2014, b"{'asin': exit()}\n", "neither JSON nor a Python dictionary of plain values"),
    ],
)
def test_a_first_line_of_something_else_is_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    write(tmp_path, {name: content})
    error = refused(tmp_path)
    number = 2 if content.startswith(b"\n") else 1
    assert error.message.startswith(f"{tmp_path / name}:{number}: {message}")


@pytest.mark.parametrize("content", [b"", b"\n\n"])
@pytest.mark.parametrize("name", [LOG_2018 + ".gz", "Toys_and_Games.csv", "meta"])
def test_empty_files_are_named(tmp_path: Path, name: str, content: bytes) -> None:
    good = {LOG_2018: json_lines(reviews_2018())} if name == "meta" else {}
    empty = "meta_Toys_and_Games.json" if name == "meta" else name
    write(tmp_path, {**good, empty: content})
    assert refused(tmp_path).message == f"{tmp_path / empty}: the file is empty"


@pytest.mark.parametrize("broken", [LOG_2018 + ".gz", "meta_Toys_and_Games.json.gz"])
def test_half_a_gzip_is_named(tmp_path: Path, broken: str) -> None:
    write(tmp_path, {LOG_2018 + ".gz": json_lines(reviews_2018()), **META_2018})
    packed = (tmp_path / broken).read_bytes()
    (tmp_path / broken).write_bytes(packed[: len(packed) // 2])
    error = refused(tmp_path)
    assert error.message.startswith(f"{tmp_path / broken}: the gzip data is damaged or cut short")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"title": "Monopoly"}', "asin None is missing"),
        (b'{"asin": "", "title": "Monopoly"}', "asin '' is no id"),
        (b'{"asin": 7, "title": "Monopoly"}', "asin 7 is no id"),
        (b'{"asin": "1", "title": "Mono', "no JSON object in one line"),
        (b"null", "no JSON object: 'null'"),
        (b'{"asin": "1", "title": "\xff"}', "byte 0xff is not UTF-8 text"),
    ],
)
@pytest.mark.parametrize("place", [1, 4])
def test_bad_lines_of_metadata_are_named(
    tmp_path: Path, line: bytes, message: str, place: int
) -> None:
    before, after = (b"", metadata()) if place == 1 else (json_lines(metadata()), [])
    lines = before + line + b"\n" + json_lines(after)
    name = "meta_Toys_and_Games.json"
    write(tmp_path, {LOG_2018: json_lines(reviews_2018()), name: lines})
    error = refused(tmp_path)
    assert error.message.startswith(f"{tmp_path / name}:{place}: {message}")
    assert error.fix == MEND_META


def test_two_categories_are_listed(tmp_path: Path) -> None:
    write(tmp_path, {"reviews_Video_Games_5.json": b"", "reviews_Baby_5.json": b"", **META_2014})
    for refuse in (refused, lambda source: pytest.raises(DataError, category_of, source, None)):
        caught = refuse(tmp_path)
        error = caught if isinstance(caught, DataError) else caught.value
        assert error.message == f"{tmp_path}: more than one category in it: Baby, Video_Games"
        assert error.fix == "pass one of them, as --category Baby"


def test_an_unknown_category_is_said(tmp_path: Path) -> None:
    write(tmp_path, {"reviews_Video_Games_5.json": b"", "reviews_Baby_5.json": b""})
    for source, there in (
        (tmp_path, "Baby, Video_Games"),
        (tmp_path / "reviews_Baby_5.json", "Baby"),
    ):
        assert refused(source, "Books").message == f"{source}: no category 'Books', only {there}"


@pytest.mark.parametrize(
    ("names", "pick"),
    [
        (("reviews_Baby.json.gz", "reviews_Baby_5.json.gz"), "reviews_Baby.json.gz"),
        (("Baby_5.json", "Baby_5.json.gz"), "Baby_5.json"),
        (("Baby.csv", "Baby.train.csv"), "Baby.csv"),
        (("Baby.train.csv", "Baby.train.csv.gz"), "Baby.train.csv"),
        (("5core/Baby.csv", "0core/Baby.csv"), "0core/Baby.csv"),
    ],
)
def test_two_logs_of_a_category_are_listed(
    tmp_path: Path, names: tuple[str, str], pick: str
) -> None:
    write(tmp_path, dict.fromkeys(names, b""))
    error = refused(tmp_path)
    listed = ", ".join(sorted(names))
    assert error.message == f"{tmp_path}: more than one log of Baby in it: {listed}"
    assert error.fix == f"pass the one that you mean, as --source {tmp_path / pick}"


def test_what_is_no_log_is_said(tmp_path: Path) -> None:
    write(tmp_path, {**META_2023, "notes.txt": b""})
    assert "no Amazon reviews in it" in refused(tmp_path).message
    meta = tmp_path / next(iter(META_2023))
    assert refused(meta).message == f"{meta}: holds the items, not the reviews"
    notes = tmp_path / "notes.txt"
    assert refused(notes).message == f"{notes}: not named like an Amazon log"
    nothing = tmp_path / "nothing"
    assert refused(nothing).message == f"{nothing}: no such file or folder"


def test_long_metadata_is_read_in_stretches(tmp_path: Path) -> None:
    filler = "x" * 1000
    records = [
        {"asin": f"B{n:09}", "title": f"No. {n}", "feature": [filler]} for n in range(40_000)
    ]
    due = [(f"B{n:09}", f"No. {n}") for n in range(40_000)]
    write(tmp_path, {LOG_2018: json_lines(reviews_2018())})
    for lines in (json_lines(records), literal_lines(records)):
        with gzip.open(tmp_path / "meta_Toys_and_Games.json.gz", "wb", compresslevel=1) as file:
            shutil.copyfileobj(io.BytesIO(lines), file)
        assert titles_of(read_amazon(tmp_path, None)) == due
