"""The Amazon layouts, on tiny files written like the published ones."""

import gzip
import json
import pickle
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from genrec_cli.core.progress import SILENT, Task
from genrec_cli.core.schema import INTERACTIONS, RAW_ITEMS
from genrec_cli.data.amazon import HOW_TO_GET, category_of, read_amazon
from genrec_cli.data.rawlog import RawLog

USERS = ("A2MFQPSQR8UUCC", "A10F5HQ60ATTZN")
ITEMS = ("0439893577", "B0038I6R2Q", "B00859GJWQ")
SECONDS = (1390176000, 1365811200, 1252800000)
STARS = (5.0, 3.0, 1.0)

# One row a review: user, item, seconds, stars.
ROWS = (
    (USERS[0], ITEMS[0], SECONDS[0], STARS[0]),
    (USERS[1], ITEMS[1], SECONDS[1], STARS[1]),
    (USERS[0], ITEMS[2], SECONDS[2], STARS[2]),
)

TITLES: Mapping[str, str] = {
    ITEMS[0]: 'Monopoly, Éd. "Paris" &amp; C\'est tout',
    ITEMS[1]: "Fisher-Price Jake's Ship",
    ITEMS[2]: "",
}


def reviews_2014() -> list[dict[str, Any]]:
    return [
        {
            "reviewerID": user,
            "asin": item,
            "reviewerName": "Nobody",
            "helpful": [0, 1],
            "reviewText": "It's \"so\" good: {'asin': 'no'}, \\ é",
            "overall": stars,
            "summary": "Good",
            "unixReviewTime": seconds,
            "reviewTime": "01 20, 2014",
        }
        for user, item, seconds, stars in ROWS
    ]


def reviews_2018() -> list[dict[str, Any]]:
    return [
        {
            "overall": stars,
            "vote": "1,002",
            "verified": True,
            "reviewTime": "01 20, 2014",
            "reviewerID": user,
            "asin": item,
            "style": {"Color:": " Red"},
            "reviewText": "Good",
            "unixReviewTime": seconds,
            "image": ["https://images-na.ssl-images-amazon.com/images/I/71.jpg"],
        }
        for user, item, seconds, stars in ROWS
    ]


def reviews_2023() -> list[dict[str, Any]]:
    return [
        {
            "rating": stars,
            "title": "Good",
            "text": "It is",
            "images": [],
            "asin": "B00COLOUR1",
            "parent_asin": item,
            "user_id": user,
            "timestamp": seconds * 1000 + 7,
            "helpful_vote": 0,
            "verified_purchase": True,
        }
        for user, item, seconds, stars in ROWS
    ]


def metadata(key: str = "asin") -> list[dict[str, Any]]:
    """Entries of the metadata; the last one has no title."""
    return [
        {
            key: item,
            "description": ["'title': 'no'"],
            "related": {"also_bought": list(ITEMS), "buy_after_viewing": []},
            "salesRank": {"Toys & Games": 12},
            **({"title": title} if title else {}),
            "price": 6.99,
            "categories": [["Toys & Games", "Games"], []],
        }
        for item, title in TITLES.items()
    ]


def json_lines(records: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def literal_lines(records: list[dict[str, Any]]) -> bytes:
    return "".join(f"{record!r}\n" for record in records).encode()


def csv_2014() -> bytes:
    return "".join(f"{u},{i},{r},{t}\n" for u, i, t, r in ROWS).encode()


def csv_2018() -> bytes:
    return "".join(f"{i},{u},{r},{t}\n" for u, i, t, r in ROWS).encode()


HEADER_2023 = "user_id,parent_asin,rating,timestamp"


def csv_2023(rows: tuple[tuple[str, str, int, float], ...] = ROWS) -> bytes:
    return "\n".join(
        [HEADER_2023, *(f"{u},{i},{r},{t * 1000 + 7}" for u, i, t, r in rows), ""]
    ).encode()


def split_2023(row: tuple[str, str, int, float], history: str) -> bytes:
    user, item, seconds, stars = row
    return (
        f"{HEADER_2023},history\n{user},{item},{stars},{seconds * 1000 + 7},{history}\n"
    ).encode()


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files; those called .gz are compressed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        packed = gzip.compress(content) if name.endswith(".gz") else content
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(packed)
    return folder


def rows_of(log: RawLog) -> list[tuple[Any, ...]]:
    """All rows (user, item, timestamp, rating) of all blocks, in order."""
    table = pa.concat_tables([block.read() for block in log.blocks(SILENT)])
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def titles_of(log: RawLog) -> list[tuple[str, str]]:
    return list(zip(*(column.to_pylist() for column in log.items.columns), strict=True))


class Listener:
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def task(self, title: str, total: float | None, unit: str) -> AbstractContextManager[Task]:
        return SILENT.task(title, total, unit)

    def note(self, text: str) -> None:
        self.notes.append(text)


IN_SECONDS = list(ROWS)
IN_MILLISECONDS = [(user, item, 1000 * seconds + 7, stars) for user, item, seconds, stars in ROWS]

META_2014 = {"meta_Toys_and_Games.json.gz": literal_lines(metadata())}
META_2018 = {"meta_Toys_and_Games.json.gz": json_lines(metadata())}
META_2023 = {"meta_Toys_and_Games.jsonl": json_lines(metadata("parent_asin"))}

# edition, the log's file, its content, its metadata
LAYOUTS = [
    (2014, "reviews_Toys_and_Games_5.json.gz", json_lines(reviews_2014()), META_2014),
    (2014, "reviews_Toys_and_Games.json", literal_lines(reviews_2014()), META_2014),
    (2014, "ratings_Toys_and_Games.csv", csv_2014(), META_2014),
    (2018, "Toys_and_Games_5.json.gz", json_lines(reviews_2018()), META_2018),
    (2018, "Toys_and_Games.json", json_lines(reviews_2018()), META_2018),
    (2018, "Toys_and_Games.csv", csv_2018(), META_2018),
    (2023, "Toys_and_Games.jsonl.gz", json_lines(reviews_2023()), META_2023),
    (2023, "Toys_and_Games.jsonl", json_lines(reviews_2023()), META_2023),
    (2023, "Toys_and_Games.csv.gz", csv_2023(), META_2023),
]


@pytest.mark.parametrize(
    ("year", "name", "content", "meta"), LAYOUTS, ids=lambda value: str(value)[:40]
)
@pytest.mark.parametrize("pointed_at", ["folder", "file", "folder above"])
def test_layouts_are_told_apart_and_read(
    tmp_path: Path,
    year: int,
    name: str,
    content: bytes,
    meta: Mapping[str, bytes],
    pointed_at: str,
) -> None:
    folder = write(tmp_path / "above" / "toys", {name: content, **meta})
    source = {"folder": folder, "file": folder / name, "folder above": folder.parent}[pointed_at]
    log = read_amazon(source, None)
    assert rows_of(log) == (IN_MILLISECONDS if year == 2023 else IN_SECONDS)
    assert rows_of(log) == rows_of(log), "the stream can start again"
    assert titles_of(log) == list(TITLES.items())
    assert log.items.schema == RAW_ITEMS
    assert all(block.read().schema == INTERACTIONS for block in log.blocks(SILENT))
    assert log.source == f"{source} (Amazon {year}, Toys_and_Games)"
    assert log.time_unit == ("ms" if year == 2023 else "s")
    assert log.files == (folder / name, folder / next(iter(meta)))
    assert log.citation
    assert {2014: "2016", 2018: "Ni", 2023: "Hou"}[year] in log.citation
    assert category_of(source, None) == "toys-and-games"


def test_blocks_can_be_pickled(tmp_path: Path) -> None:
    for _, name, content, meta in LAYOUTS:
        folder = write(tmp_path / name, {name: content, **meta})
        (block,) = read_amazon(folder, None).blocks(SILENT)
        assert pickle.loads(pickle.dumps(block)).read().equals(block.read())


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
@pytest.mark.parametrize("pointed_at", ["", "Toys_and_Games.valid"])
def test_the_parts_of_a_split_make_up_one_log(tmp_path: Path, suffix: str, pointed_at: str) -> None:
    parts = zip(("train", "valid", "test"), ROWS, ("", "a", "a b"), strict=True)
    folder = write(
        tmp_path,
        {f"Toys_and_Games.{part}{suffix}": split_2023(row, history) for part, row, history in parts}
        | META_2023,
    )
    source = folder / (pointed_at + suffix) if pointed_at else folder
    log = read_amazon(source, None)
    assert rows_of(log) == IN_MILLISECONDS
    assert log.source == f"{source} (Amazon 2023, Toys_and_Games, train + valid + test)"
    assert [path.name for path in log.files[:3]] == [
        f"Toys_and_Games.{part}{suffix}" for part in ("train", "valid", "test")
    ]
    assert titles_of(log) == list(TITLES.items())


def test_a_lonely_part_is_read_and_said(tmp_path: Path) -> None:
    write(tmp_path, {"Toys_and_Games.train.csv": split_2023(ROWS[0], ""), **META_2023})
    heard = Listener()
    log = read_amazon(tmp_path, None, heard)
    assert rows_of(log) == IN_MILLISECONDS[:1]
    assert log.source.endswith("(Amazon 2023, Toys_and_Games, train)")
    assert heard.notes == [
        f"{tmp_path} has no valid and no test part of the split of Toys_and_Games: the log is the "
        "train part only"
    ]


@pytest.mark.parametrize("wanted", ["Video_Games", "video games", "video-games", "VIDEO_GAMES"])
def test_a_category_is_picked_in_any_spelling(tmp_path: Path, wanted: str) -> None:
    write(
        tmp_path,
        {
            "Toys_and_Games_5.json": b"never read",
            "Video_Games_5.json": json_lines(reviews_2018()),
            "meta_Video_Games.json": json_lines(metadata()),
            **META_2018,
        },
    )
    log = read_amazon(tmp_path, wanted)
    assert rows_of(log) == IN_SECONDS
    assert log.source == f"{tmp_path} (Amazon 2018, Video_Games)"
    assert log.files[1].name == "meta_Video_Games.json"
    assert category_of(tmp_path, wanted) == "video-games"
    assert category_of(tmp_path, "Toys & Games") == "toys-and-games"


def test_the_default_name_needs_no_data(tmp_path: Path) -> None:
    write(tmp_path, {"reviews_Clothing_Shoes_and_Jewelry_5.json.gz": b""})
    assert category_of(tmp_path, None) == "clothing-shoes-and-jewelry"


def test_folders_as_on_the_hub(tmp_path: Path) -> None:
    reviews = "review_categories/All_Beauty.jsonl"
    meta = "meta_categories/meta_All_Beauty.jsonl"
    write(
        tmp_path,
        {
            reviews: json_lines(reviews_2023()),
            meta: json_lines(metadata("parent_asin")),
        },
    )
    for source in (tmp_path, tmp_path / reviews):
        log = read_amazon(source, None)
        assert rows_of(log) == IN_MILLISECONDS
        assert log.files == (tmp_path / reviews, tmp_path / meta)


def test_ratings_may_be_cut_off(tmp_path: Path) -> None:
    lines = [line.split(",") for line in csv_2023().decode().splitlines()]
    kept = "".join(f"{user},{item},{time}\r\n" for user, item, _, time in lines)
    write(tmp_path, {"Toys_and_Games.csv": b"\xef\xbb\xbf\n" + kept.encode()})
    assert rows_of(read_amazon(tmp_path, None)) == [(*row[:3], None) for row in IN_MILLISECONDS]


def test_all_categories_of_2018_in_one_file(tmp_path: Path) -> None:
    log, meta = "All_Amazon_Review_5.json.gz", "All_Amazon_Meta.json.gz"
    write(tmp_path, {log: json_lines(reviews_2018()), meta: json_lines(metadata())})
    assert titles_of(read_amazon(tmp_path, None)) == list(TITLES.items())


def test_other_files_of_the_folder_are_left_alone(tmp_path: Path) -> None:
    others = {"dataset.json": b"{}", "events.csv": b"", "README.md": b"", "x.jsonl": b""}
    write(tmp_path, {"Toys_and_Games_5.json": json_lines(reviews_2018()), **META_2018, **others})
    assert rows_of(read_amazon(tmp_path, None)) == IN_SECONDS


@pytest.mark.parametrize(
    ("name", "content", "year"),
    [
        ("Toys_and_Games.csv", csv_2014(), 2014),
        ("ratings_Toys_and_Games.csv", csv_2018(), 2018),
        ("Toys_and_Games.json", json_lines(reviews_2014()), 2014),
        ("Toys_and_Games.json", json_lines(reviews_2023()), 2023),
        ("reviews_Toys_and_Games.json", json_lines(reviews_2018()), 2018),
    ],
)
def test_the_first_line_knows_better_than_the_name(
    tmp_path: Path, name: str, content: bytes, year: int
) -> None:
    write(tmp_path, {name: content})
    log = read_amazon(tmp_path, None)
    assert rows_of(log) == (IN_MILLISECONDS if year == 2023 else IN_SECONDS)
    assert f"(Amazon {year}, " in log.source


def test_missing_metadata_is_said(tmp_path: Path) -> None:
    write(tmp_path, {"Toys_and_Games_5.json.gz": json_lines(reviews_2018()), **META_2023})
    heard = Listener()
    log = read_amazon(tmp_path, None, heard)
    assert log.items.num_rows == 0
    assert log.items.schema == RAW_ITEMS
    assert log.files == (tmp_path / "Toys_and_Games_5.json.gz",)
    assert heard.notes == [
        "no meta_Toys_and_Games.json or meta_Toys_and_Games.json.gz beside "
        f"{tmp_path / 'Toys_and_Games_5.json.gz'}: the items have no titles, only ids "
        "(get it from https://cseweb.ucsd.edu/~jmcauley/datasets/amazon_v2/)"
    ]


def test_odd_titles_do_not_stop_the_reading(tmp_path: Path) -> None:
    odd: list[dict[str, Any]] = [
        {"asin": "1", "title": ["a", "list"]},
        {"asin": "2", "title": {"a": "struct"}},
        {"asin": "3", "title": None},
        {"asin": "4", "title": 1984},
        {"asin": "5", "title": "half a pair \ud83d"},
        {"asin": "6", "title": "twice"},
        {"asin": "6", "title": "twice"},
        {"asin": "7", "title": "<span>Kept &amp; mended later</span>"},
        {"asin": "8", "title": "var aPageStart = (new Date()).getTime();"},
    ]
    due = ["", "", "", "", "half a pair ?", "twice", "twice", odd[7]["title"], ""]
    for lines in (json_lines(odd), literal_lines(odd)):
        write(
            tmp_path,
            {
                "Toys_and_Games_5.json": json_lines(reviews_2018()),
                "meta_Toys_and_Games.json": lines,
            },
        )
        heard = Listener()
        log = read_amazon(tmp_path, None, heard)
        assert titles_of(log) == [
            (str(record["asin"]), title) for record, title in zip(odd, due, strict=True)
        ]
        assert heard.notes == [
            "meta_Toys_and_Games.json: 1 title is a page's script (getTime) and left out, as the "
            "publishers advise"
        ]


def test_how_to_get_names_the_three_pages() -> None:
    for page in ("datasets/amazon/links.html", "datasets/amazon_v2/", "amazon-reviews-2023"):
        assert page in HOW_TO_GET
