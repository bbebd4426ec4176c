"""The bundled sample: the list of films, and the log of simulated viewers."""

import csv
import hashlib
import re
from datetime import UTC, datetime
from functools import cache
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
from small_data import whole

from genrec_cli.core import schema
from genrec_cli.data import sample
from genrec_cli.data.rawlog import RawLog
from genrec_cli.data.sample import read_sample, sample_world
from genrec_cli.data.sample.simulator import Viewer, draw_viewers
from genrec_cli.data.sample.world import VIEWER_TYPES

FOLDER = Path(sample.__file__).parent
# sha256 of the rows of seed 7; it changes with the films and the formula, and with nothing else.
GOLDEN = "88c2e957a06f12aff28c5b50eb06fe8c66954c3168ffe533b7b5446ee9c06b57"


@cache
def log() -> RawLog:
    return read_sample()


@cache
def viewers() -> tuple[Viewer, ...]:
    return draw_viewers(np.random.Generator(np.random.PCG64(7)))


def film_rows() -> list[dict[str, str]]:
    with (FOLDER / "films.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


# --- films.csv


def test_films_have_ids_of_one_form_years_and_genres() -> None:
    rows = film_rows()
    assert len({row["item_id"] for row in rows}) == len(rows) >= 400
    assert all(re.fullmatch(r"f\d{3}", row["item_id"]) for row in rows)
    assert all(1900 <= int(row["year"]) <= 2026 for row in rows)
    assert all(row["title"] == row["title"].strip() != "" for row in rows)
    assert all(re.fullmatch(r"[A-Z][\w-]+(\|[A-Z][\w-]+)*", row["genres"]) for row in rows)


def test_no_two_films_share_title_and_year_but_some_share_a_title() -> None:
    rows = film_rows()
    assert len({(row["title"], row["year"]) for row in rows}) == len(rows)
    assert len({row["title"] for row in rows}) < len(rows)


def test_a_franchise_is_two_to_eight_films_together_in_order_of_release() -> None:
    blocks = [(name, list(block)) for name, block in groupby(film_rows(), lambda r: r["franchise"])]
    series = [(name, block) for name, block in blocks if name]
    assert len({name for name, _ in series}) == len(series) >= 35
    for name, block in series:
        years = [int(row["year"]) for row in block]
        assert 2 <= len(block) <= 8, name
        assert years == sorted(years), name


def test_ids_say_nothing_about_years_or_franchises() -> None:
    rows = sorted(film_rows(), key=lambda row: row["item_id"])
    correlation = np.corrcoef([int(row["year"]) for row in rows], np.arange(len(rows)))[0, 1]
    neighbours = sum(a["franchise"] == b["franchise"] != "" for a, b in pairwise(rows))
    assert abs(correlation) < 0.1
    assert neighbours < 0.02 * len(rows)


# --- the log


def test_the_log_has_the_schemas_of_a_reader_and_says_where_it_came_from() -> None:
    assert whole(log()).schema == schema.INTERACTIONS
    assert log().items.schema == schema.RAW_ITEMS
    assert whole(log())[schema.RATING].null_count == whole(log()).num_rows
    digest = hashlib.sha256((FOLDER / "films.csv").read_bytes()).hexdigest()
    assert log().inputs == {"films.csv": f"sha256:{digest}"}
    assert log().source == "bundled sample (seed 7)"
    titles = set(log().items[schema.RAW_TITLE].to_pylist())
    assert {"The Matrix (1999)", "1917 (2019)", "King Kong (1933)", "King Kong (2005)"} <= titles


def test_one_seed_is_one_log_on_every_machine_and_numpy() -> None:
    rows = whole(log()).to_pylist()
    text = "\n".join(f"{r['user_id']} {r['item_id']} {r['timestamp']}" for r in rows)
    assert hashlib.sha256(text.encode()).hexdigest() == GOLDEN


def test_another_seed_is_another_log() -> None:
    other = draw_viewers(np.random.Generator(np.random.PCG64(8)), count=3)
    assert all(a.films != b.films for a, b in zip(other, viewers()[:3], strict=True))


def test_the_table_holds_the_viewers_in_a_shuffled_order() -> None:
    table = whole(log())
    ids = sample_world().item_ids
    expected = {
        (viewer.user_id, ids[film], timestamp)
        for viewer in viewers()
        for film, timestamp in zip(viewer.films, viewer.timestamps, strict=True)
    }
    users = table[schema.USER_ID].to_pylist()
    items = table[schema.ITEM_ID].to_pylist()
    rows = list(zip(users, items, table[schema.TIMESTAMP].to_pylist(), strict=True))
    assert set(rows) == expected
    assert len(rows) == len(expected)
    assert users != sorted(users)


def test_six_hundred_viewers_watch_eight_to_thirty_films_each_once() -> None:
    lengths = [len(viewer.films) for viewer in viewers()]
    assert [viewer.user_id for viewer in viewers()] == [f"v{n:03d}" for n in range(1, 601)]
    assert (min(lengths), max(lengths)) == (8, 30)
    assert 15 < np.mean(lengths) < 18
    assert all(len(set(viewer.films)) == len(viewer.films) for viewer in viewers())
    assert {viewer.kind for viewer in viewers()} == set(range(len(VIEWER_TYPES)))


def test_time_rises_within_a_viewer_but_for_one_tied_pair_in_about_five_percent() -> None:
    ties = []
    for viewer in viewers():
        steps = np.diff(viewer.timestamps)
        assert (steps >= 0).all()
        ties.append(int((steps == 0).sum()))
    assert max(ties) == 1
    assert 0.03 < np.mean(ties) < 0.07


def test_viewers_watch_after_every_release_and_before_2026() -> None:
    start, end = datetime(2024, 7, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    assert min(viewer.timestamps[0] for viewer in viewers()) >= start.timestamp()
    assert max(viewer.timestamps[-1] for viewer in viewers()) < end.timestamp()
