"""How a log is written, told by the names of its files and its first line."""

import csv
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

from genrec_cli.core.errors import DataError
from genrec_cli.data.amazon.editions import EDITIONS, Edition
from genrec_cli.data.amazon.literals import parse
from genrec_cli.data.amazon.names import LogName

# An ASIN begins with a digit (a book's) or "B"; nearly every user's id of 2014 and 2018 with "A".
_USER: Final = re.compile(r"A[0-9A-Z]{9,}")
_ITEM: Final = re.compile(r"[0-9B][0-9A-Z]{9}")

_SHOWN: Final = 60


@dataclass(frozen=True)
class Layout:
    """How a log is written.

    Attributes:
        edition: which one, and with it the keys.
        form: "csv", "json" (one object a line) or "literal" (one Python dictionary a line).
        columns: the keys in the order of the columns, of a CSV without a header; else empty.
    """

    edition: Edition
    form: Literal["csv", "json", "literal"]
    columns: tuple[str, ...] = ()


def recognise(name: LogName, number: int, line: bytes) -> Layout:
    """Tell the layout of a log.

    Args:
        name: what its name says.
        number: of its first line that is not blank.
        line: this line.

    Raises:
        DataError: the line is neither JSON nor a Python dictionary, or a header is incomplete.
    """
    where = f"{name.path}:{number}"
    return _of_csv(name, line, where) if name.form == "csv" else _of_lines(name, line, where)


def _of_csv(name: LogName, line: bytes, where: str) -> Layout:
    fields = next(csv.reader([line.decode("utf-8-sig", errors="replace")]), [])
    late = EDITIONS[2023]
    if late.user in fields:
        return Layout(late, "csv")
    if name.part:
        raise DataError(
            f"{where}: no column {late.user} in the header: {_shown(line)}",
            f"let the first line be {late.user},{late.item},{late.rating},{late.time}",
        )
    year = name.year
    # 2014 wrote users first and 2018 items first, in files that look alike but for their names.
    if len(fields) > 1 and _USER.fullmatch(fields[0]) and _ITEM.fullmatch(fields[1]):
        year = 2014
    elif len(fields) > 1 and _ITEM.fullmatch(fields[0]) and _USER.fullmatch(fields[1]):
        year = 2018
    edition = EDITIONS[year]
    who = (edition.user, edition.item) if year == 2014 else (edition.item, edition.user)
    return Layout(edition, "csv", (*who, edition.rating, edition.time))


def _of_lines(name: LogName, line: bytes, where: str) -> Layout:
    record = _object(line)
    form: Literal["json", "literal"] = "json"
    if record is None:
        record, form = parse(line), "literal"
    if record is None:
        raise DataError(
            f"{where}: neither JSON nor a Python dictionary of plain values: {_shown(line)}",
            "mend or delete that line, or download the data again",
        )
    edition = EDITIONS[_year(name.year, record.keys())]
    missing = [key for key in (edition.user, edition.item, edition.time) if key not in record]
    if missing:
        raise DataError(
            f"{where}: no {', '.join(missing)}: {_shown(line)}",
            "pass a file of reviews as published, or read your own with `genrec prepare table`",
        )
    return Layout(edition, form)


def _object(line: bytes) -> dict[str, object] | None:
    try:
        record = json.loads(line.decode("utf-8-sig"))
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


def _shown(line: bytes) -> str:
    text = line.decode("utf-8", errors="replace").rstrip("\r\n")
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
