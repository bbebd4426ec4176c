"""Why a log cannot be read: the slow look that names the first bad line, and words for it."""

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa

from genrec_cli.core.errors import DataError
from genrec_cli.data.text.rows import Reader, readers
from genrec_cli.data.text.times import TimeForm
from genrec_cli.data.text.unfit import Unfit

_SEPARATORS: Final = ("::", "\t", ",", ";", "|", ":")
_SHOWN = 60  # characters of an offending line

FIXES: Final = {
    **{
        role: f"mend or delete that row, or name another --{role}-column"
        for role in ("user", "item", "time", "rating")
    },
    "title": "save the text as UTF-8, or name another --title-column",
}


class Fault(NamedTuple):
    """A value that cannot be used: its row, its role, and why."""

    row: int
    role: str
    why: str


def first_fault(columns: Mapping[str, pa.ChunkedArray], form: TimeForm) -> Fault | None:
    """Find the first row with a value that the readers of `rows.py` refuse.

    Args:
        columns: role -> values.
        form: how times are written.

    Returns:
        None where all is well.
    """
    read = readers(form)
    found = [_first_unfit(column, role, read[role]) for role, column in columns.items()]
    return min((fault for fault in found if fault), default=None)


def _first_unfit(column: pa.ChunkedArray, role: str, read: Reader) -> Fault | None:
    """Bisect: readers take whole columns, and every prefix up to the first bad value passes."""
    if _why(column, read) is None:
        return None
    low, high = 0, len(column)
    while high - low > 1:
        middle = (low + high) // 2
        if _why(column.slice(low, middle - low), read) is None:
            low = middle
        else:
            high = middle
    why = _why(column.slice(low, 1), read)
    return Fault(low, role, why) if why else None


def _why(column: pa.ChunkedArray, read: Reader) -> str | None:
    try:
        read(column)
    except Unfit as unfit:
        return str(unfit)
    return None


def shown(text: str) -> str:
    """An offending line or value, quoted and shortened."""
    return repr(shortened(text))


def shortened(text: str) -> str:
    """At most so much of a text as a message has room for."""
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def named(separator: str) -> str:
    """A separator as people call it."""
    return "a tab" if separator == "\t" else repr(separator)


def counted(fields: int) -> str:
    """A number of fields in words."""
    return "1 field" if fields == 1 else f"{fields} fields"


def not_text(where: str, byte: int, encoding: str = "utf-8") -> DataError:
    """The error for a byte that is not in the encoding that is due."""
    return DataError(
        f"{where}: byte 0x{byte:02x} is not {encoding.removesuffix('-sig').upper()} text",
        "save the file as UTF-8, or download the data again",
    )


def wrong_separator(text: str, expected: str, count: int) -> str | None:
    """The separator that cuts `text` into `count` fields or more, where it is not `expected`."""
    others = (other for other in _SEPARATORS if other != expected)
    return next((other for other in others if len(text.split(other)) >= count), None)


def separated(seen: str, expected: str) -> tuple[str, str]:
    """What is wrong with fields between other separators, and the fix."""
    return (
        f"separated by {named(seen)} where {named(expected)} is due",
        f"write {named(expected)} between the fields",
    )


def split_quoted(text: str) -> list[str] | None:
    """The fields of one line of CSV; None where its quotes are not closed or misplaced."""
    try:
        return next(csv.reader([text], strict=True))
    except csv.Error:
        return None


def bad_byte(text: str) -> int | None:
    """The first byte that was no UTF-8, in text decoded with `surrogateescape`; None without."""
    found = re.search("[\udc80-\udcff]", text)
    return ord(found.group()) - 0xDC00 if found else None


def unfit_value(path: Path, line: int, column: str, value: str, fault: Fault) -> DataError:
    """The error for a value that its column's reader refuses."""
    return DataError(f"{path}:{line}: {column} {shown(value)} {fault.why}", FIXES[fault.role])
