"""How a column of times is read: numbers in a unit, or dates by ISO 8601.

The form is decided on the beginning of a log and then required of all of it: a log that changes
from seconds to milliseconds halfway would otherwise be put into a wrong order, silently.
"""

from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from genrec_cli.data.rawlog import TimeUnit
from genrec_cli.data.text.dates import finest_unit, looks_like_date, read_dates
from genrec_cli.data.text.unfit import Unfit, plain_text

# A number belongs to the first unit whose limit it is below: seconds until the year 5138,
# milliseconds from 1973 to 5138, and so on. What is below 1e8 counts events, not time.
_LIMITS: Final[dict[TimeUnit, float]] = {
    "order": 1e8,
    "s": 1e11,
    "ms": 1e14,
    "us": 1e17,
    "ns": 2**63,
}

# What later times must keep to, [low, high). Seconds may start at 0, as simulated ones do; an
# order may go on counting after the first block, but not as far as today's Unix seconds.
_RANGES: Final[dict[TimeUnit, tuple[float, float]]] = {
    "order": (-1e9, 1e9),
    "s": (0, 1e11),
    "ms": (1e11, 1e14),
    "us": (1e14, 1e17),
    "ns": (1e17, 2**63),
}

NAMES: Final[dict[TimeUnit, str]] = {
    "s": "Unix seconds",
    "ms": "Unix milliseconds",
    "us": "Unix microseconds",
    "ns": "Unix nanoseconds",
    "order": "an order",
}

_NUMBER: Final = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
# A whole number, perhaps with a plus and a fraction of zeros: 964982703.0, as pandas writes it.
_WHOLE: Final = r"^\s*\+?(-?\d+)(?:\.0*)?\s*$"

_DATE_AMONG_NUMBERS: Final = "is a date, where the first times are numbers"


@dataclass(frozen=True)
class TimeForm:
    """How the times of a log are written.

    Attributes:
        unit: what the integers that come out count.
        dates: whether they are dates (ISO 8601, or of a type for it) rather than numbers.
    """

    unit: TimeUnit
    dates: bool = False

    def __str__(self) -> str:
        return f"dates, kept as {NAMES[self.unit]}" if self.dates else NAMES[self.unit]


def decide(times: pa.ChunkedArray) -> TimeForm:
    """Decide by the first block of a log how its times are written.

    Text is taken as dates if its first filled value looks like one. The unit of numbers is that
    of the largest: below 1e8 an order, below 1e11 seconds, below 1e14 milliseconds, below 1e17
    microseconds, else nanoseconds. Dates are seconds, or as fine as their finest fraction.
    """
    times = plain_text(times)
    kind = times.type
    if pa.types.is_timestamp(kind):
        return TimeForm(kind.unit, dates=True)
    if pa.types.is_date(kind):
        return TimeForm("s", dates=True)
    if not pa.types.is_string(kind):
        return TimeForm(_unit(times))
    filled = times.filter(pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(times)), 0))
    if len(filled) and looks_like_date(filled[0].as_py()):
        return TimeForm(finest_unit(filled), dates=True)
    return TimeForm(_unit(filled.filter(pc.match_substring_regex(filled, _NUMBER))))


def _unit(numbers: pa.ChunkedArray) -> TimeUnit:
    if pa.types.is_string(numbers.type):
        numbers = pc.utf8_ltrim(pc.utf8_trim_whitespace(numbers), "+")
    if not _is_numeric(numbers.type):
        return "order"
    sizes = pc.abs(numbers.cast(pa.float64(), safe=False))
    largest = pc.max(sizes.filter(pc.less(sizes, 2.0**63))).as_py()
    if largest is None:
        return "order"
    return next((unit for unit, limit in _LIMITS.items() if largest < limit), "ns")


def _is_numeric(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_string(kind)
    )


def read_times(times: pa.ChunkedArray, form: TimeForm) -> pa.ChunkedArray:
    """Read times as int64 in `form.unit`; fractions of numbers are cut off (towards the past).

    Args:
        times: text, numbers, Arrow timestamps or Arrow dates.
        form: what `decide` said.

    Raises:
        Unfit: some time is missing, malformed, before 1970, or not in the unit.
    """
    if times.null_count:
        raise Unfit("is missing")
    numbers = _as_integers(plain_text(times), form)
    span = pc.min_max(numbers).as_py()
    if span["min"] is None:
        return numbers
    _check_range(span["min"], span["max"], form)
    return numbers


def _check_range(least: int, most: int, form: TimeForm) -> None:
    low, high = (0, 2**63) if form.dates else _RANGES[form.unit]
    if least < 0 and low >= 0:
        raise Unfit("is before 1970")
    if least < low or most >= high:
        size = "small" if least < low else "large"
        what = NAMES[form.unit]
        raise Unfit(f"is too {size} for {what}, as which the first times read: units are mixed")


def _as_integers(times: pa.ChunkedArray, form: TimeForm) -> pa.ChunkedArray:
    kind = times.type
    if pa.types.is_string(kind):
        return read_dates(times, form.unit) if form.dates else _from_text(times)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        if not form.dates:
            raise Unfit(_DATE_AMONG_NUMBERS)
        return times.cast(pa.timestamp(form.unit), safe=False).cast(pa.int64())
    if not _is_numeric(kind):
        raise Unfit("is no time")
    if form.dates:
        raise Unfit("is a number, where the first times are dates")
    return _whole(times) if pa.types.is_integer(kind) else _floored(times)


def _whole(times: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return times.cast(pa.int64())
    except pa.ArrowInvalid as error:  # unsigned ones
        raise Unfit("is beyond 64 bits") from error


def _floored(times: pa.ChunkedArray) -> pa.ChunkedArray:
    numbers = pc.floor(times.cast(pa.float64(), safe=False))
    if not pc.all(pc.is_finite(numbers)).as_py():
        raise Unfit("is no finite number")
    if pc.any(pc.greater_equal(pc.abs(numbers), 2.0**63)).as_py():
        raise Unfit("is beyond 64 bits")
    return numbers.cast(pa.int64())


def _from_text(times: pa.ChunkedArray) -> pa.ChunkedArray:
    whole = pc.replace_substring_regex(times, _WHOLE, r"\1")
    try:
        return whole.cast(pa.int64())
    except pa.ArrowInvalid:
        pass  # not whole, not a number, or too large
    odd = whole.filter(pc.invert(pc.match_substring_regex(whole, _NUMBER)))
    if len(odd):
        raise Unfit(_why_no_number(odd[0].as_py()))
    return _floored(pc.utf8_ltrim(pc.utf8_trim_whitespace(whole), "+").cast(pa.float64()))


def _why_no_number(text: str) -> str:
    if not text.strip():
        return "is empty"
    if looks_like_date(text):
        return _DATE_AMONG_NUMBERS
    return "is no number, and no date such as 2023-01-31 or 2023-01-31T10:00:00"
