"""Points in time: the window of the filters, and the cut of a global-time split."""

from datetime import UTC, datetime
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from genrec_cli.core.errors import DataError, UsageError
from genrec_cli.core.settings import PrepareSettings
from genrec_cli.data.engine.grouping import Window
from genrec_cli.data.engine.keeping import Keep, kept
from genrec_cli.data.engine.tally import Bins
from genrec_cli.data.rawlog import PER_SECOND, TimeUnit
from genrec_cli.data.split import Cut

# Shares of the events before the validation and before the test period.
BEFORE_VALIDATION: Final = 0.8
BEFORE_TEST: Final = 0.9


def make_window(settings: PrepareSettings, unit: TimeUnit) -> Window:
    """Which events count.

    Raises:
        UsageError: a date that is none, or a date or a global-time split for a log without dates.
    """
    if settings.split == "global-time" and unit == "order":
        raise UsageError(
            "--split global-time needs dates, and this log only knows the order of events",
            "leave it out, or give a column of dates with --time-column",
        )
    since = _point("--since", settings.since, unit)
    until = _point("--until", settings.until, unit)
    if since is not None and until is not None and since >= until:
        raise UsageError(f"--since {settings.since} is not before --until {settings.until}")
    return Window(settings.min_rating, since, until)


def _point(option: str, text: str | None, unit: TimeUnit) -> int | None:
    if text is None:
        return None
    if text.removeprefix("-").isdecimal() and len(text) != len("2015"):
        return int(text)
    if unit == "order":
        raise UsageError(f"{option} {text}: this log has no dates", "give a whole number")
    try:
        date = datetime.fromisoformat(f"{text}-01-01" if text.isdecimal() else text)
    except ValueError:
        raise UsageError(f"{option} {text} is no date", "as in 2015-03-31, or 2015") from None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return int(date.timestamp()) * PER_SECOND[unit]


def event_times(partition: pa.Table, keep: Keep, bins: Bins) -> NDArray[np.int64]:
    """Events that stay, by bin of time."""
    return bins.count(kept(partition, keep).timestamps)


def find_cut(counts: NDArray[np.int64], bins: Bins) -> Cut:
    """Part a log so that 80 % of its events lie before validation and 90 % before test.

    The points are the starts of bins, so the shares are met to 1/65,536 of the log's span.

    Raises:
        DataError: the log has too few different times.
    """
    before = np.concatenate([[0], np.cumsum(counts)[:-1]])
    shares = before / counts.sum()
    validation, test = (int(np.argmax(shares >= s)) for s in (BEFORE_VALIDATION, BEFORE_TEST))
    if not 0 < validation < test:
        raise DataError(
            "the events have too few different times for --split global-time",
            "use --split leave-one-out",
        )
    return Cut(bins.start(validation), bins.start(test))
