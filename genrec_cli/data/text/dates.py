"""Dates and times of day as text, by ISO 8601."""

import re
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from genrec_cli.data.rawlog import TimeUnit
from genrec_cli.data.text.unfit import Unfit

_DATE: Final = re.compile(r"\s*[+-]?\d{4,}-\d{2}")
# A zone stands behind a time of day. "UTC" is what BigQuery and Last.fm dumps write.
_UTC: Final = r" ?(?:UTC|GMT|z)$"
_ZONE: Final = r"[T ]\d\d[0-9:.]*(?:Z|[+-]\d\d(?::?\d\d)?)$"
_DAY_ONLY: Final = r"^\d{4}-\d\d-\d\d$"

_DIGITS: Final[dict[int, TimeUnit]] = {0: "s", 3: "ms", 6: "us", 9: "ns"}


def looks_like_date(text: str) -> bool:
    """Whether `text` begins as an ISO date does.

    >>> looks_like_date("2023-02-30"), looks_like_date("964982703")
    (True, False)
    """
    return _DATE.match(text) is not None


def finest_unit(dates: pa.ChunkedArray) -> TimeUnit:
    """The coarsest unit that keeps all fractions of a second: s, ms, us or ns."""
    fractions = pc.extract_regex(dates, r"[T ][0-9:]+(?P<fraction>\.\d+)")
    digits = pc.max(pc.utf8_length(pc.struct_field(fractions, "fraction"))).as_py()
    longest = 0 if digits is None else digits - 1
    return next((unit for most, unit in _DIGITS.items() if longest <= most), "ns")


def read_dates(dates: pa.ChunkedArray, unit: TimeUnit) -> pa.ChunkedArray:
    """Read dates, and dates with a time of day, as int64 `unit` since 1970, UTC.

    Where there is no zone, it is UTC. `2023-01-31`, `2023-01-31 10:00`, `2023-01-31T10:00:00.25Z`
    and `2023-01-31 10:00:00+02:00` are read, and may stand side by side.

    Raises:
        Unfit: some text is no date, no date that exists, or finer than `unit`.
    """
    try:
        return dates.cast(pa.timestamp(unit)).cast(pa.int64())
    except pa.ArrowInvalid:
        pass  # zones, blanks around, or faults
    trimmed = pc.replace_substring_regex(pc.utf8_trim_whitespace(dates), _UTC, "Z")
    has_zone = pc.match_substring_regex(trimmed, _ZONE)
    day_only = pc.match_substring_regex(trimmed, _DAY_ONLY)
    ending = pc.if_else(has_zone, "", pc.if_else(day_only, "T00Z", "Z"))
    zoned = pc.binary_join_element_wise(trimmed, ending, "")
    try:
        return zoned.cast(pa.timestamp(unit, "UTC")).cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise Unfit(_why(zoned, unit)) from error


def _why(zoned: pa.ChunkedArray, unit: TimeUnit) -> str:
    try:
        zoned.cast(pa.timestamp("ns", "UTC"))
    except pa.ArrowInvalid:
        pass
    else:
        return f"has finer fractions of a second than the first times, which are kept in {unit}"
    if len(zoned) == 1 and zoned[0].as_py() == "Z":
        return "is empty"
    if len(zoned) == 1 and not looks_like_date(zoned[0].as_py()):
        return "is no date, as the first times are"
    return "is no date that exists, written as 2023-01-31 or 2023-01-31T10:00:00"
