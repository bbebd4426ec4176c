"""Whose history it is: systems are asked with histories alone, and some models know users by id."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import NOWHERE

_Items = NDArray[np.int32]
_SEVERAL = -1  # users who cannot be told apart by such a history


class KnownUsers:
    """Finds users of a dataset by what they have touched.

    A history is known if it is all that its user has in the dataset, or all before one of her held
    -out items. Users with the same history are not told apart.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._rows: dict[bytes, int] = {}
        for row, known in _known(dataset):
            key = _key(known)
            self._rows[key] = row if self._rows.get(key, row) == row else _SEVERAL

    def rows(self, histories: Sequence[_Items]) -> list[int | None]:
        """The row of each history's user; None: of nobody, or of several."""
        found = (self._rows.get(_key(history), _SEVERAL) for history in histories)
        return [None if row == _SEVERAL else row for row in found]


def _known(dataset: Dataset) -> Iterator[tuple[int, _Items]]:
    """Every user's histories as they are asked with."""
    starts, ends = dataset.offsets[:-1], dataset.offsets[1:]
    held_out = dataset.bounds.validation, dataset.bounds.test
    for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
        places = {int(end), *(int(places[row]) for places in held_out)} - {NOWHERE}
        for place in places:
            yield row, dataset.items[start:place]


def _key(items: _Items) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(items).tobytes(), digest_size=12).digest()
