"""Streams are cut at line ends, wherever they are cut, and opened however they are packed."""

import bz2
import gzip
import io
import lzma
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec_cli.core.errors import DataError
from genrec_cli.core.progress import SILENT
from genrec_cli.data.text import (
    CsvBlock,
    CsvForm,
    Dialect,
    JsonBlock,
    JsonForm,
    Roles,
    Stretch,
    TimeForm,
    blocks,
    cut,
    open_bytes,
)
from genrec_cli.data.text.quotes import last_line_end

PATH = Path("x.csv")
SIZES = st.integers(min_value=1, max_value=40)
CELL = st.text(alphabet='ab," \n\r;é', max_size=6)
ROWS = st.lists(st.tuples(CELL, CELL), max_size=12)


def stretches(data: bytes, size: int, *, quoted: bool = True) -> list[Stretch]:
    return list(cut(io.BytesIO(data), PATH, quoted=quoted, size=size))


def quoted_csv(rows: list[tuple[str, str]], line_end: str) -> bytes:
    """Each row quoted where need be, and only there."""
    return b"".join(
        (",".join(field(cell) for cell in row) + line_end).encode() for row in [*rows, ("x", "y")]
    )


def field(cell: str) -> str:
    special = any(one in cell for one in ',"\n\r') or not cell
    return '"' + cell.replace('"', '""') + '"' if special else cell


@given(ROWS, SIZES, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_any_size_gives_the_rows_of_the_whole(
    rows: list[tuple[str, str]], size: int, line_end: str, ended: bool
) -> None:
    # Ids hold no line ends, so titles carry the odd text, and the ids count the rows.
    titled = [(f"{number}", *row) for number, row in enumerate(rows)]
    lines = [",".join([number, "i", "1", field(a + b)]) + line_end for number, a, b in titled]
    data = "".join(lines).encode() if ended else "".join(lines).encode().removesuffix(b"\n")
    roles = Roles("user", "item", "time", title="title")
    form = CsvForm(Dialect(("user", "item", "time", "title")), roles, TimeForm("order"))
    tables = [CsvBlock(stretch, form).read() for stretch in stretches(data, size)]
    titles = [title for table in tables for title in table["raw_title"].to_pylist()]
    assert titles == [a + b for _, a, b in titled]
    assert [user for table in tables for user in table["user_id"].to_pylist()] == [
        number for number, _, _ in titled
    ]


@given(ROWS, SIZES, st.sampled_from(["\n", "\r\n"]))
def test_stretches_join_to_the_whole_and_know_their_first_lines(
    rows: list[tuple[str, str]], size: int, line_end: str
) -> None:
    data = quoted_csv(rows, line_end)
    parts = stretches(data, size)
    assert b"".join(part.data for part in parts) == data
    line = 1
    for part in parts:
        assert part.data
        assert part.first_line == line
        line += part.data.count(b"\n")


@given(st.binary(max_size=60), SIZES)
def test_without_quotes_every_line_is_whole(data: bytes, size: int) -> None:
    parts = stretches(data.removeprefix(b"\xef\xbb\xbf"), size, quoted=False)
    assert all(part.data.endswith(b"\n") for part in parts[:-1])
    assert b"".join(part.data for part in parts) == data.removeprefix(b"\xef\xbb\xbf")


class Drops:
    """A stream that gives one byte at a time, as pipes may."""

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)

    def read(self, size: int, /) -> bytes:
        return self._stream.read(min(size, 1))


@pytest.mark.parametrize("size", [1, 2, 3, 99])
def test_a_byte_order_mark_is_dropped_at_the_start_only(size: int) -> None:
    data = b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n"
    parts = list(cut(Drops(data), PATH, quoted=False, size=size))
    assert b"".join(part.data for part in parts) == b"a\n\xef\xbb\xbfb\n"


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b"1,2\n3", 4),
        (b"", 0),
        (b"1", 0),
        (b'1,"a\nb', 0),
        (b'1\n2,"a\nb', 2),
        (b'1,"a\nb"\n2', 8),
        (b'1,"a""\nb"\n2', 10),
        (b'5" nail\n2', 8),  # a quote inside a field opens nothing
        (b'5" nail\n2,"a\nb', 8),
        (b'1,"a"b"\n2', 8),
        (b'""\n""\n', 6),
    ],
)
def test_the_last_line_end_outside_of_quotes(data: bytes, end: int) -> None:
    assert last_line_end(data, b",") == end


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_quote_that_is_never_closed_is_named_with_its_line(size: int) -> None:
    data = b'a,"x\ny"\nb,z\nc,"open\n' + b"d,e\n" * 99
    with pytest.raises(DataError, match=r"x\.csv:4: a quote is opened here and never closed"):
        stretches(data, size)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a\n" + b"b" * 99, "x.csv:2: a line that begins here is longer than "),
        (b'a\n"b\n' + b"c\n" * 99, "x.csv:2: a quoted field that begins here is longer than "),
    ],
)
def test_an_endless_line_is_not_read_into_memory(
    data: bytes, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "LONGEST_LINE", 50)
    with pytest.raises(DataError) as caught:
        stretches(data, 10)
    assert caught.value.message.startswith(message)


def test_blocks_can_be_pickled() -> None:
    roles = Roles("u", "i", "t")
    csv = CsvBlock(Stretch(b"a,x,1\n", PATH, 1), CsvForm(Dialect(("u", "i", "t")), roles, SECONDS))
    json = JsonBlock(Stretch(b'{"u":"a","i":"x","t":1}', PATH, 1), JsonForm(roles, SECONDS))
    for block in (csv, json):
        table = pickle.loads(pickle.dumps(block)).read()
        assert table.to_pylist() == [
            {"user_id": "a", "item_id": "x", "timestamp": 1, "rating": None}
        ]


SECONDS = TimeForm("s")


def zst(data: bytes) -> bytes:
    packed: bytes = pa.compress(data, codec="zstd", asbytes=True)
    return packed


def zipped(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/data.csv", data)
    return buffer.getvalue()


class Count:
    """A task that adds up."""

    def __init__(self) -> None:
        self.done = 0.0

    def skip(self, amount: float) -> None: ...

    def advance(self, amount: float = 1) -> None:
        assert amount >= 0
        self.done += amount

    def figures(self, values: Mapping[str, str]) -> None: ...


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zst, bz2.compress, lzma.compress, zipped])
def test_every_packing_gives_the_same_bytes_and_fills_the_bar(
    pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    data = b"".join(b"%d,%d\n" % (number, number**5 % 977) for number in range(300_000))
    path = tmp_path / "named.wrongly"
    path.write_bytes(pack(data))
    task = Count()
    with open_bytes(path, task) as stream:
        assert stream.peek(5) == data[:5]
        parts = list(cut(stream, path, quoted=True, size=100_000))
    assert b"".join(part.data for part in parts) == data
    assert task.done == path.stat().st_size


def test_a_missing_file_and_a_folder_say_so(tmp_path: Path) -> None:
    with SILENT.task("", None, "B") as task:
        for path, words in [(tmp_path / "none", "no such file"), (tmp_path, "cannot be read")]:
            with pytest.raises(DataError, match=words), open_bytes(path, task):
                pass
