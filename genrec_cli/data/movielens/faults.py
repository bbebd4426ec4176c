"""Why a ratings file cannot be read: the slow look, line by line, that names the first bad one."""

import csv
import math
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from genrec_cli.core.errors import DataError
from genrec_cli.data.movielens.layouts import Layout

MAX_RATING: Final = 5  # stars

# The fields in the order of every layout, under the names of the CSV header.
FIELDS: Final = ("userId", "movieId", "rating", "timestamp")

_SEPARATORS: Final = ("::", "\t", ",", ";", "|", ":")
_SHOWN = 60  # characters of an offending line

MEND: Final = "mend or delete that line, or download the data again"


def shown(text: str) -> str:
    """An offending line, quoted and shortened."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def named(separator: str) -> str:
    """A separator as people call it."""
    return "a tab" if separator == "\t" else repr(separator)


def explain(lines: Iterable[bytes], path: Path, layout: Layout, fault: str) -> DataError:
    """Find the first line that is no rating and say what is wrong with it.

    Args:
        lines: the file, from its start.
        path: what to call the file.
        layout: how its lines should look.
        fault: what the fast reader complained of, for want of anything better.
    """
    order: Mapping[str, int] | None = None if layout.separator == "," else _plain_order()
    rows = 0
    for number, raw in enumerate(lines, 1):
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            return not_text(f"{path}:{number}", error, "utf-8")
        if not text:
            continue
        problem: tuple[str, str] | None
        if order is None:
            order, problem = _header(text)
        else:
            problem, rows = _row(text, layout.separator, order), rows + 1
        if problem:
            return DataError(f"{path}:{number}: {problem[0]}: {shown(text)}", problem[1])
    if rows == 0:
        return DataError(f"{path}: no ratings in it", "download the data again")
    return DataError(f"{path}: cannot be read: {fault}", "download the data again")


def not_text(where: str, error: UnicodeDecodeError, encoding: str) -> DataError:
    """The error for bytes that are not in the encoding that is due."""
    byte = error.object[error.start]
    return DataError(
        f"{where}: byte 0x{byte:02x} is not {encoding.removesuffix('-sig').upper()} text",
        "save the file as UTF-8, or download the data again",
    )


def wrong_separator(text: str, expected: str, count: int) -> str | None:
    """The separator that cuts `text` into `count` fields or more, where it is not `expected`."""
    others = (other for other in _SEPARATORS if other != expected)
    return next((other for other in others if len(text.split(other)) >= count), None)


def split_quoted(text: str) -> list[str] | None:
    """The fields of one line of CSV; None where its quotes are not closed or misplaced."""
    try:
        return next(csv.reader([text], strict=True))
    except csv.Error:
        return None


def _plain_order() -> dict[str, int]:
    return {name: position for position, name in enumerate(FIELDS)}


def _header(text: str) -> tuple[dict[str, int], tuple[str, str] | None]:
    names = split_quoted(text) or []
    missing = [name for name in FIELDS if name not in names]
    order = {name: position for position, name in enumerate(names)}
    if not missing:
        return order, None
    seen = wrong_separator(text, ",", len(FIELDS))
    if seen:
        return order, _separated(seen, ",")
    due = ",".join(FIELDS)
    return order, (f"the header has no {', '.join(missing)}", f"let the first line be {due}")


def _separated(seen: str, expected: str) -> tuple[str, str]:
    return (
        f"separated by {named(seen)} where {named(expected)} is due",
        f"write {named(expected)} between the fields",
    )


def _row(text: str, separator: str, order: Mapping[str, int]) -> tuple[str, str] | None:
    """What is wrong with a line of ratings, and the fix; None where nothing is."""
    fields = split_quoted(text) if separator == "," else text.split(separator)
    if fields is None:
        return "a quote is not closed, or stands inside a field", MEND
    if len(fields) != len(order):
        seen = wrong_separator(text, separator, len(order)) if len(fields) == 1 else None
        if seen:
            return _separated(seen, separator)
        due = separator.replace("\t", "<tab>").join(order)
        return f"{_counted(len(fields))} where {due} is due", MEND
    for name, check in _CHECKS:
        fault = check(fields[order[name]])
        if fault:
            return f"{name} {shown(fields[order[name]])} {fault}", MEND
    return None


def _counted(fields: int) -> str:
    return "1 field" if fields == 1 else f"{fields} fields"


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
