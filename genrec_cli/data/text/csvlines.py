"""Delimited text through `pyarrow.csv`, a stretch at a time; line by line where that fails."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyarrow import csv as arrow_csv

from genrec_cli.data.text.blocks import Stretch
from genrec_cli.data.text.csvlook import Dialect, explain
from genrec_cli.data.text.roles import Roles
from genrec_cli.data.text.rows import assembled, checked
from genrec_cli.data.text.times import TimeForm
from genrec_cli.data.text.unfit import Unfit

__all__ = ["CsvBlock", "CsvForm", "Dialect", "parse", "read_columns"]

# Stands for "::", as Arrow splits at one byte only; ASCII's own "unit separator".
_UNIT_SEPARATOR = "\x1f"


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
        """Parse the lines; see `rows.assembled`.

        Raises:
            DataError: the first line that cannot be used, with its number and value.
        """
        form = self.form
        return assembled(read_columns(self.stretch, form.dialect, form.roles.named(), form.time))


def read_columns(
    stretch: Stretch, dialect: Dialect, roles: Mapping[str, str], time: TimeForm
) -> dict[str, pa.ChunkedArray]:
    """Parse whole lines into role -> values, checked; see `rows.checked`.

    Args:
        stretch: the lines, without the header.
        dialect: how fields stand in them.
        roles: role -> column.
        time: how times are written.

    Raises:
        DataError: the first line that cannot be used, with its number and value.
    """
    for kinds in (_kinds(roles, time), {}):
        try:
            table = parse(stretch.data, dialect, list(roles.values()), kinds)
            return checked({role: table[name] for role, name in roles.items()}, time)
        except (pa.ArrowException, Unfit) as error:
            # Perhaps only a time such as 964982703.0, which is no int64 to Arrow: text is next.
            fault = str(error)
    raise explain(stretch, dialect, roles, time, fault)


def _kinds(roles: Mapping[str, str], time: TimeForm) -> dict[str, pa.DataType]:
    """Column -> type that Arrow converts to while parsing, which is faster than afterwards."""
    kinds = {"rating": pa.float32()} if time.dates else {"rating": pa.float32(), "time": pa.int64()}
    text = {name for role, name in roles.items() if role not in kinds}
    return {
        roles[role]: kind
        for role, kind in kinds.items()
        if role in roles and roles[role] not in text
    }


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
