"""Make a log of ML-25M's shape, of any size, for `prepare.py` and for trying things out.

    python benchmarks/biglog.py FOLDER [--rows 25000095] [--shuffle] [--seed 1]

FOLDER gets a `ratings.csv` and a `movies.csv` that `genrec prepare movielens --source FOLDER`
reads. As in the real ML-25M: users rate an item once, 20 items or more, 71 in the median and 154
in the mean; a few items have most of the ratings and half of the items fewer than five; some 30 %
of the ratings share user and second with another; rows are sorted by user, then movie, so that the
times within a user are in no order. `--shuffle` writes the rows in random order instead.

Users grow with the rows, items with their square root and to 62,423 at most. Everything is drawn
and written a few million rows at a time: 250 M rows (6.6 GB) need under 1 GB of memory, and with
`--shuffle` 4 GB of scratch beside the log.
"""

import argparse
import csv
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

ROWS, USERS, ITEMS, LARGEST_ID = 25_000_095, 162_541, 62_423, 209_171  # ML-25M
FIRST_SECOND, LAST_SECOND = 789_652_009, 1_574_327_703
CHUNK = 2_000_000  # rows drawn, shuffled or written at once

# Weight of the item at a popularity rank; log-log straight lines lie between. Since nobody rates an
# item twice, the head ends up with less than its weight and the tail with more: half of the items
# get five ratings or more.
RANKS = (1, 100, 600, 3_800, 10_300, 32_700, 48_000, 59_000, ITEMS)
WEIGHTS = (95_000, 26_000, 7_000, 500, 30, 0.7, 0.15, 0.05, 0.01)

LENGTH_SHORTEST, LENGTH_MEDIAN, LENGTH_SPREAD = 20, 71, 1.39
STARS = ("0.5", "1.0", "1.5", "2.0", "2.5", "3.0", "3.5", "4.0", "4.5", "5.0")
STAR_SHARES = (0.016, 0.031, 0.016, 0.066, 0.050, 0.196, 0.127, 0.266, 0.088, 0.144)
SAME_SECOND = 0.16  # of the ratings take over the time of the one before

# A draw that repeats one of the user's items is drawn anew, after a few rounds from ever flatter
# popularities: somebody who has rated 20,000 items has left few popular ones over.
FLATTER = (1.0,) * 8 + (0.9, 0.8, 0.6, 0.4, 0.2, 0.0)

Rows = NDArray[np.int32]  # [rows, 4]: user, item, index of the rating, second


def make_log(folder: Path, rows: int = ROWS, *, shuffle: bool = False, seed: int = 1) -> None:
    """Write `movies.csv`, then `ratings.csv` under a name of its own until it is whole."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    items = min(ITEMS, max(100, round(ITEMS * (rows / ROWS) ** 0.5)))
    item_ids = np.sort(rng.choice(LARGEST_ID, items, replace=False)).astype(np.int32) + 1
    _write_movies(folder / "movies.csv", item_ids, rng)
    partial = folder / "ratings.csv.partial"
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        chunks = _draw(rows, items, rng)
        _write_ratings(
            partial, _shuffled(chunks, rows, scratch, rng) if shuffle else chunks, item_ids
        )
    partial.replace(folder / "ratings.csv")


def _draw(rows: int, items: int, rng: np.random.Generator) -> Iterator[Rows]:
    """All ratings, sorted by user and item, whole users at a time."""
    lengths = _lengths(rows, items, rng)
    popularity = _popularity(items, rng)
    cumulated = [np.cumsum(popularity**power) for power in FLATTER]
    ends = np.cumsum(lengths)
    cuts = [*np.searchsorted(ends, np.arange(CHUNK, rows, CHUNK)), len(lengths)]
    first = 0
    for cut in cuts:
        users = lengths[first:cut]
        owner, item = _items(users, cumulated, rng)
        star = rng.choice(len(STARS), len(owner), p=STAR_SHARES)
        yield np.column_stack([owner + first + 1, item, star, _seconds(users, rng)]).astype(
            np.int32
        )
        first = cut


def _lengths(rows: int, items: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Ratings of each user; they add up to `rows`."""
    users = max(1, round(USERS * rows / ROWS))
    beyond = rng.lognormal(np.log(LENGTH_MEDIAN - LENGTH_SHORTEST), LENGTH_SPREAD, users)
    for _ in range(20):  # what nobody can rate goes to the others, until little is left to go
        beyond = np.minimum(beyond, items / 2)
        beyond *= (rows - LENGTH_SHORTEST * users) / beyond.sum()
    # Rounding the running sum keeps the total.
    ends: NDArray[np.int64] = np.rint(np.cumsum(beyond)).astype(np.int64)
    lengths: NDArray[np.int64] = LENGTH_SHORTEST + np.diff(ends, prepend=np.int64(0))
    return lengths


def _popularity(items: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Chance of each item; small ids tend to be popular, as the old films of MovieLens are."""
    ranks = np.linspace(1, ITEMS, items)
    weights = np.exp(np.interp(np.log(ranks), np.log(RANKS), np.log(WEIGHTS)))
    popularity = np.empty(items)
    popularity[np.argsort(np.arange(items) * rng.lognormal(0, 1, items))] = weights
    chances: NDArray[np.float64] = popularity / popularity.sum()
    return chances


def _items(
    lengths: NDArray[np.int64], cumulated: list[NDArray[np.float64]], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Users, from 0, and as many distinct items for each as `lengths` says, both in order."""
    items = len(cumulated[0])
    pairs = np.empty(0, np.int64)  # user * items + item
    missing, turn = lengths, 0
    while missing.any():
        chances = cumulated[min(turn, len(cumulated) - 1)]
        drawn = np.searchsorted(chances, rng.random(missing.sum()) * chances[-1], side="right")
        drawn += np.repeat(np.arange(len(lengths)), missing) * items
        drawn.sort()
        pairs = np.concatenate([pairs, drawn])
        pairs.sort(kind="stable")  # merges the two sorted parts
        pairs = pairs[np.diff(pairs, prepend=-1) > 0]
        missing = lengths - np.bincount(pairs // items, minlength=len(lengths))
        turn += 1
    return np.divmod(pairs, items)


def _seconds(lengths: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Times: one sitting of an hour for every 80 ratings of a user, days apart."""
    sittings = 1 + lengths // 80
    span = 3_600 + sittings * 86_400
    start = FIRST_SECOND + (rng.random(len(lengths)) * (LAST_SECOND - FIRST_SECOND - span))
    sitting = (rng.random(lengths.sum()) * np.repeat(sittings, lengths)).astype(np.int64)
    seconds = np.repeat(start.astype(np.int64), lengths) + sitting * 86_400
    seconds += rng.integers(0, 3_600, len(seconds))
    own = rng.random(len(seconds)) >= SAME_SECOND
    own[np.cumsum(lengths) - lengths] = True
    shared: NDArray[np.int64] = seconds[
        np.maximum.accumulate(np.where(own, np.arange(len(own)), 0))
    ]
    return shared


def _shuffled(
    chunks: Iterable[Rows], rows: int, scratch: str, rng: np.random.Generator
) -> Iterator[Rows]:
    """The rows in random order: dealt out to files at random, each then shuffled in memory."""
    piles = [Path(scratch) / str(number) for number in range(-(-rows // CHUNK))]
    for chunk in chunks:
        number = rng.integers(0, len(piles), len(chunk))
        dealt = chunk[np.argsort(number)]
        ends = np.cumsum(np.bincount(number, minlength=len(piles)))
        for path, part in zip(piles, np.split(dealt, ends[:-1]), strict=True):
            with path.open("ab") as file:
                part.tofile(file)
    for path in piles:
        pile = np.fromfile(path, np.int32).reshape(-1, 4)
        path.unlink()
        yield pile[rng.permutation(len(pile))]


def _write_ratings(path: Path, chunks: Iterable[Rows], item_ids: Rows) -> None:
    options = pa.csv.WriteOptions(include_header=False, quoting_style="none")

    def write(chunk: Rows) -> None:
        user, item, star, second = (np.ascontiguousarray(column) for column in chunk.T)
        # As text, since Arrow would write the number 4.0 as "4".
        rating = pa.DictionaryArray.from_arrays(star, list(STARS))
        table = pa.table({"user": user, "item": item_ids[item], "rating": rating, "second": second})
        pa.csv.write_csv(table, file, options)

    with path.open("wb") as file, ThreadPoolExecutor(1) as writer:
        file.write(b"userId,movieId,rating,timestamp\n")
        written = None
        for chunk in chunks:  # one is drawn while the one before is written
            if written is not None:
                written.result()
            written = writer.submit(write, chunk)
        if written is not None:
            written.result()


def _write_movies(path: Path, item_ids: Rows, rng: np.random.Generator) -> None:
    """Titles with the year, every fourth with its article behind a comma and so in quotes."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["movieId", "title", "genres"])
        years = rng.integers(1920, 2020, len(item_ids)).tolist()
        for item_id, year in zip(item_ids.tolist(), years, strict=True):
            article = ", The" if item_id % 4 == 0 else ""
            writer.writerow([item_id, f"Film {item_id}{article} ({year})", "Comedy|Drama"])


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--shuffle", action="store_true", help="rows in random order")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    make_log(arguments.folder, arguments.rows, shuffle=arguments.shuffle, seed=arguments.seed)


if __name__ == "__main__":
    main()
