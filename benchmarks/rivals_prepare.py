"""What `genrec prepare` does to MovieLens, as users of other libraries would write it.

    python benchmarks/rivals_prepare.py floor|polars|duckdb|pandas SOURCE OUT

Each reads SOURCE's `ratings.csv`, drops users and items with fewer than five events until none is
left, orders each user's events by time (equal times by item), numbers the items, and writes
OUT/sequences.parquet (one row a user) and OUT/catalog.parquet (titles, and counts without each
user's last two events), both with zstd. They may read ids as integers and skip the ratings, which
is faster than the strings that genrec must keep for logs of other kinds. `floor` only parses.
"""

# ruff: noqa: PLC0415 - a rival must not pay for the import of another

import sys
from pathlib import Path

FEWEST = 5


def floor(source: Path, out: Path) -> None:
    """Arrow's CSV reader alone, as it comes."""
    import pyarrow.csv

    pyarrow.csv.read_csv(source / "ratings.csv")


def with_polars(source: Path, out: Path) -> None:
    """Streaming read, the core by semi-joins on counts, a sort within each user."""
    import polars as pl

    types = {"userId": pl.Int32, "movieId": pl.Int32, "rating": pl.Float32, "timestamp": pl.Int64}
    events = (
        pl.scan_csv(source / "ratings.csv", schema=types)
        .select("userId", "movieId", "timestamp")
        .collect(engine="streaming")
    )
    before = None
    while before != len(events):
        before = len(events)
        for key in ("movieId", "userId"):
            enough = events.lazy().group_by(key).len().filter(pl.col("len") >= FEWEST)
            events = events.lazy().join(enough, on=key, how="semi").collect(engine="streaming")
    items = events.select(pl.col("movieId").unique().sort()).with_row_index("item")
    items = items.with_columns(pl.col("item").cast(pl.Int32))
    sequences = (
        events.lazy()
        .join(items.lazy(), on="movieId")
        .group_by("userId")
        .agg(
            items=pl.col("item").sort_by("timestamp", "item"),
            timestamps=pl.col("timestamp").sort(),
        )
        .sort("userId")
        .collect(engine="streaming")
    )
    del events
    sequences.select(
        pl.col("userId").cast(pl.String).alias("user_id"), "items", "timestamps"
    ).write_parquet(out / "sequences.parquet", compression="zstd")
    training = pl.col("items").list.head(pl.col("items").list.len() - 2)
    counts = (
        sequences.lazy()
        .select(training.explode().alias("item"))
        .group_by("item")
        .agg(train_count=pl.len())
    )
    movies = pl.scan_csv(source / "movies.csv").select("movieId", "title")
    (
        items.lazy()
        .join(movies.with_columns(pl.col("movieId").cast(pl.Int32)), on="movieId", how="left")
        .join(counts, on="item", how="left")
        .sort("item")
        .select(
            "item",
            pl.col("movieId").cast(pl.String).alias("item_id"),
            "title",
            pl.col("train_count").fill_null(0).cast(pl.Int64),
        )
        .sink_parquet(out / "catalog.parquet", compression="zstd")
    )


def with_duckdb(source: Path, out: Path) -> None:
    """SQL on a table in memory, all cores."""
    import duckdb

    db = duckdb.connect()
    db.execute(
        f"""CREATE TABLE events AS SELECT userId, movieId, timestamp FROM read_csv(
        '{source}/ratings.csv', columns = {{'userId': 'INTEGER', 'movieId': 'INTEGER',
        'rating': 'FLOAT', 'timestamp': 'BIGINT'}}, header = true)"""
    )
    dropped = 1
    while dropped:
        dropped = 0
        for key in ("movieId", "userId"):
            few = f"SELECT {key} FROM events GROUP BY {key} HAVING count(*) < {FEWEST}"
            query = f"DELETE FROM events WHERE {key} IN ({few})"
            dropped += db.execute(query).fetchone()[0]
    db.execute(
        """CREATE TABLE items AS SELECT movieId, (row_number() OVER (ORDER BY movieId) - 1)::INTEGER
        AS item FROM (SELECT DISTINCT movieId FROM events)"""
    )
    db.execute(
        """CREATE TABLE sequences AS SELECT userId, list_transform(pairs, lambda pair: pair.item)
        AS items, list_transform(pairs, lambda pair: pair.timestamp) AS timestamps FROM (
            SELECT userId, list_sort(list({'timestamp': timestamp, 'item': item})) AS pairs
            FROM events JOIN items USING (movieId) GROUP BY userId)"""
    )
    db.execute(
        f"""COPY (SELECT userId::VARCHAR AS user_id, items, timestamps FROM sequences
        ORDER BY userId) TO '{out}/sequences.parquet' (COMPRESSION zstd, ROW_GROUP_SIZE 16384)"""
    )
    db.execute(
        f"""COPY (
        WITH counts AS (SELECT item, count(*) AS train_count
            FROM (SELECT unnest(items[:-3]) AS item FROM sequences) GROUP BY item)
        SELECT item, movieId::VARCHAR AS item_id, title, coalesce(train_count, 0) AS train_count
        FROM items LEFT JOIN counts USING (item)
        LEFT JOIN read_csv('{source}/movies.csv', header = true) USING (movieId) ORDER BY item
        ) TO '{out}/catalog.parquet' (COMPRESSION zstd)"""
    )


def with_pandas(source: Path, out: Path) -> None:
    """Arrow's reader on all cores, then pandas with numpy where pandas has no fast way."""
    import numpy as np
    import pandas as pd

    types = {"userId": "int32", "movieId": "int32", "timestamp": "int64"}
    events = pd.read_csv(source / "ratings.csv", engine="pyarrow", usecols=list(types), dtype=types)
    before = None
    while before != len(events):
        before = len(events)
        for key in ("movieId", "userId"):
            events = events[events[key].map(events[key].value_counts()) >= FEWEST]
    codes, item_ids = pd.factorize(events["movieId"], sort=True)
    events = events.drop(columns="movieId").assign(item=codes.astype("int32"))
    events = events.sort_values(["userId", "timestamp", "item"])
    lengths = events.groupby("userId", sort=True).size()
    ends = lengths.cumsum().to_numpy()
    # Not .agg(list), which makes a Python object of every number.
    items, times = events["item"].to_numpy(), events["timestamp"].to_numpy()
    sequences = {
        "user_id": lengths.index.astype(str),
        "items": np.split(items, ends[:-1]),
        "timestamps": np.split(times, ends[:-1]),
    }
    pd.DataFrame(sequences).to_parquet(out / "sequences.parquet", compression="zstd", index=False)
    training = np.ones(len(items), bool)
    training[np.concatenate([ends - 1, ends - 2])] = False
    titles = pd.read_csv(source / "movies.csv", usecols=["movieId", "title"]).set_index("movieId")
    catalog = {
        "item": np.arange(len(item_ids), dtype="int32"),
        "item_id": item_ids.astype(str),
        "title": titles["title"].reindex(item_ids).to_numpy(),
        "train_count": np.bincount(items[training], minlength=len(item_ids)),
    }
    pd.DataFrame(catalog).to_parquet(out / "catalog.parquet", compression="zstd", index=False)


RIVALS = {"floor": floor, "polars": with_polars, "duckdb": with_duckdb, "pandas": with_pandas}

if __name__ == "__main__":
    RIVALS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
