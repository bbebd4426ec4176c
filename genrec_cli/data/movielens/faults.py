"""Why ratings cannot be read: the slow look, line by line, that names the first bad one."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Final

from genrec_cli.core.errors import DataError
from genrec_cli.data.text import Dialect, Stretch
from genrec_cli.data.text.faults import (
    counted,
    not_text,
    separated,
    shown,
    split_quoted,
    wrong_separator,
)

MAX_RATING: Final = 5  # stars

# The fields in the order of every layout, under the names of the CSV header.
FIELDS: Final = ("userId", "movieId", "rating", "timestamp")

MEND: Final = "mend or delete that line, or download the data again"
AGAIN: Final = "download the data again"


def explain(stretch: Stretch, dialect: Dialect, fault: str) -> DataError:
    """Find the first line that is no rating and say what is wrong with it.

    Args:
        stretch: the lines, without a header.
        dialect: how they should look.
        fault: what the fast reader complained of, for want of anything better.
    """
    for number, raw in enumerate(stretch.data.split(b"\n"), stretch.first_line):
        where = f"{stretch.path}:{number}"
        text = decoded(raw, where)
        problem = _row(text, dialect) if text else None
        if problem:
            return DataError(f"{where}: {problem[0]}: {shown(text)}", problem[1])
    return DataError(f"{stretch.path}:{stretch.first_line}: cannot be read: {fault}", AGAIN)


def decoded(raw: bytes, where: str) -> str:
    """A line as text, without its end.

    Raises:
        DataError: it is no UTF-8.
    """
    try:
        return raw.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise not_text(where, raw[error.start]) from error


def header_of(text: str, where: str) -> tuple[str, ...]:
    """The column names of a CSV file.

    Raises:
        DataError: some of `FIELDS` are not among them.
    """
    names = split_quoted(text) or []
    missing = [name for name in FIELDS if name not in names]
    if not missing:
        return tuple(names)
    seen = wrong_separator(text, ",", len(FIELDS))
    if seen:
        problem, fix = separated(seen, ",")
    else:
        problem = f"the header has no {', '.join(missing)}"
        fix = f"let the first line be {','.join(FIELDS)}"
    raise DataError(f"{where}: {problem}: {shown(text)}", fix)


def _row(text: str, dialect: Dialect) -> tuple[str, str] | None:
    """What is wrong with a line of ratings, and the fix; None where nothing is."""
    fields = split_quoted(text) if dialect.quoted else text.split(dialect.delimiter)
    if fields is None:
        return "a quote is not closed, or stands inside a field", MEND
    if len(fields) != len(dialect.header):
        return _misshapen(text, fields, dialect)
    for name, check in _CHECKS:
        field = fields[dialect.header.index(name)]
        fault = check(field)
        if fault:
            return f"{name} {shown(field)} {fault}", MEND
    return None


def _misshapen(text: str, fields: Sequence[str], dialect: Dialect) -> tuple[str, str]:
    due = len(dialect.header)
    seen = wrong_separator(text, dialect.delimiter, due) if len(fields) == 1 else None
    if seen:
        return separated(seen, dialect.delimiter)
    names = dialect.delimiter.replace("\t", "<tab>").join(dialect.header)
    return f"{counted(len(fields))} where {names} is due", MEND


def bad_id(field: str) -> str | None:
    """What is wrong with an id; None where nothing is."""
    if not field:
        return "is empty"
    return "has a blank or a control character in it" if re.search(r"[\x00-\x20]", field) else None


def _bad_rating(field: str) -> str | None:
    try:
        stars = float(field)
    except ValueError:
        return "is not a number"
    fits = math.isfinite(stars) and 0 <= stars <= MAX_RATING
    return None if fits else f"is not between 0 and {MAX_RATING}"


def _bad_timestamp(field: str) -> str | None:
    if not re.fullmatch(r"\s*-?\d{1,19}\s*", field) or abs(int(field)) >= 2**63:
        return "is not a whole number of seconds"
    return None


_CHECKS: Final[tuple[tuple[str, Callable[[str], str | None]], ...]] = (
    ("userId", bad_id),
    ("movieId", bad_id),
    ("rating", _bad_rating),
    ("timestamp", _bad_timestamp),
)
