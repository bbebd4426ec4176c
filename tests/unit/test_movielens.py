import pickle
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pytest
from movielens_files import LAYOUTS, RATINGS_CSV, dat_folder, pack, real, sources, write
from small_data import whole

from genrec_cli.core.progress import SILENT
from genrec_cli.core.schema import INTERACTIONS, RAW_ITEMS
from genrec_cli.data.movielens import CITATION, detect_layout, read_movielens


@pytest.mark.parametrize("variant", LAYOUTS)
def test_every_layout_is_read_from_zip_folder_parent_and_file(tmp_path: Path, variant: str) -> None:
    for source in sources(tmp_path, variant):
        log = read_movielens(source)
        assert whole(log).schema == INTERACTIONS
        assert whole(log).to_pydict() == {
            "user_id": ["1", "2"],
            "item_id": ["007", "661"],
            "timestamp": [978300760, 978302109],
            "rating": [5.0, 3.0],
        }
        assert log.items.schema == RAW_ITEMS
        assert log.items.to_pydict() == {
            "item_id": ["007", "661"],
            "raw_title": ["Cité, La: Part 1 (1995)", "James :: Giant (1996)"],
        }
        assert log.source == f"{source} (MovieLens {variant})"
        assert log.citation == CITATION
        assert detect_layout(source).variants == (variant,)


@pytest.mark.parametrize("variant", ["100k", "10m", "25m"])
def test_nothing_is_written_beside_the_source(tmp_path: Path, variant: str) -> None:
    all_sources = sources(tmp_path, variant)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    for source in all_sources:
        whole(read_movielens(source))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_the_files_to_hash_are_the_zip_or_the_two_that_are_read(tmp_path: Path) -> None:
    inner, files = LAYOUTS["1m"]
    folder = write(tmp_path / inner, files)
    archive = pack(tmp_path / "a.zip", files)
    assert read_movielens(archive).files == (archive,)
    assert read_movielens(folder).files == tuple(folder / name for name in files)
    assert read_movielens(folder.parent).files == tuple(folder / name for name in files)


def test_blocks_start_anew_each_time_and_can_be_pickled(tmp_path: Path) -> None:
    log = read_movielens(pack(tmp_path / "a.zip", LAYOUTS["1m"][1]))
    assert whole(log).equals(whole(log))
    [block] = log.blocks(SILENT)
    assert pickle.loads(pickle.dumps(block)).read().equals(whole(log))


@pytest.mark.parametrize(
    ("folder", "extra", "variants"),
    [
        ("x", "README", ("1m", "10m")),
        ("x", "users.dat", ("1m",)),
        ("x", "tags.dat", ("10m",)),
        ("ml-1m", "README", ("1m",)),
        ("ml-25m", "README", ("1m", "10m")),  # a name that the files belie
    ],
)
def test_names_narrow_the_variants(
    tmp_path: Path, folder: str, extra: str, variants: tuple[str, ...]
) -> None:
    source = dat_folder(tmp_path / folder)
    (source / extra).touch()
    assert detect_layout(source).variants == variants


def test_half_stars_line_ends_of_windows_and_blank_lines_are_read(tmp_path: Path) -> None:
    source = dat_folder(tmp_path, b"1::2::0.5::1\r\n\r\n1::3::4.5::2\r\n", b"2::A::x\r\n\r\n")
    log = read_movielens(source)
    assert whole(log)["rating"].to_pylist() == [0.5, 4.5]
    assert log.items["raw_title"].to_pylist() == ["A"]


def test_csv_columns_are_found_by_name_and_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    ratings = "\ufeffrow,timestamp,userId,rating,movieId\n0,9,1,4,2\n".encode()
    movies = '\ufeffgenres,movieId,title\nx,2,"Say ""A"" (1999)"\n'.encode()
    log = read_movielens(write(tmp_path, {"ratings.csv": ratings, "movies.csv": movies}))
    row = {"user_id": "1", "item_id": "2", "timestamp": 9, "rating": 4.0}
    assert whole(log).to_pylist() == [row]
    assert log.items.to_pylist() == [{"item_id": "2", "raw_title": 'Say "A" (1999)'}]


def test_a_latin1_line_end_inside_a_title_cuts_nothing(tmp_path: Path) -> None:
    log = read_movielens(dat_folder(tmp_path, movies=b"2::A\x85B\xe9 (1999)::x\n"))
    assert log.items["raw_title"].to_pylist() == ["A\x85Bé (1999)"]


def test_an_empty_title_is_left_to_the_catalog(tmp_path: Path) -> None:
    log = read_movielens(dat_folder(tmp_path, movies=b"2::::x\n"))
    assert log.items["raw_title"].to_pylist() == [""]


class Bar:
    """A progress that keeps what it was told."""

    def __init__(self) -> None:
        self.total: float | None = None
        self.done = 0.0

    def task(self, title: str, total: float | None, unit: str) -> "Bar":
        self.title, self.total, self.unit = title, total, unit
        return self

    def note(self, text: str) -> None: ...

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *exc: object) -> None: ...

    def skip(self, amount: float) -> None: ...

    def advance(self, amount: float = 1) -> None:
        self.done += amount

    def figures(self, values: Mapping[str, str]) -> None: ...


def test_progress_counts_the_bytes_of_the_ratings(tmp_path: Path) -> None:
    bar = Bar()
    log = read_movielens(pack(tmp_path / "a.zip", LAYOUTS["25m"][1]))
    assert [block.read().num_rows for block in log.blocks(bar)] == [2]
    assert (bar.title, bar.unit) == ("Reading ratings.csv", "B")
    assert bar.done == bar.total == len(RATINGS_CSV)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "variant", "rows", "items", "users"),
    [
        ("ml-1m.zip", "1m", 1_000_209, 3_883, 6_040),
        ("ml-latest-small.zip", "latest-small", 100_836, 9_742, 610),
    ],
)
def test_real_archives_have_the_published_sizes(
    name: str, variant: str, rows: int, items: int, users: int
) -> None:
    log = read_movielens(real(name))
    assert log.source.endswith(f"(MovieLens {variant})")
    table = whole(log)
    assert (table.num_rows, log.items.num_rows) == (rows, items)
    assert len(table["user_id"].unique()) == users
    rated = pa.table({"item_id": table["item_id"].unique()})
    assert rated.join(log.items, "item_id", join_type="left anti").num_rows == 0


@pytest.mark.realdata
def test_real_titles_have_their_accents() -> None:
    titles = dict(zip(*read_movielens(real("ml-1m.zip")).items.to_pydict().values(), strict=True))
    assert titles["73"] == "Misérables, Les (1995)"
    assert titles["1"] == "Toy Story (1995)"
