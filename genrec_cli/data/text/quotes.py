"""Where lines of quoted CSV end: at line ends outside of quotes."""

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

QUOTE: Final = b'"'


def last_line_end(data: bytes, delimiter: bytes) -> int:
    r"""Give the place behind the last line end of `data` that is not inside a quoted field.

    Args:
        data: CSV that begins outside of quotes.
        delimiter: between the fields.

    Returns:
        The length of what can be cut off; 0 where no line ends.

    >>> last_line_end(b'1,a\n2,"b\nc', b",")
    4
    """
    places = np.flatnonzero(np.frombuffer(data, np.uint8) == QUOTE[0])
    if _opens_by_parity(data, places, delimiter):
        starts, ends = places[::2], places[1::2]
        if len(ends) < len(starts):
            ends = np.append(ends, len(data))
    else:
        starts, ends = _scanned(data, delimiter)
    end = data.rfind(b"\n") + 1
    while end:
        before = int(np.searchsorted(starts, end))
        if before == 0 or ends[before - 1] < end:
            return end
        end = data.rfind(b"\n", 0, int(starts[before - 1])) + 1
    return 0


def _opens_by_parity(data: bytes, places: NDArray[np.intp], delimiter: bytes) -> bool:
    """Whether every other quote stands where a field begins (or doubles the quote before it).

    Then no quote stands inside an unquoted field, as in `5" nail`, and counting them is exact.
    """
    before = np.frombuffer(b"\n" + data, np.uint8)[places[::2]]
    return bool(np.isin(before, np.frombuffer(delimiter[-1:] + b'\r\n"', np.uint8)).all())


def _scanned(data: bytes, delimiter: bytes) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First and last places of the quoted fields, field by field; an open one goes to the end."""
    opening = rb"(?:\A|(?<=[\r\n" + re.escape(delimiter[-1:]) + rb']))"'
    field = re.compile(opening + rb'[^"]*+(?:""[^"]*+)*+(?:"|\Z)')
    spans = [match.span() for match in field.finditer(data)]
    both = np.array(spans, dtype=np.intp).reshape(-1, 2)
    # A field that runs to the end may go on behind it, even where a quote seems to close it.
    return both[:, 0], np.where(both[:, 1] == len(data), len(data), both[:, 1] - 1)
