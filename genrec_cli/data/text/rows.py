"""Columns as a source gives them to a table of interactions, with every check on the way."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from genrec_cli.core.schema import INTERACTIONS, TITLED_INTERACTIONS
from genrec_cli.data.text.times import TimeForm, read_times
from genrec_cli.data.text.unfit import Unfit, plain_text

_FIRST_PRINTABLE: Final = 0x21  # below lie blanks, tabs, NUL and line ends

Reader = Callable[[pa.ChunkedArray], pa.ChunkedArray]


def interactions(columns: Mapping[str, pa.ChunkedArray], form: TimeForm) -> pa.Table:
    """Check and convert the columns of a log; `assembled(checked(…))`.

    Raises:
        Unfit: some value cannot be used.
    """
    return assembled(checked(columns, form))


def checked(columns: Mapping[str, pa.ChunkedArray], form: TimeForm) -> dict[str, pa.ChunkedArray]:
    """Check and convert columns.

    Args:
        columns: role ("user", "item", "time", "rating", "title") -> values, as text or in any type
            of Arrow that makes sense for the role.
        form: how times are written.

    Returns:
        Role -> values: ids without blanks around them, int64 times, float32 ratings, titles.

    Raises:
        Unfit: some value cannot be used.
    """
    read = readers(form)
    return {role: read[role](column) for role, column in columns.items()}


def assembled(columns: Mapping[str, pa.ChunkedArray]) -> pa.Table:
    """Checked columns as a table of schema `INTERACTIONS`, or `TITLED_INTERACTIONS` with titles."""
    ratings = columns.get("rating", pa.nulls(len(columns["user"]), pa.float32()))
    arrays = [columns["user"], columns["item"], columns["time"], ratings]
    if "title" in columns:
        return pa.table([*arrays, columns["title"]], schema=TITLED_INTERACTIONS)
    return pa.table(arrays, schema=INTERACTIONS)


def readers(form: TimeForm) -> dict[str, Reader]:
    """Role -> the function that checks and converts its column, or raises `Unfit`."""

    def times(column: pa.ChunkedArray) -> pa.ChunkedArray:
        return read_times(column, form)

    return {
        "user": read_ids,
        "item": read_ids,
        "time": times,
        "rating": read_ratings,
        "title": read_titles,
    }


def read_ids(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Ids as text, without blanks around them.

    Raises:
        Unfit: an id is missing, empty, blank, no text, or has a control character in it.
    """
    if column.null_count:
        raise Unfit("is missing")
    ids = _as_text(column, "is no id (text or a whole number)")
    if is_plain(ids):
        return ids
    ids = pc.utf8_trim_whitespace(ids)
    if pc.min(pc.binary_length(ids)).as_py() == 0:
        raise Unfit("is empty")
    if pc.any(pc.match_substring_regex(ids, r"[\x00-\x1f\x7f]")).as_py():
        raise Unfit("has a control character in it")
    return ids


def is_plain(ids: pa.ChunkedArray) -> bool:
    """Whether no id is empty or has a blank or control character; looks at raw bytes, for speed."""
    if len(ids) == 0:
        return True
    if pc.min(pc.binary_length(ids)).as_py() == 0:
        return False
    texts = [chunk.buffers()[2] for chunk in ids.chunks if len(chunk)]
    return all(np.frombuffer(text, np.uint8).min() >= _FIRST_PRINTABLE for text in texts)


def read_titles(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Titles as text; "" where one is missing.

    Raises:
        Unfit: a title is no text.
    """
    return pc.fill_null(_as_text(column, "is no title (text)"), "")


def read_ratings(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Ratings as float32, null where one is missing.

    Raises:
        Unfit: a rating is no number, or infinite, or not a number (NaN).
    """
    column = plain_text(column)
    if pa.types.is_string(column.type):
        trimmed = pc.utf8_trim_whitespace(column)
        column = pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)
    try:
        ratings = column.cast(pa.float32(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise Unfit("is no number") from error
    # A null counts as fine; so does a column of nothing but nulls.
    if pc.all(pc.is_finite(ratings)).as_py() is False:
        raise Unfit("is no finite number")
    return ratings


def _as_text(column: pa.ChunkedArray, fault: str) -> pa.ChunkedArray:
    column = plain_text(column)
    kind = column.type
    if not (pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise Unfit(fault)
    return column.cast(pa.string())
