"""Logs as people have them: each is refused with its place and a fix, or mended as documented."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet as pq
from small_data import whole

from genrec_cli.core.errors import DataError
from genrec_cli.core.schema import RAW_TITLE
from genrec_cli.data.table import Columns, read_table
from genrec_cli.data.text import streams

H = b"user,item,time\n"
R = b"user,item,time,rating\n"
T = b"user,item,time,title\n"
GOOD = H + b"a,x,1\n"
ROW = [("a", "x", 1, None)]
NO_ROWS: list[Any] = []


def zst(data: bytes) -> bytes:
    packed: bytes = pa.compress(data, codec="zstd", asbytes=True)
    return packed


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name.replace("__", ".").replace("UP", "../"), content)
    return buffer.getvalue()


def parquet(**columns: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink, row_group_size=2)
    content: bytes = sink.getvalue().to_pybytes()
    return content


PARQUET = parquet(user=["a", "b"], item=["x", "y"], time=[1, 2])


@dataclass(frozen=True)
class Case:
    name: str
    content: bytes | Mapping[str, bytes]  # of log.csv, or of each file
    expected: str | list[Any]  # how the message goes on behind the folder's name, or the rows
    source: str = "log.csv"
    items: str | None = None
    columns: Columns = Columns()
    fix: str = ""

    @property
    def files(self) -> Mapping[str, bytes]:
        return {self.source: self.content} if isinstance(self.content, bytes) else self.content


REFUSED = [
    # --- bytes and encodings
    Case("bad UTF-8", GOOD + b"a,\xe9,2\n", "log.csv:3: byte 0xe9 is not UTF-8 text", fix="UTF-8"),
    Case("bad UTF-8 in the header", b"us\xe9r,item\n", "log.csv:1: byte 0xe9 is not UTF-8 text"),
    Case("bad UTF-8 in a title", T + b"a,x,1,caf\xe9\n", "log.csv:2: byte 0xe9 is not UTF-8 text"),
    Case(
        "UTF-16",
        GOOD.decode().encode("utf-16"),
        "log.csv: UTF-16 text where UTF-8 is due",
        fix="save the file as UTF-8",
    ),
    Case("UTF-32", GOOD.decode().encode("utf-32"), "log.csv: UTF-32 text where UTF-8 is due"),
    Case("NUL in an id", H + b"a,x\0y,1\n", "log.csv:2: item 'x\\x00y' has a control character"),
    Case(
        "CR alone",
        b"user,item,time\ra,x,1\r",
        "log.csv: its lines end in carriage returns alone",
        fix="tr ",
    ),
    # --- nothing there
    Case("empty file", b"", "log.csv: the file is empty"),
    Case("blank file", b"\n\r\n \n", "log.csv: the file is empty"),
    Case("empty gzip", gzip.compress(b""), "log.csv: the file is empty"),
    Case("header only", H, "log.csv: no rows in it"),
    Case("header and blank lines", H + b"\n\n", "log.csv: no rows in it"),
    Case("no such file", {}, "log.csv: no such file or folder"),
    Case("folder without data", {"d/README": b"x", "d/.a.csv": GOOD}, "d: no data files", "d"),
    Case("pattern without match", {"a.csv": GOOD}, "*.tsv: no file matches", "*.tsv"),
    Case(
        "files of different kinds",
        {"d/a.csv": GOOD, "d/b.jsonl": b"{}\n"},
        "d: files of different kinds: delimited text (a.csv), JSON lines (b.jsonl)",
        "d",
        fix="--source",
    ),
    Case(
        "kinds that names do not tell",
        {"d/a.csv": GOOD, "d/b.csv": b'{"user":1}\n'},
        "d/b.csv is JSON lines, but a.csv is delimited text",
        "d",
    ),
    # --- packed
    Case(
        "half a gzip",
        gzip.compress(GOOD * 9)[:-9],
        "log.csv: the gzip data is damaged or cut short: ",
        fix="again",
    ),
    Case("garbage behind a gzip", gzip.compress(GOOD) + b"x", "log.csv: the gzip data is damaged"),
    Case(
        "a wrong checksum",
        gzip.compress(GOOD)[:-8] + b"1234" + gzip.compress(GOOD)[-4:],
        "log.csv: the gzip data is damaged or cut short: ",
    ),
    Case("half a zstd", zst(GOOD)[:-3], "log.csv: the zstd data is damaged or cut short: "),
    Case("corrupt zstd", zst(GOOD)[:5] + b"\xff" * 9, "log.csv: the zstd data is damaged or cut "),
    Case(
        "half a bzip2", bz2.compress(GOOD)[:-9], "log.csv: the bzip2 data is damaged or cut short"
    ),
    Case("half an xz", lzma.compress(GOOD)[:-9], "log.csv: the xz data is damaged or cut short: "),
    Case("packed twice", gzip.compress(zst(GOOD)), "log.csv: packed twice: zstd inside gzip"),
    Case(
        "zip of two",
        archive(a__csv=GOOD, b__csv=GOOD),
        "log.csv: 2 files in the zip where one is due: a.csv, b.csv",
        fix="unpack it",
    ),
    Case("zip of none", archive(), "log.csv: no file in the zip"),
    Case("a member that leaves the folder", archive(UPa__csv=GOOD), "log.csv: no file in the zip"),
    Case("half a zip", archive(a__csv=GOOD)[:-9], "log.csv: the zip is damaged or cut short: "),
    # --- columns
    Case("no user", b"who,item,time\n", "log.csv: no column for the user (it has who, item, time)"),
    Case(
        "no time",
        b"user,item\na,x\n",
        "log.csv: no column for the time (it has user, item)",
        fix="say which column is the time: --time-column NAME; where the log has none, add one",
    ),
    Case(
        "two users",
        b"reviewer,customer,item,time\n",
        "log.csv: reviewer and customer may both be the user",
        fix="say which: --user-column reviewer",
    ),
    Case(
        "a column that is not there",
        GOOD,
        "log.csv: no column usr (it has user, item, time)",
        columns=Columns(user="usr"),
        fix="did you mean --user-column user?",
    ),
    Case("duplicated header", b"user,item,time,item\n", "log.csv: column item stands twice in "),
    Case(
        "no header",
        b"1::2::5::978300760\n",
        "log.csv: the first line is no header, it has numbers in it: '1::2::5::978300760'",
        fix="write a line above",
    ),
    Case(
        "a file of other columns",
        {"d/a.csv": GOOD, "d/b.csv": b"user,item,when\n"},
        "d/b.csv: no column time, as a.csv has (it has user, item, when)",
        "d",
    ),
    # --- fields
    Case(
        "too few fields", GOOD + b"b,y\n", "log.csv:3: 2 fields where user,item,time is due: 'b,y'"
    ),
    Case("too many fields", GOOD + b"b,y,2,3\n", "log.csv:3: 4 fields where user,item,time is due"),
    Case(
        "wrong delimiter",
        GOOD + b"b;y;2\n",
        "log.csv:3: separated by ';' where ',' is due: 'b;y;2'",
        fix="write ',' between the fields",
    ),
    Case(
        "unclosed quote",
        GOOD + b'b,"y,2\nc,z,3\n',
        "log.csv:3: a quote is opened here and never closed",
        fix="close it",
    ),
    Case("line end in an id", H + b'a,"x\ny",1\n', "log.csv:2: item 'x\\ny' has a control "),
    Case(
        "line numbers behind quoted line ends",
        T + b'a,x,1,"one\ntwo"\n\nb,,2,three\n',
        "log.csv:5: item '' is empty",
    ),
    Case("empty user", GOOD + b",y,2\n", "log.csv:3: user '' is empty", fix="--user-column"),
    Case("empty quoted item", GOOD + b'b,"",2\n', "log.csv:3: item '' is empty"),
    Case("blank item", GOOD + b"b,  ,2\n", "log.csv:3: item '  ' is empty", fix="--item-column"),
    # --- times
    Case("no time in a row", GOOD + b"b,y,\n", "log.csv:3: time '' is empty", fix="--time-column"),
    Case("a word as time", GOOD + b"b,y,now\n", "log.csv:3: time 'now' is no number, and no date"),
    Case("NaN as time", GOOD + b"b,y,NaN\n", "log.csv:3: time 'NaN' is no number, and no date"),
    Case("infinite time", GOOD + b"b,y,1e309\n", "log.csv:3: time '1e309' is no finite number"),
    Case(
        "a time beyond 64 bits",
        H + b"a,x,99999999999999999999\n",
        "log.csv:2: time '99999999999999999999' is beyond 64 bits",
    ),
    Case(
        "a time before 1970",
        H + b"a,x,1600000000\nb,y,-5\n",
        "log.csv:3: time '-5' is before 1970",
    ),
    Case(
        "seconds among milliseconds",
        H + b"a,x,1600000000000\nb,y,1600000001\n",
        "log.csv:3: time '1600000001' is too small for Unix milliseconds",
    ),
    Case(
        "milliseconds in a second file of seconds",
        {"d/a.csv": H + b"a,x,1600000000\n", "d/b.csv": GOOD + b"b,y,1600000001000\n"},
        "d/b.csv:3: time '1600000001000' is too large for Unix seconds",
        "d",
    ),
    Case(
        "a date that does not exist",
        H + b"a,x,2023-02-28\nb,y,2023-02-30\n",
        "log.csv:3: time '2023-02-30' is no date that exists",
    ),
    Case(
        "a number among dates",
        H + b"a,x,2023-02-28\nb,y,1600000000\n",
        "log.csv:3: time '1600000000' is no date, as the first times are",
    ),
    Case(
        "a date among numbers",
        GOOD + b"b,y,2023-02-28\n",
        "log.csv:3: time '2023-02-28' is a date, where the first times are numbers",
    ),
    Case("an American date", H + b"a,x,02/28/2023\n", "log.csv:2: time '02/28/2023' is no number"),
    # --- ratings
    Case("a word as rating", R + b"a,x,1,good\n", "log.csv:2: rating 'good' is no number"),
    Case("NaN as rating", R + b"a,x,1,nan\n", "log.csv:2: rating 'nan' is no finite number"),
    Case("1e309 as rating", R + b"a,x,1,1e309\n", "log.csv:2: rating '1e309' is no finite number"),
    # --- JSON lines
    Case("JSON null", b'{"user":1,"item":2,"time":3}\nnull\n', "log.csv:2: no JSON object: 'null'"),
    Case(
        "a JSON array",
        b'[{"user":1}]\n',
        "log.csv:1: no JSON object: ",
        fix="jq -c '.[]' file.json",
    ),
    Case("JSON over several lines", b'{\n"user":1\n}\n', "log.csv:1: no JSON object in one line ("),
    Case(
        "JSON cut short",
        b'{"user":"a","item":"x","time":3}\n{"user":"a","it',
        "log.csv:2: no JSON object in one line (Unterminated string",
    ),
    Case(
        "a null id",
        b'{"user":"a","item":"x","time":3}\n{"user":null,"item":"x","time":3}\n',
        "log.csv:2: user is missing or null",
    ),
    Case(
        "a missing key",
        b'{"user":"a","item":"x","time":3}\n\n{"user":"a","item":"x"}\n',
        "log.csv:3: time is missing or null",
    ),
    Case(
        "a fraction as id",
        b'{"user":1.5,"item":"x","time":3}\n',
        "log.csv:1: user '1.5' is neither text nor a whole number",
    ),
    Case(
        "a list as id",
        b'{"user":"a","item":["x"],"time":3}\n',
        "log.csv:1: item '[\"x\"]' is neither text nor a whole number",
    ),
    Case("true as id", b'{"user":true,"item":"x","time":3}\n', "log.csv:1: user 'true' is neither"),
    Case(
        "half a character",
        b'{"user":"a\\ud83d","item":"x","time":3}\n',
        "log.csv:1: user 'a\\ud83d' has half a character",
    ),
    Case(
        "bad UTF-8 in JSON",
        b'{"user":"a","item":"x\xff","time":3}\n',
        "log.csv:1: byte 0xff is not UTF-8 text",
    ),
    Case(
        "NaN in JSON",
        b'{"user":"a","item":"x","time":3,"rating":NaN}\n',
        "log.csv:1: rating 'nan' is no finite number",
    ),
    # --- Parquet
    Case("no Parquet", b"user,item", "x.parquet: no Parquet file, or a damaged one: ", "x.parquet"),
    Case("truncated Parquet", PARQUET[:-20], "x.pq: no Parquet file, or a damaged one: ", "x.pq"),
    Case("packed Parquet", gzip.compress(PARQUET), "x.gz: Parquet inside gzip", "x.gz"),
    Case(
        "fractions as ids in Parquet",
        parquet(user=[1.0], item=["x"], time=[1]),
        "log.csv: column user is of type double, which is no id (text or a whole number)",
    ),
    Case(
        "a time of day in Parquet",
        parquet(user=["a"], item=["x"], time=[time(10)]),
        "log.csv: column time is of type time64[us], which is no time",
    ),
    Case(
        "a null id in Parquet",
        parquet(user=["a"] * 3, item=["x", "y", None], time=[1, 2, 3]),
        "log.csv: row 3: item is missing",
    ),
    Case(
        "a null time in Parquet",
        parquet(user=["a"] * 4, item=["x"] * 4, time=[1, 2, 3, None]),
        "log.csv: row 4: time is missing",
    ),
    Case(
        "an empty id in Parquet",
        parquet(user=["a"] * 3, item=["x", "y", " "], time=[1, 2, 3]),
        "log.csv: row 3: item ' ' is empty",
    ),
    Case(
        "dates in a second Parquet file of numbers",
        {
            "d/a.parquet": parquet(user=["a"], item=["x"], time=[1]),
            "d/b.parquet": parquet(user=["a"], item=["x"], time=[date(2023, 1, 31)]),
        },
        "d/b.parquet: column time is of type date32[day], which is a date, where the first times",
        "d",
    ),
    # --- items
    Case(
        "items without title",
        {"log.csv": GOOD, "items.csv": b"item,genre\nx,y\n"},
        "items.csv: no column for the title (it has item, genre)",
        items="items.csv",
        fix="--title-column",
    ),
    Case("no file of items", GOOD, "items.csv: no such file", items="items.csv"),
    Case(
        "an empty id among items",
        {"log.csv": GOOD, "items.csv": b"item,title\nx,X\n,Y\n"},
        "items.csv:3: item '' is empty",
        items="items.csv",
    ),
]

MENDED = [
    Case("a byte order mark", b"\xef\xbb\xbf" + GOOD, ROW),
    Case("CRLF", GOOD.replace(b"\n", b"\r\n"), ROW),
    Case("blank lines", b"\n\r\n" + H + b"\n\na,x,1\n\n", ROW),
    Case("no line end at the end", GOOD[:-1], ROW),
    Case("blanks around ids and names", b" user , item, time\n a , x, 1 \n", ROW),
    Case("blanks inside of ids", H + b"a b,x y,1\n", [("a b", "x y", 1, None)]),
    Case("leading zeros", H + b"007,00,1\n", [("007", "00", 1, None)]),
    Case("a fraction of zeros", H + b"a,x,964982703.0\n", [("a", "x", 964982703, None)]),
    Case("a fraction of a second", H + b"a,x,964982703.5\n", [("a", "x", 964982703, None)]),
    Case("an order below zero", H + b"a,x,-1.5\n", [("a", "x", -2, None)]),
    Case("a quoted delimiter", H + b'"a,b","x ""y""",1\n', [("a,b", 'x "y"', 1, None)]),
    Case("a stray quote", H + b'5" nail,x,1\na,x,1\n', [('5" nail', "x", 1, None), *ROW]),
    Case("an empty rating", R + b"a,x,1,\n", ROW),
    Case("titles over two lines", T + b'a,x,1,"one\ntwo"\n', [("a", "x", 1, None, "one\ntwo")]),
    Case("quotes in TSV", b'user\titem\ttime\na\t"x\t1\n', [("a", '"x', 1, None)]),
    Case("bad UTF-8 in a column not asked for", b"user,item,time,city\na,x,1,\xe9\n", ROW),
    Case("numbers as ids in JSON", b'{"user":1,"item":2,"time":3}\n', [("1", "2", 3, None)]),
    Case(
        "numbers and text as ids in JSON",
        b'{"user":1,"item":"x","time":3}\n{"user":"2","item":7,"time":"4"}\n',
        [("1", "x", 3, None), ("2", "7", 4, None)],
    ),
    Case("many gzips in one", gzip.compress(H) + gzip.compress(b"a,x,1\n"), ROW),
    Case("a zip of one, and what macOS adds", archive(a__csv=GOOD, __MACOSX=b""), ROW),
    Case("an empty part among others", {"d/a.csv": H, "d/b.csv": GOOD}, ROW, "d"),
    Case("mixed zones", H + b"a,x,1970-01-01T02:00:01+02:00\n", ROW),
]


def run(case: Case, folder: Path) -> list[Any]:
    for name, content in case.files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    items = folder / case.items if case.items else None
    table = whole(read_table(folder / case.source, items, case.columns))
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_it_is_refused_with_place_and_fix(case: Case, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        run(case, tmp_path)
    assert isinstance(case.expected, str)
    assert caught.value.message.startswith(f"{tmp_path}/{case.expected}")
    assert caught.value.fix
    assert case.fix in caught.value.fix


@pytest.mark.parametrize("case", MENDED, ids=lambda case: case.name)
def test_it_is_mended(case: Case, tmp_path: Path) -> None:
    assert run(case, tmp_path) == case.expected


def test_there_are_at_least_sixty() -> None:
    names = [case.name for case in [*REFUSED, *MENDED]]
    assert len(names) == len(set(names)) >= 60


@pytest.mark.parametrize("pack", [gzip.compress, zst, bz2.compress, lzma.compress])
def test_a_decompression_bomb_is_stopped(
    pack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "BOMB_BYTES", 1 << 20)
    (tmp_path / "log.csv").write_bytes(pack(H + b"a,x,1\n" * 1_000_000))
    with pytest.raises(DataError, match=r"log\.csv: [\d,]+ bytes unpack to [\d,]+ or more"):
        whole(read_table(tmp_path / "log.csv"))


def test_a_zip_bomb_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "BOMB_BYTES", 1 << 20)
    (tmp_path / "log.csv").write_bytes(archive(a__csv=H + b"a,x,1\n" * 1_000_000))
    with pytest.raises(DataError, match="over 200 times as many"):
        whole(read_table(tmp_path / "log.csv"))


def test_dates_of_parquet_are_seconds(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(parquet(user=["a"], item=["x"], time=[date(1970, 1, 2)]))
    assert whole(read_table(tmp_path / "x"))["timestamp"].to_pylist() == [86400]


def test_a_title_that_is_missing_is_empty(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(parquet(user=["a"], item=["x"], time=[1], title=pa.nulls(1)))
    assert whole(read_table(tmp_path / "x"))[RAW_TITLE].to_pylist() == [""]
