import shutil
import zipfile
from pathlib import Path

import pytest
from movielens_files import (
    HEADER,
    LAYOUTS,
    MOVIES_CSV,
    MOVIES_DAT,
    RATINGS_DAT,
    dat_folder,
    pack,
    real,
    write,
)
from small_data import whole

from genrec_cli.core.errors import DataError
from genrec_cli.data.movielens import VARIANTS, detect_layout, read_movielens
from genrec_cli.data.text import streams

MEND = "mend or delete that line, or download the data again"
AGAIN = "download the data again"
ENCODE = "save the file as UTF-8, or download the data again"
GOOD = RATINGS_DAT.splitlines(keepends=True)[0].encode()


@pytest.mark.parametrize(
    ("ratings", "message", "fix"),
    [
        (b"", ": the file is empty", AGAIN),
        (b"\n\n", ": no ratings in it", AGAIN),
        (
            GOOD + b"1::914::3\n",
            ":2: 3 fields where userId::movieId::rating::timestamp is due: '1::914::3'",
            MEND,
        ),
        (
            GOOD * 3 + b"1::914::3::9::7\n",
            ":4: 5 fields where userId::movieId::rating::timestamp is due: '1::914::3::9::7'",
            MEND,
        ),
        (
            b"1,1193,5,978300760\n",
            ":1: separated by ',' where '::' is due: '1,1193,5,978300760'",
            "write '::' between the fields",
        ),
        (
            b"1\t1193\t5\t978300760\n",
            ":1: separated by a tab where '::' is due: '1\\t1193\\t5\\t978300760'",
            "write '::' between the fields",
        ),
        (
            b"1:1193:5:978300760\n",
            ":1: separated by ':' where '::' is due: '1:1193:5:978300760'",
            "write '::' between the fields",
        ),
        (
            GOOD + b"1:x:914:x:3:x:9\n",
            ":2: separated by ':' where '::' is due: '1:x:914:x:3:x:9'",
            "write '::' between the fields",
        ),
        (
            GOOD + b"1::914::3::yesterday\n",
            ":2: timestamp 'yesterday' is not a whole number of seconds: '1::914::3::yesterday'",
            MEND,
        ),
        (
            b"1::914::3::978300760.5\n",
            ":1: timestamp '978300760.5' is not a whole number of seconds: "
            "'1::914::3::978300760.5'",
            MEND,
        ),
        (b"1::914::good::9\n", ":1: rating 'good' is not a number: '1::914::good::9'", MEND),
        (b"1::914::::9\n", ":1: rating '' is not a number: '1::914::::9'", MEND),
        (b"1::914::nan::9\n", ":1: rating 'nan' is not between 0 and 5: '1::914::nan::9'", MEND),
        (
            b"1::914::978300760::5\n",
            ":1: rating '978300760' is not between 0 and 5: '1::914::978300760::5'",
            MEND,
        ),
        (
            b"1::914::3::\n",
            ":1: timestamp '' is not a whole number of seconds: '1::914::3::'",
            MEND,
        ),
        (b"::914::3::9\n", ":1: userId '' is empty: '::914::3::9'", MEND),
        (
            b"1::914 ::3::9\n",
            ":1: movieId '914 ' has a blank or a control character in it: '1::914 ::3::9'",
            MEND,
        ),
        (GOOD + b"1::\xe9::3::9\n", ":2: byte 0xe9 is not UTF-8 text", ENCODE),
        (b"\xff\xfe1\x00:\x00:\x00", ":1: byte 0xff is not UTF-8 text", ENCODE),
        (
            b"1::2::" + b"x" * 99 + b"::9\n",
            f":1: rating '{'x' * 60}…' is not a number: '1::2::{'x' * 54}…'",
            MEND,
        ),
    ],
)
def test_a_broken_ratings_file_is_named_with_its_line(
    tmp_path: Path, ratings: bytes, message: str, fix: str
) -> None:
    source = dat_folder(tmp_path, ratings)
    with pytest.raises(DataError) as caught:
        whole(read_movielens(source))
    assert caught.value.message == f"{source / 'ratings.dat'}{message}"
    assert caught.value.fix == fix


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        (HEADER, ": no ratings in it"),
        (
            "userId;movieId;rating;timestamp\n1;2;3;4\n",
            ":1: separated by ';' where ',' is due: 'userId;movieId;rating;timestamp'",
        ),
        (
            "1,1193,5,978300760\n",
            ":1: the header has no userId, movieId, rating, timestamp: '1,1193,5,978300760'",
        ),
        ("userId,movieId,rating\n1,2,3\n", ":1: the header has no timestamp: "),
        (
            HEADER + "1,2,3,4\n1,2,3\n",
            ":3: 3 fields where userId,movieId,rating,timestamp is due: ",
        ),
        (HEADER + '1,"2,3,4\n1,3,3,4\n', ":2: a quote is not closed, or stands inside a field: "),
    ],
)
def test_a_broken_csv_file_is_named_with_its_line(
    tmp_path: Path, ratings: str, message: str
) -> None:
    files = {"ratings.csv": ratings.encode(), "movies.csv": MOVIES_CSV.encode()}
    source = write(tmp_path, files)
    with pytest.raises(DataError) as caught:
        whole(read_movielens(source))
    assert caught.value.message.startswith(f"{source / 'ratings.csv'}{message}")


@pytest.mark.parametrize(
    ("name", "movies", "message"),
    [
        ("movies.dat", b"\n", ": the file is empty"),
        ("movies.dat", b"1::A\n", ":1: not movieId::title::genres: '1::A'"),
        ("movies.dat", b"1::A::x\n\n1::B::x\n", ":3: movieId 1 stands twice, first on line 1: "),
        ("movies.dat", b"1,A,x\n", ":1: separated by ',' where '::' is due: '1,A,x'"),
        ("movies.dat", b"::A::x\n", ":1: movieId '' is empty: '::A::x'"),
        ("u.item", b"1|A|x\n", ":1: not movieId|title|… (24 fields): '1|A|x'"),
        ("movies.csv", b"movieId,title,genres\n", ": no titles in it"),
        ("movies.csv", b"id,name\n1,A\n", ":1: the header has no movieId or no title: 'id,name'"),
        ("movies.csv", b"movieId,title,genres\n1,A, B,x\n", ":2: not movieId,title,genres: "),
        ("movies.csv", b'movieId,title,genres\n1,"A,x\n', ":2: not movieId,title,genres: "),
        ("movies.csv", b"movieId,title,genres\n1,\xe9,x\n", ":2: byte 0xe9 is not UTF-8 text"),
    ],
)
def test_a_broken_titles_file_is_named_with_its_line(
    tmp_path: Path, name: str, movies: bytes, message: str
) -> None:
    ratings = {"movies.dat": "ratings.dat", "u.item": "u.data", "movies.csv": "ratings.csv"}[name]
    source = write(tmp_path, {name: movies, ratings: b"1"})
    with pytest.raises(DataError) as caught:
        whole(read_movielens(source))
    assert caught.value.message.startswith(f"{source / name}{message}")
    assert caught.value.fix


def test_a_10m_titles_file_must_be_utf8(tmp_path: Path) -> None:
    source = dat_folder(tmp_path / "ml-10M100K", movies=MOVIES_DAT.encode("latin-1"))
    with pytest.raises(DataError, match=r"movies\.dat:1: byte 0xe9 is not UTF-8 text"):
        whole(read_movielens(source))


def test_a_missing_path_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no such file or folder"):
        whole(read_movielens(tmp_path / "nowhere"))


@pytest.mark.parametrize("missing", ["ratings.dat", "movies.dat"])
def test_a_missing_half_is_named(tmp_path: Path, missing: str) -> None:
    source = dat_folder(tmp_path / "ml-1m").parent
    (source / "ml-1m" / missing).unlink()
    with pytest.raises(DataError, match=rf"ml-1m/\w+\.dat has no {missing} beside it"):
        detect_layout(source)


def test_a_folder_that_holds_only_the_zip_points_at_it(tmp_path: Path) -> None:
    archive = pack(tmp_path / "ml-1m.zip", LAYOUTS["1m"][1])
    with pytest.raises(DataError, match="no MovieLens files in it") as caught:
        detect_layout(tmp_path)
    assert str(archive) in str(caught.value.fix)


def test_two_data_sets_side_by_side_are_not_chosen_between(tmp_path: Path) -> None:
    dat_folder(tmp_path / "a")
    other = write(tmp_path / "b", LAYOUTS["25m"][1])
    with pytest.raises(DataError, match=r"more than one .*a/ratings\.dat, b/ratings\.csv"):
        detect_layout(tmp_path)
    assert detect_layout(other / "ratings.csv").name == "csv"
    assert detect_layout(dat_folder(other) / "movies.dat").name == "dat"
    assert detect_layout(other / "ratings.csv").name == "csv"


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "ml-1m.zip"
    page.write_text("<html>sign in</html>")
    with pytest.raises(DataError) as caught:
        whole(read_movielens(page))
    assert caught.value.message == (
        f"{page}: neither a zip nor a MovieLens file (20 bytes; the published one has 5,917,549)"
    )
    assert caught.value.fix == f"download it again from {VARIANTS['1m'].url}"


def test_a_zip_cut_short_is_refused_with_the_size_that_is_due(tmp_path: Path) -> None:
    content = pack(tmp_path / "whole.zip", LAYOUTS["1m"][1]).read_bytes()
    cut = tmp_path / "ml-1m.zip"
    cut.write_bytes(content[:200])
    with pytest.raises(DataError) as caught:
        whole(read_movielens(cut))
    assert caught.value.message == (
        f"{cut}: the zip is damaged or cut short: its table of contents, at the end, is missing "
        "(200 bytes; the published one has 5,917,549)"
    )


@pytest.mark.parametrize("member", ["ratings.dat", "movies.dat"])
def test_a_flipped_byte_inside_a_zip_is_noticed(tmp_path: Path, member: str) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:  # stored, so that the byte stays plain text
        for name, content in LAYOUTS["1m"][1].items():
            archive.writestr(name, content)
    data = path.read_bytes()
    original = LAYOUTS["1m"][1][member]
    path.write_bytes(data.replace(original, original.replace(b"661", b"662")))
    with pytest.raises(DataError, match="damaged or cut short: Bad CRC-32"):
        whole(read_movielens(path))


def test_a_zip_with_a_piece_missing_in_the_middle_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", LAYOUTS["1m"][1])
    data = path.read_bytes()
    path.write_bytes(data[:10] + data[150:])
    with pytest.raises(DataError, match="damaged or cut short"):
        whole(read_movielens(path))


def test_members_outside_the_archives_root_are_not_touched(tmp_path: Path) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    files = LAYOUTS["1m"][1]
    hostile = {f"{root}{name}": files[name] for root in ("../", "/tmp/", "a/../") for name in files}
    source = pack(folder / "a.zip", hostile | {f"__MACOSX/{name}": b"" for name in files})
    with pytest.raises(DataError, match="no MovieLens files in it"):
        whole(read_movielens(source))
    assert [path.name for path in tmp_path.rglob("*")] == ["inner", "a.zip"]


def test_a_big_broken_file_leaves_no_thread_reading(tmp_path: Path) -> None:
    lines = GOOD + b"1::2::3\n" + GOOD * 300_000
    archive = pack(tmp_path / "a.zip", {"ratings.dat": lines, "movies.dat": MOVIES_DAT.encode()})
    for _ in range(5):
        with pytest.raises(DataError, match=r"a\.zip/ratings\.dat:2: 3 fields"):
            whole(read_movielens(archive))


@pytest.mark.parametrize("member", ["ratings.dat", "movies.dat"])
def test_a_decompression_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, member: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "BOMB_BYTES", 1 << 20)
    source = pack(tmp_path / "a.zip", {**LAYOUTS["1m"][1], member: GOOD * 200_000})
    with pytest.raises(DataError) as caught:
        whole(read_movielens(source))
    assert caught.value.message.startswith(f"{source / member}: ")
    assert "bytes unpack to 4,200,000 or more, over 200 times as many" in caught.value.message


@pytest.mark.realdata
def test_a_real_archive_cut_short_is_refused(tmp_path: Path) -> None:
    cut = tmp_path / "ml-1m.zip"
    shutil.copyfile(real("ml-1m.zip"), cut)
    with cut.open("r+b") as file:
        file.truncate(3_000_000)
    with pytest.raises(DataError, match="cut short"):
        whole(read_movielens(cut))
