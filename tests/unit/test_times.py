"""How times are read: the unit is decided once, and later values must keep to it."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec_cli.data.text import TimeForm, Unfit, decide
from genrec_cli.data.text.faults import first_fault
from genrec_cli.data.text.times import read_times


def column(values: list[Any], kind: Any = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


@pytest.mark.parametrize(
    ("values", "form"),
    [
        (["1", "2"], TimeForm("order")),
        (["99999999"], TimeForm("order")),
        (["100000000"], TimeForm("s")),
        (["1", "964982703"], TimeForm("s")),
        ([" +964982703.5 "], TimeForm("s")),
        (["99999999999"], TimeForm("s")),
        (["100000000000"], TimeForm("ms")),
        (["1600000000000000"], TimeForm("us")),
        (["1600000000000000000"], TimeForm("ns")),
        (["99999999999999999999", "1600000000"], TimeForm("s")),  # what overflows decides nothing
        (["x", "", "1600000000"], TimeForm("s")),
        ([], TimeForm("order")),
        (["", "2023-01-31"], TimeForm("s", dates=True)),
        (["2023-01-31T10:00:00Z"], TimeForm("s", dates=True)),
        (["2023-01-31", "2023-01-31 10:00:00.5"], TimeForm("ms", dates=True)),
        (["2023-01-31 10:00:00.1234+02:00"], TimeForm("us", dates=True)),
        (["2023-01-31 10:00:00.1234567"], TimeForm("ns", dates=True)),
    ],
)
def test_the_form_is_decided_on_the_first_values(values: list[str], form: TimeForm) -> None:
    assert decide(column(values, pa.string())) == form


@pytest.mark.parametrize(
    ("values", "kind", "form"),
    [
        ([5, None], pa.int32(), TimeForm("order")),
        ([1600000000], pa.uint64(), TimeForm("s")),
        ([1.6e12, float("nan")], pa.float64(), TimeForm("ms")),
        ([Decimal("1600000000.5")], pa.decimal128(12, 1), TimeForm("s")),
        ([0], pa.timestamp("us", "Europe/Berlin"), TimeForm("us", dates=True)),
        ([date(2023, 1, 31)], pa.date32(), TimeForm("s", dates=True)),
        (["2023-01-31"], pa.large_string(), TimeForm("s", dates=True)),
        ([], pa.int64(), TimeForm("order")),
    ],
)
def test_the_form_of_typed_columns(values: list[Any], kind: Any, form: TimeForm) -> None:
    assert decide(column(values, kind)) == form


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("964982703", 964982703),
        ("964982703.0", 964982703),
        (" +964982703.", 964982703),
        ("964982703.999", 964982703),
        ("9.64982703e8", 964982703),
    ],
)
def test_numbers_become_whole(text: str, number: int) -> None:
    assert read_times(column([text]), TimeForm("s")).to_pylist() == [number]


def test_nanoseconds_keep_every_digit() -> None:
    texts = ["1600000000123456789", "1600000000123456789.0"]
    assert read_times(column(texts), TimeForm("ns")).to_pylist() == [1600000000123456789] * 2


@pytest.mark.parametrize(
    "text",
    [
        "2023-01-31T08:00:00",
        "2023-01-31 08:00:00",
        "2023-01-31 08:00",
        "2023-01-31T08",
        "2023-01-31T08:00:00Z",
        "2023-01-31T08:00:00z",
        "2023-01-31 08:00:00 UTC",
        " 2023-01-31T08:00:00Z ",
        "2023-01-31T10:00:00+02:00",
        "2023-01-31T10:00:00+0200",
        "2023-01-31T10:00:00+02",
        "2023-01-31 03:00:00-05:00",
        "2023-01-31T08:00:00.000",
    ],
)
def test_dates_are_utc_unless_they_say_otherwise(text: str) -> None:
    due = int(datetime(2023, 1, 31, 8, tzinfo=UTC).timestamp() * 1000)
    form = TimeForm("ms", dates=True)
    assert read_times(column([text]), form).to_pylist() == [due]
    day = due - 8 * 3600 * 1000
    assert read_times(column([text, "2023-01-31"]), form).to_pylist() == [due, day]


@given(st.lists(st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)), min_size=1), st.data())
def test_every_datetime_of_python_comes_back(moments: list[datetime], data: st.DataObject) -> None:
    zones = data.draw(
        st.lists(
            st.sampled_from(
                [None, UTC, *(timezone(timedelta(hours=hours)) for hours in (-9, 2, 5.5))]
            ),
            min_size=len(moments),
            max_size=len(moments),
        )
    )
    aware = [moment.replace(tzinfo=zone) for moment, zone in zip(moments, zones, strict=True)]
    read = read_times(column([one.isoformat() for one in aware]), TimeForm("us", dates=True))
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    due = [(m if m.tzinfo else m.replace(tzinfo=UTC)) - epoch for m in aware]
    assert read.to_pylist() == [one // timedelta(microseconds=1) for one in due]


@pytest.mark.parametrize(
    ("value", "form", "why"),
    [
        ("", TimeForm("s"), "is empty"),
        ("  ", TimeForm("s"), "is empty"),
        ("nan", TimeForm("s"), "is no number, and no date such as 2023-01-31"),
        ("1_000", TimeForm("order"), "is no number, and no date"),
        ("1e400", TimeForm("order"), "is no finite number"),
        ("9223372036854775808", TimeForm("ns"), "is beyond 64 bits"),
        ("-1", TimeForm("s"), "is before 1970"),
        ("1600000000", TimeForm("ms"), "is too small for Unix milliseconds"),
        ("1600000000000", TimeForm("s"), "is too large for Unix seconds"),
        ("1600000000", TimeForm("order"), "is too large for an order"),
        ("2023-01-31", TimeForm("s"), "is a date, where the first times are numbers"),
        ("1600000000", TimeForm("s", dates=True), "is no date, as the first times are"),
        ("", TimeForm("s", dates=True), "is empty"),
        ("2023-02-30", TimeForm("s", dates=True), "is no date that exists"),
        ("2023-01-31T25:00:00", TimeForm("s", dates=True), "is no date that exists"),
        ("1969-12-31", TimeForm("s", dates=True), "is before 1970"),
        ("2023-01-31T10:00:00.5", TimeForm("s", dates=True), "has finer fractions of a second"),
    ],
)
def test_what_does_not_fit_is_found_among_what_does(value: str, form: TimeForm, why: str) -> None:
    sound = "2023-01-31" if form.dates else GOOD[form.unit]
    times = column([sound] * 5 + [value] + [sound] * 3 + [value])
    fault = first_fault({"time": times}, form)
    assert fault is not None
    assert fault.row == 5
    assert fault.why.startswith(why)


GOOD = {"order": "7", "s": "1600000000", "ms": "1600000000000", "ns": "1600000000000000000"}


def test_missing_times_and_wide_integers_do_not_fit() -> None:
    with pytest.raises(Unfit, match="is missing"):
        read_times(column([1, None]), TimeForm("order"))
    with pytest.raises(Unfit, match="is beyond 64 bits"):
        read_times(column([2**63], pa.uint64()), TimeForm("ns"))
