"""Delimited text through `pyarrow.csv`, a stretch at a time; line by line where that fails."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyarrow import csv as arrow_csv

from genrec_cli.core.errors import DataError
from genrec_cli.data.text import faults
from genrec_cli.data.text.blocks import Stretch
from genrec_cli.data.text.roles import Roles
from genrec_cli.data.text.rows import interactions
from genrec_cli.data.text.times import TimeForm
from genrec_cli.data.text.unfit import Unfit

# Stands for "::", as Arrow splits at one byte only; ASCII's own "unit separator".
_UNIT_SEPARATOR = "\x1f"


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


@dataclass(frozen=True)
class CsvForm:
    """How the rows of a delimited file become interactions.

    Attributes:
        dialect: how fields stand in a line.
        roles: which of the columns play which role.
        time: how times are written.
    """

    dialect: Dialect
    roles: Roles
    time: TimeForm


@dataclass(frozen=True)
class CsvBlock:
    """Whole lines of a delimited file, without its header."""

    stretch: Stretch
    form: CsvForm

    def read(self) -> pa.Table:
        """Parse the lines; see `rows.interactions`.

        Raises:
            DataError: the first line that cannot be used, with its number and value.
        """
        roles, time = self.form.roles.named(), self.form.time
        for kinds in (self._kinds(), {}):
            try:
                table = parse(self.stretch.data, self.form.dialect, list(roles.values()), kinds)
                return interactions({role: table[name] for role, name in roles.items()}, time)
            except (pa.ArrowException, Unfit) as error:
                # Perhaps only a time such as 964982703.0, which is no int64 to Arrow: text is next.
                fault = str(error)
        raise explain(self.stretch, self.form, fault)

    def _kinds(self) -> dict[str, pa.DataType]:
        """Types that Arrow converts to while parsing, which is faster than afterwards."""
        roles = self.form.roles
        kinds = {} if self.form.time.dates else {roles.time: pa.int64()}
        if roles.rating and roles.rating != roles.title:
            kinds.setdefault(roles.rating, pa.float32())
        return {name: kind for name, kind in kinds.items() if name not in (roles.user, roles.item)}


def parse(
    data: bytes, dialect: Dialect, columns: Sequence[str], kinds: Mapping[str, pa.DataType]
) -> pa.Table:
    """Parse whole lines of delimited text, on one thread; blank lines are skipped.

    Args:
        data: the lines, without the header.
        dialect: how fields stand in them.
        columns: names from the header; the others are not converted.
        kinds: column -> type, where it is not to be text; an empty field is null there.

    Raises:
        pa.ArrowInvalid: a line with more or fewer fields than the header, bytes that are no UTF-8,
            or a value that is not of its type.
    """
    if len(dialect.delimiter) > 1:
        data = data.replace(dialect.delimiter.encode(), _UNIT_SEPARATOR.encode())
    if not data.strip(b"\r\n"):
        return pa.table({name: pa.array([], kinds.get(name, pa.string())) for name in columns})
    single = dialect.delimiter if len(dialect.delimiter) == 1 else _UNIT_SEPARATOR
    wanted = list(dict.fromkeys(columns))
    return arrow_csv.read_csv(
        pa.BufferReader(data),
        read_options=arrow_csv.ReadOptions(
            use_threads=False, block_size=len(data) + 1, column_names=list(dialect.header)
        ),
        parse_options=arrow_csv.ParseOptions(
            delimiter=single,
            quote_char='"' if dialect.quoted else False,
            double_quote=dialect.quoted,
            newlines_in_values=dialect.quoted and b'"' in data,
        ),
        convert_options=arrow_csv.ConvertOptions(
            column_types={name: kinds.get(name, pa.string()) for name in wanted},
            include_columns=wanted,
            null_values=[""],
            strings_can_be_null=False,
        ),
    )


def explain(stretch: Stretch, form: CsvForm, fault: str) -> DataError:
    """Find the first line that cannot be used and say what is wrong with it.

    Args:
        stretch: the lines, without the header.
        form: how they should look.
        fault: what the fast reader complained of, for want of anything better.
    """
    lines: list[int] = []
    values: dict[str, list[str]] = {role: [] for role in form.roles.named()}
    places = {role: form.dialect.header.index(name) for role, name in form.roles.named().items()}
    broken = None
    for line, fields in records(stretch, form.dialect):
        broken = _broken(f"{stretch.path}:{line}", fields, form, list(places.values()))
        if broken:
            break
        lines.append(line)
        for role, place in places.items():
            values[role].append(fields[place])
    columns = {role: pa.chunked_array([pa.array(v, pa.string())]) for role, v in values.items()}
    unfit = faults.first_fault(columns, form.time)
    if unfit:
        column, value = form.roles.named()[unfit.role], values[unfit.role][unfit.row]
        return faults.unfit_value(stretch.path, lines[unfit.row], column, value, unfit)
    where = f"{stretch.path}:{stretch.first_line}"
    return broken or DataError(f"{where}: the lines from here on cannot be read: {fault}")


def records(stretch: Stretch, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
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


def _broken(
    where: str, fields: list[str], form: CsvForm, places: Sequence[int]
) -> DataError | None:
    """The error for a row that does not have the due fields; None where it does."""
    dialect = form.dialect
    row = dialect.delimiter.join(fields)
    if len(fields) != len(dialect.header):
        due = dialect.delimiter.replace("\t", "<tab>").join(dialect.header)
        seen = len(fields) == 1 and faults.wrong_separator(
            row, dialect.delimiter, len(dialect.header)
        )
        if seen:
            problem, fix = faults.separated(seen, dialect.delimiter)
        else:
            problem = f"{faults.counted(len(fields))} where {due} is due"
            fix = 'mend or delete that line; put fields that hold the separator between "…"'
        return DataError(f"{where}: {problem}: {faults.shown(row)}", fix)
    byte = next(filter(None, (faults.bad_byte(fields[place]) for place in places)), None)
    return None if byte is None else faults.not_text(where, byte)
