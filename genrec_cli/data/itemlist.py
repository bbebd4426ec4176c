"""Lists of items in text files, by id or title: what may be recommended, and what may not."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final, NoReturn

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz, process

from genrec_cli.core.errors import DataError
from genrec_cli.data.newcatalog import Offer
from genrec_cli.data.text.faults import shown

_NEAREST: Final = 3
_SIMILAR: Final = 65  # percent; names less like the text are no help
_MUCH: Final = 10

Line = tuple[int, str]  # its number, from 1, and what stands on it


def allowed_items(
    offer: Offer, only: Path | None, without: Path | None
) -> NDArray[np.bool_] | None:
    """Which items may be recommended, [items]; None, if no file says anything: all.

    Args:
        offer: all items.
        only: names those that may be; None: all may.
        without: names those that may not be; None, or an empty file: there are none.

    Raises:
        DataError: a line names no item or two, or no item is left.
    """
    if only is None and without is None:
        return None
    numbers = _Numbers(offer)
    allowed = np.ones(len(offer.item_ids), dtype=bool)
    if only is not None:
        lines = read_lines(only)
        if not lines:
            raise DataError(f"{only}: names no item", "write one item id or title a line")
        allowed[:] = False
        allowed[numbers.of(lines, only)] = True
    if without is not None:
        allowed[numbers.of(read_lines(without), without)] = False
    if not allowed.any():
        raise DataError(
            f"{without}: leaves nothing to recommend from {only or offer.name}",
            "take some of its lines out",
        )
    return allowed


def read_lines(path: Path) -> list[Line]:
    """Lines of a text file that are not blank, without blanks around them.

    Raises:
        DataError: the file is not there, or no UTF-8 text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        reason = f"{path}: cannot be read: {error.strerror}"
        raise DataError(reason, "pass a text file") from None
    except UnicodeDecodeError as error:
        where = f"{path}:{error.object[: error.start].count(10) + 1}"
        raise DataError(
            f"{where}: byte 0x{error.object[error.start]:02x} is not UTF-8 text",
            "save the file as UTF-8",
        ) from None
    return [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]


class _Numbers:
    """Items by id and by title."""

    def __init__(self, offer: Offer) -> None:
        self._offer = offer
        self._by_id = _places(offer.item_ids)
        self._by_title = _places(offer.titles)

    def of(self, lines: Sequence[Line], path: Path) -> list[int]:
        """The number of the item that each line names."""
        unknown = [line for line in lines if not self._named(line[1])]
        if unknown:
            self._refuse(unknown, path)
        return [self._only_one(self._named(text), number, path) for number, text in lines]

    def _named(self, text: str) -> list[int]:
        found = (self._by_id.get(text), self._by_title.get(text))
        return list(dict.fromkeys(item for item in found if item is not None))

    def _refuse(self, unknown: Sequence[Line], path: Path) -> NoReturn:
        (number, text), *others = unknown
        more = f"; {len(others):,} more such lines below" if others else ""
        # Part of a title is enough to be near it, but not part of an id.
        ids, titles = fuzz.ratio, fuzz.WRatio
        near = _nearest(text, self._by_id, ids) + _nearest(text, self._by_title, titles)
        raise DataError(
            f"{path}:{number}: {shown(text)} is neither an item id nor a title of "
            f"{self._offer.name}{more}",
            f"nearest: {'; '.join(dict.fromkeys(near))}" if near else "delete that line",
        )

    def _only_one(self, items: Sequence[int], number: int, path: Path) -> int:
        if len(items) > 1:
            ids, titles = self._offer.item_ids, self._offer.titles
            one, other = items
            raise DataError(
                f"{path}:{number}: {shown(ids[one])} is the id of {shown(titles[one])} and the "
                f"title of item {shown(ids[other])}",
                f"write {titles[one]} or {ids[other]}",
            )
        return items[0]


def _places(names: Sequence[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(names)}


def _nearest(text: str, known: Collection[str], alike: Callable[..., float]) -> list[str]:
    """Similar names, best first, without those that are much less similar than the best."""
    found = process.extract(text, list(known), scorer=alike, score_cutoff=_SIMILAR, limit=_NEAREST)
    return [name for name, score, _ in found if score > found[0][1] - _MUCH]
