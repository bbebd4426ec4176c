"""The slow look at delimited text, line by line, that names the first line that cannot be used."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from genrec_cli.core.errors import DataError
from genrec_cli.data.text import faults
from genrec_cli.data.text.blocks import Stretch
from genrec_cli.data.text.times import TimeForm


@dataclass(frozen=True)
class Dialect:
    """How fields stand in a line.

    Attributes:
        header: names of all columns, in order.
        delimiter: between the fields; of one ASCII character or more.
        quoted: whether `"…"` encloses fields that hold delimiters, line ends or doubled quotes.
    """

    header: tuple[str, ...]
    delimiter: str = ","
    quoted: bool = True


def explain(
    stretch: Stretch, dialect: Dialect, roles: Mapping[str, str], time: TimeForm, fault: str
) -> DataError:
    """Find the first line that cannot be used and say what is wrong with it.

    Args:
        stretch: the lines, without the header.
        dialect: how fields stand in them.
        roles: role -> column.
        time: how times are written.
        fault: what the fast reader complained of, for want of anything better.
    """
    lines: list[int] = []
    values: dict[str, list[str]] = {role: [] for role in roles}
    broken = None
    try:
        for line, row in sound_rows(stretch, dialect, list(roles.values())):
            lines.append(line)
            for role, name in roles.items():
                values[role].append(row[name])
    except DataError as error:
        broken = error  # a value further up may be unfit
    columns = {role: pa.chunked_array([pa.array(v, pa.string())]) for role, v in values.items()}
    unfit = faults.first_fault(columns, time)
    if unfit:
        value = values[unfit.role][unfit.row]
        return faults.unfit_value(stretch.path, lines[unfit.row], roles[unfit.role], value, unfit)
    where = f"{stretch.path}:{stretch.first_line}"
    return broken or DataError(f"{where}: the lines from here on cannot be read: {fault}")


def sound_rows(
    stretch: Stretch, dialect: Dialect, columns: Sequence[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and values of `columns` of each row, slowly.

    Raises:
        DataError: the first row with more or fewer fields than the header, or bytes in one of the
            columns that are no UTF-8.
    """
    places = {name: dialect.header.index(name) for name in columns}
    for line, fields in _records(stretch, dialect):
        where = f"{stretch.path}:{line}"
        if len(fields) != len(dialect.header):
            raise _misshapen(where, fields, dialect)
        row = {name: fields[place] for name, place in places.items()}
        byte = next(filter(None, map(faults.bad_byte, row.values())), None)
        if byte is not None:
            raise faults.not_text(where, byte)
        yield line, row


def _records(stretch: Stretch, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of each row, slowly; bytes that are no UTF-8 become surrogates."""
    text = io.StringIO(stretch.data.decode("utf-8", "surrogateescape"), newline="")
    if not dialect.quoted:
        for line, row in enumerate(text, stretch.first_line):
            if row.rstrip("\r\n"):
                yield line, row.rstrip("\r\n").split(dialect.delimiter)
        return
    rows = csv.reader(text, delimiter=dialect.delimiter)
    line = stretch.first_line
    try:
        for fields in rows:
            if fields:
                yield line, fields
            line = stretch.first_line + rows.line_num
    except csv.Error as error:
        raise DataError(f"{stretch.path}:{line}: {error}", "mend or delete that line") from error


def _misshapen(where: str, fields: Sequence[str], dialect: Dialect) -> DataError:
    row = dialect.delimiter.join(fields)
    due = len(dialect.header)
    seen = faults.wrong_separator(row, dialect.delimiter, due) if len(fields) == 1 else None
    if seen:
        problem, fix = faults.separated(seen, dialect.delimiter)
    else:
        names = dialect.delimiter.replace("\t", "<tab>").join(dialect.header)
        problem = f"{faults.counted(len(fields))} where {faults.shortened(names)} is due"
        fix = 'mend or delete that line; put fields that hold the separator between "…"'
    return DataError(f"{where}: {problem}: {faults.shown(row)}", fix)
