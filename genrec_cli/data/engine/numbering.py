"""Codes for a log's items, and what is known of each; the same whatever the stretches are."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from genrec_cli.core.schema import ITEM_ID, ITEMS, RAW_TITLE
from genrec_cli.data.engine.grouping import Summary
from genrec_cli.data.engine.tables import RUN, lengths_of, lists, numbers


@dataclass
class Numbering:
    """Gives every item of a log a code, in order of appearance.

    Attributes:
        codes: item id -> code.
        seen: int64, [3, codes]; see `Summary.seen`.
        span: earliest and latest time so far.
        titles: code -> title, of those that the log itself names.
        retitled: codes for which the log has more than one title.
    """

    codes: dict[str, int] = field(default_factory=dict)
    seen: NDArray[np.int64] = field(default_factory=lambda: np.zeros((3, 0), dtype=np.int64))
    span: tuple[int, int] | None = None
    titles: dict[int, str] = field(default_factory=dict)
    retitled: set[int] = field(default_factory=set)

    def add(self, summary: Summary) -> NDArray[np.int32]:
        """Take in a stretch; returns the code of each of its items, [summary's items]."""
        known = self.codes
        ids = summary.item_ids.to_pylist()
        codes = np.array([known.setdefault(i, len(known)) for i in ids], dtype=np.int32)
        if len(known) > self.seen.shape[1]:
            grown = np.zeros((3, max(len(known), 2 * self.seen.shape[1])), dtype=np.int64)
            grown[:, : self.seen.shape[1]] = self.seen
            self.seen = grown
        self.seen[:, codes] += summary.seen
        if summary.span is not None:
            first, last = self.span or summary.span
            self.span = (min(first, summary.span[0]), max(last, summary.span[1]))
        for place, title in summary.titles:
            self._entitle(int(codes[place]), title)
        return codes

    def name(self, items: pa.Table) -> None:
        """Take titles from a table of schema `RAW_ITEMS`; they count more than the log's own."""
        here = items.filter(pc.is_in(items[ITEM_ID], pa.array(self.codes, pa.string())))
        named = Numbering(codes=self.codes)
        for item_id, title in zip(
            here[ITEM_ID].to_pylist(), here[RAW_TITLE].to_pylist(), strict=True
        ):
            named._entitle(self.codes[item_id], title)
        self.titles |= named.titles
        self.retitled = (self.retitled - named.titles.keys()) | named.retitled

    def _entitle(self, code: int, title: str) -> None:
        """Of several titles the first in the alphabet counts: a rule without an order of rows."""
        if not title.strip():
            return
        known = self.titles.setdefault(code, title)
        if known != title:
            self.titles[code] = min(known, title)
            self.retitled.add(code)


def renumber(run: pa.Table, codes: NDArray[np.int32]) -> pa.Table:
    """A run with items by code instead of by place in its summary."""
    kind = RUN.field(ITEMS)
    items = lists(lengths_of(run), codes[numbers(run, ITEMS)], kind.type)
    return run.set_column(RUN.get_field_index(ITEMS), kind, items)
