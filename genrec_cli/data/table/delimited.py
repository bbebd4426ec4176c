"""CSV, TSV and their like: the header line tells the separator and the columns."""

import csv
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from genrec_cli.core.errors import DataError
from genrec_cli.core.progress import Task
from genrec_cli.data.table.datafile import DataFile
from genrec_cli.data.text import Dialect, Stretch, TimeForm, cut, open_bytes
from genrec_cli.data.text.csvlines import parse, read_columns
from genrec_cli.data.text.csvlook import sound_rows
from genrec_cli.data.text.faults import not_text

# Where two cut the header into as many fields, the first one counts.
_SEPARATORS: Final = ("\t", "::", ",", ";", "|")

# As RecBole's atomic files write the type of a column behind its name.
_RECBOLE_TYPE: Final = re.compile(r":(?:token|float)(?:_seq)?$")


@dataclass(frozen=True)
class Lines:
    """Whole lines of a file, without its header."""

    stretch: Stretch
    dialect: Dialect
    roles: Mapping[str, str]
    time: TimeForm

    def columns(self) -> dict[str, pa.ChunkedArray]:
        """Role -> values; see `Part`."""
        return read_columns(self.stretch, self.dialect, self.roles, self.time)


def look(path: Path, head: bytes) -> DataFile:
    """Find separator and columns in the header line.

    Args:
        path: the file.
        head: its beginning, unpacked; not blank.

    Raises:
        DataError: the line is no UTF-8, or ends as on old Macs.
    """
    if b"\n" not in head and b"\r" in head:
        raise DataError(
            f"{path}: its lines end in carriage returns alone, as on old Macs",
            f"tr '\\r' '\\n' < {path.name} > new.csv",
        )
    first, below = Stretch(head.removeprefix(b"\xef\xbb\xbf"), path, 1).first_and_rest()
    try:
        line = first.decode()
    except UnicodeDecodeError as error:
        where = f"{path}:{below.first_line - 1 if below.data else 1}"
        raise not_text(where, first[error.start]) from error
    dialect = sniff(line)
    return DataFile(path, "delimited", dialect.header, dialect)


def sniff(line: str) -> Dialect:
    """Tell separator, quoting and columns from a header line.

    Fields are quoted in `,` and `;` files, as every program writes them. With other separators they
    are taken as they stand, unless the header itself is quoted: a title there may begin with `"`.

    >>> sniff("user_id:token;item_id:token").header
    ('user_id', 'item_id')
    """
    bare = re.sub(r'"[^"]*"', "", line)
    separator = max(_SEPARATORS, key=lambda one: len(bare.split(one)))
    quoted = separator in ",;" or line.lstrip().startswith('"')
    if quoted and len(separator) == 1:
        names = next(csv.reader([line], delimiter=separator))
    else:
        names = line.split(separator)
    header = [_RECBOLE_TYPE.sub("", name.strip()) for name in names]
    return Dialect(tuple(header), separator, quoted)


def parts(file: DataFile, roles: Mapping[str, str], time: TimeForm, task: Task) -> Iterator[Lines]:
    """Cut the file into parts.

    Args:
        file: as `look` gives it.
        roles: role -> column.
        time: how times are written.
        task: is told of the bytes read.

    Raises:
        DataError: a damaged file, a line too long, or a quote that is not closed.
    """
    for stretch in _stretches(file, task):
        yield Lines(stretch, _dialect(file), roles, time)


def first_times(file: DataFile, column: str, task: Task) -> pa.ChunkedArray:
    """The times in the first part, as text; those above the first broken row, where one is."""
    for stretch in _stretches(file, task):
        try:
            times = parse(stretch.data, _dialect(file), [column], {})[column]
        except pa.ArrowInvalid:
            times = pa.chunked_array([pa.array(_above_fault(file, stretch, column), pa.string())])
        if len(times):
            return times
    return pa.chunked_array([], pa.string())


def _above_fault(file: DataFile, stretch: Stretch, column: str) -> list[str]:
    times: list[str] = []
    with suppress(DataError):  # whoever reads the part will say so, with all that is above it
        for _, row in sound_rows(stretch, _dialect(file), [column]):
            times.append(row[column])
    return times


def _stretches(file: DataFile, task: Task) -> Iterator[Stretch]:
    """The lines below the header, without stretches that are blank."""
    dialect = _dialect(file)
    with open_bytes(file.path, task) as stream:
        cuts = cut(stream, file.path, quoted=dialect.quoted, delimiter=dialect.delimiter)
        for place, stretch in enumerate(cuts):
            lines = stretch.first_and_rest()[1] if place == 0 else stretch
            if lines.data and not lines.data.isspace():
                yield lines


def _dialect(file: DataFile) -> Dialect:
    assert file.dialect is not None, "delimited text has a dialect"
    return file.dialect
