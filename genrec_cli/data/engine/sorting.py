"""Sorting whole numbers by digits, several times faster than comparing them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_DIGIT = 16  # bits; numpy sorts 16-bit numbers by counting when asked for a stable sort


def stable_order(words: NDArray[Any]) -> NDArray[np.int64]:
    """Places that sort words, equal ones in the order they have.

    Args:
        words: int64 or uint64, none negative.
    """
    bits = int(words.max(initial=0)).bit_length()
    order = np.argsort(words.astype(np.uint16), kind="stable")
    for shift in range(_DIGIT, bits, _DIGIT):
        digits = (words >> words.dtype.type(shift)).astype(np.uint16)
        order = order[np.argsort(digits[order], kind="stable")]
    return order
