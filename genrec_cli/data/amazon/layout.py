"""How a log is written, told by the names of its files and its first line."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

from genrec_cli.core.errors import DataError
from genrec_cli.data.amazon.editions import EDITIONS, Edition
from genrec_cli.data.amazon.lines import first_line, shown
from genrec_cli.data.amazon.literals import parse
from genrec_cli.data.amazon.names import LogName
from genrec_cli.data.text.faults import split_quoted

# An ASIN begins with a digit (a book's) or "B"; nearly every user's id of 2014 and 2018 with "A".
_USER: Final = re.compile(r"A[0-9A-Z]{9,}")
_ITEM: Final = re.compile(r"[0-9B][0-9A-Z]{9}")


@dataclass(frozen=True)
class Layout:
    """How a log is written.

    Attributes:
        edition: which one, and with it the keys.
        form: "csv", "json" (one object a line) or "literal" (one Python dictionary a line).
        columns: keys of all columns of a CSV, in order; else empty.
        has_header: whether the first line of a CSV says so itself.
    """

    edition: Edition
    form: Literal["csv", "json", "literal"]
    columns: tuple[str, ...] = ()
    has_header: bool = False


def recognise(name: LogName) -> Layout:
    """Tell the layout of a file by its name and its first line.

    Raises:
        DataError: the line is neither JSON nor a Python dictionary, or a key is missing.
    """
    number, line = first_line(name.path)
    where = f"{name.path}:{number}"
    return (_of_csv if name.form == "csv" else _of_lines)(name, line, where)


def _of_csv(name: LogName, line: bytes, where: str) -> Layout:
    fields = tuple(split_quoted(line.decode(errors="replace")) or [])
    edition = EDITIONS[2023]
    if name.part or edition.user in fields:
        _require(edition, fields, line, where)
        return Layout(edition, "csv", fields, has_header=True)
    edition = EDITIONS[_year_of_row(fields, name.year)]
    # The files look alike, but 2014 wrote the user first and 2018 the item.
    who = (edition.user, edition.item) if edition.year == 2014 else (edition.item, edition.user)
    return Layout(edition, "csv", (*who, edition.rating, edition.time))


def _year_of_row(fields: tuple[str, ...], named: int) -> int:
    first, second = (*fields, "", "")[:2]
    if _USER.fullmatch(first) and _ITEM.fullmatch(second):
        return 2014
    return 2018 if _ITEM.fullmatch(first) and _USER.fullmatch(second) else named


def _of_lines(name: LogName, line: bytes, where: str) -> Layout:
    record = _object(line)
    form: Literal["json", "literal"] = "json"
    if record is None:
        record, form = parse(line), "literal"
    if record is None:
        raise DataError(
            f"{where}: neither JSON nor a Python dictionary of plain values: {shown(line)}",
            "mend or delete that line, or download the data again",
        )
    edition = EDITIONS[_year(name.year, record.keys())]
    _require(edition, record.keys(), line, where)
    return Layout(edition, form)


def _require(edition: Edition, keys: Collection[str], line: bytes, where: str) -> None:
    missing = [key for key in (edition.user, edition.item, edition.time) if key not in keys]
    if missing:
        raise DataError(
            f"{where}: no {', '.join(missing)} in it, as reviews of {edition.year} have: "
            f"{shown(line)}",
            "pass a file as published, or read one of your own with `genrec prepare table`",
        )


def _object(line: bytes) -> dict[str, object] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _year(named: int, keys: Collection[str]) -> int:
    """The edition of a review: each has a key that no other has."""
    telling = {"parent_asin": 2023, "verified": 2018, "helpful": 2014}
    return next((year for key, year in telling.items() if key in keys), named)


def is_literal(line: bytes) -> bool:
    """Whether a line is a Python dictionary and no JSON."""
    return _object(line) is None and parse(line, ()) is not None
