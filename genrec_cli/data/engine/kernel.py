"""The plan that every engine follows, from a raw log to the rows of a dataset."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from genrec_cli.core.errors import DataError
from genrec_cli.core.progress import Progress
from genrec_cli.core.schema import ITEMS
from genrec_cli.core.settings import PrepareSettings
from genrec_cli.data.catalog import Catalog, make_catalog
from genrec_cli.data.engine.finishing import Finish, Finished
from genrec_cli.data.engine.funnel import Funnel, Stage
from genrec_cli.data.engine.grouping import Window
from genrec_cli.data.engine.keeping import Census, Keep, census
from genrec_cli.data.engine.numbering import Numbering
from genrec_cli.data.engine.ordering import Heads, Order
from genrec_cli.data.engine.tally import Bins, Tally, add_up
from genrec_cli.data.engine.times import event_times, find_cut, make_window
from genrec_cli.data.ids import hash_ids, natural_order
from genrec_cli.data.rawlog import RawLog
from genrec_cli.data.split import Cut

T = TypeVar("T")

# A target needs a history before it; leave-one-out holds out two.
SHORTEST = {"leave-one-out": 3, "global-time": 2}


class Engine(Protocol):
    """Where partitions lie and who works on them."""

    def ingest(self, log: RawLog, window: Window, progress: Progress) -> Numbering:
        """Read and group the whole log."""

    def order(self, rule: Order, progress: Progress) -> Heads:
        """Make sorted partitions of what was read."""

    def map(self, function: Callable[..., T], *shared: Any, columns: list[str]) -> Iterator[T]:
        """Call `function(partition, *shared)` on those columns of every partition, in order."""

    def finish(self, how: Finish, target: Path, progress: Progress) -> Iterator[Finished]:
        """Finish every partition, in order, and write their sequences to `target`."""


@dataclass(frozen=True)
class Made:
    """What became of a log, beside the sequences on the disk.

    Attributes:
        catalog: the items, with the counts of the training part.
        funnel: rows, users and items after each step.
        tally: for the audit.
        digests: section -> digest of its rows.
        cut: of a global-time split.
        bins: of time, as in the tally.
    """

    catalog: Catalog
    funnel: list[Stage]
    tally: Tally
    digests: dict[int, bytes]
    cut: Cut | None
    bins: Bins


def make(
    log: RawLog, settings: PrepareSettings, engine: Engine, target: Path, progress: Progress
) -> Made:
    """Turn a raw log into sequences.

    Args:
        log: what to read.
        settings: filters, split and tie rule.
        engine: who does the work.
        target: the sequences file or folder to write.
        progress: where to report.

    Raises:
        DataError: the log is broken, or nothing of it is left.
        UsageError: dates or a global-time split are asked of a log without dates.
    """
    window = make_window(settings, log.time_unit)
    book = engine.ingest(log, window, progress)
    book.name(log.items)
    ids = list(book.codes)
    hashes = hash_ids(ids if settings.ties == "hash" else [], settings.seed)
    heads = engine.order(Order(settings.ties, settings.seed, settings.repeats, hashes), progress)
    funnel = Funnel(settings)
    funnel.ingested(book.seen, heads)

    keep, counted = _keep(engine, settings, book, funnel)
    numbers, order = _numbers(ids, counted.items > 0)
    bins = Bins.over(*book.span) if book.span else Bins(0, 0)
    cut = None
    if settings.split == "global-time":
        times = engine.map(event_times, keep, bins, columns=[ITEMS, "timestamps"])
        cut = find_cut(sum(times, start=np.zeros(1, dtype=np.int64)), bins)
    how = Finish(keep, numbers, len(order), cut, bins)
    tallies: list[Tally] = []
    digests: dict[int, bytes] = {}
    for done in engine.finish(how, target, progress):
        tallies.append(done.tally)
        digests |= done.digests
    whole = add_up(tallies)
    if not whole.tests:
        raise DataError("no user has both a history and an event in the test period")
    catalog = make_catalog([ids[code] for code in order], order, book, whole.train)
    return Made(catalog, funnel.stages, whole, digests, cut, bins)


def _keep(
    engine: Engine, settings: PrepareSettings, book: Numbering, funnel: Funnel
) -> tuple[Keep, Census]:
    """Find what stays, and count it."""

    def count(keep: Keep) -> Census:
        counts = engine.map(census, keep, columns=[ITEMS])
        return sum(counts, start=Census(0, 0, np.zeros(len(book.codes), dtype=np.int64)))

    live = book.seen[2, : len(book.codes)] > 0
    if settings.require_title:
        live &= np.isin(np.arange(len(live)), list(book.titles))
        funnel.titled(count(Keep(live, 1)))
    keep = Keep(live, max(settings.min_user, SHORTEST[settings.split]))
    counted = count(keep)
    # Rounds of a k-core: users with too few events fall with the items that have too few, and the
    # other way round, until nothing does.
    while (fewer := counted.items >= settings.min_item).sum() < keep.live.sum():
        keep = Keep(fewer, keep.min_user)
        counted = count(keep)
    funnel.core(counted, keep.min_user, settings.min_item)
    if settings.max_history is not None:
        keep = Keep(keep.live, keep.min_user, settings.max_history)
        counted = count(keep)
        funnel.cut(counted, settings.max_history)
    return keep, counted


def _numbers(ids: list[str], there: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Each code's number in the catalog, and the codes in the catalog's order."""
    codes = np.flatnonzero(there)
    order = codes[natural_order([ids[code] for code in codes])]
    numbers = np.full(len(ids), -1, dtype=np.int32)
    numbers[order] = np.arange(len(order), dtype=np.int32)
    return numbers, order
