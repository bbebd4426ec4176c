"""The oracle of the bundled sample: Bayes' rule, its calibration, and the figures in the README."""

import csv
import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from genrec_cli.data import sample
from genrec_cli.data.sample import oracle_scores, sample_world
from genrec_cli.data.sample.simulator import Viewer, draw_viewers
from genrec_cli.data.sample.world import VIEWER_TYPES

FOLDER = Path(sample.__file__).parent
POPULARITY_SEED = 1

Scores = NDArray[np.float64]


def generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


@cache
def viewers() -> tuple[Viewer, ...]:
    return draw_viewers(generator(7))


@cache
def scores_on_test() -> Scores:
    return oracle_scores([viewer.films[:-1] for viewer in viewers()])


class Naive:
    """The formula of the simulator's docstring, again, one film and one type at a time."""

    def __init__(self) -> None:
        with (FOLDER / "films.csv").open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        self.films = sorted(rows, key=lambda row: row["item_id"])
        self.genres = [set(row["genres"].split("|")) for row in self.films]
        self.years = [int(row["year"]) for row in self.films]
        number = {row["item_id"]: place for place, row in enumerate(self.films)}
        self.series = {
            name: [number[row["item_id"]] for row in rows if row["franchise"] == name]
            for name in {row["franchise"] for row in rows} - {""}
        }
        draws = generator(POPULARITY_SEED).random(len(rows)).tolist()
        self.ranks = [1 + sorted(draws).index(draw) for draw in draws]

    def similar(self, last: int, film: int) -> float:
        a, b = self.genres[last], self.genres[film]
        near = 1 / (1 + ((self.years[last] - self.years[film]) / 8) ** 2)
        return float((0.02 + len(a & b) / len(a | b)) ** 3 * near**2)

    def liked(self, kind: int, film: int) -> float:
        genres, year = VIEWER_TYPES[kind]
        weight = sum(genres.get(genre, 0) for genre in self.genres[film]) / len(self.genres[film])
        near = 1 / (1 + ((self.years[film] - year) / 8) ** 2)
        place = self.series.get(self.films[film]["franchise"], [film]).index(film)
        return float((0.1 + weight) ** 2 * near**2 / ((15 + self.ranks[film]) * (place + 1)))

    def next_film(self, kind: int, history: Sequence[int]) -> list[float]:
        unseen = [film for film in range(len(self.films)) if film not in history]
        liked = {film: self.liked(kind, film) for film in unseen}
        result = [0.0] * len(self.films)
        for film in unseen:
            result[film] = liked[film] / sum(liked.values())
        if not history:
            return result
        similar = {film: self.similar(history[-1], film) for film in unseen}
        for film in unseen:
            result[film] = 0.5 * result[film] + 0.5 * similar[film] / sum(similar.values())
        series = self.series.get(self.films[history[-1]]["franchise"], [])
        later = series[series.index(history[-1]) + 1 :] if series else []
        instalments = [film for film in later if film in unseen]
        if instalments:
            result = [0.55 * p for p in result]
            result[instalments[0]] += 0.45
        return result

    def oracle(self, history: Sequence[int]) -> list[float]:
        total = [0.0] * len(self.films)
        for kind in range(len(VIEWER_TYPES)):
            seen = [self.next_film(kind, history[:n])[history[n]] for n in range(len(history))]
            likelihood = math.prod(seen)
            for film, p in enumerate(self.next_film(kind, history)):
                total[film] += likelihood * p
        return [p / sum(total) for p in total]


@pytest.mark.parametrize(("place", "length"), [(0, 0), (1, 1), (2, 2), (3, 7)])
def test_the_oracle_is_bayes_rule_over_the_types(place: int, length: int) -> None:
    history = viewers()[place].films[:length]
    np.testing.assert_allclose(oracle_scores([history])[0], Naive().oracle(history), rtol=1e-9)


def test_an_oracle_row_is_a_distribution_over_the_unseen_films() -> None:
    scores = scores_on_test()
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, rtol=1e-12)
    for row, viewer in zip(scores, viewers(), strict=True):
        seen = np.isin(np.arange(len(row)), viewer.films[:-1])
        assert (row[seen] == 0).all()
        assert (row[~seen] > 0).all()


def test_the_oracle_still_answers_when_one_film_is_left() -> None:
    count = len(sample_world().films)
    np.testing.assert_array_equal(oracle_scores([range(1, count)]), [[1.0] + [0.0] * (count - 1)])


def test_the_oracle_expects_the_hits_that_it_gets() -> None:
    half = [len(viewer.films) // 2 for viewer in viewers()]
    halves = [viewer.films[:n] for viewer, n in zip(viewers(), half, strict=True)]
    scores = np.concatenate([scores_on_test(), oracle_scores(halves)])
    targets = [viewer.films[-1] for viewer in viewers()]
    targets += [viewer.films[n] for viewer, n in zip(viewers(), half, strict=True)]
    expected = np.sort(scores, axis=1)[:, -10:].sum(axis=1)
    hit, _ = expected_figures(scores, targets, 10)
    assert abs(expected.mean() - hit.mean()) < 0.03  # 1200 targets: standard error 0.013
    for third in np.array_split(np.argsort(expected), 3):
        assert abs(expected[third].mean() - hit[third].mean()) < 0.06


def expected_figures(scores: Scores, targets: Sequence[int], k: int) -> tuple[Scores, Scores]:
    """HR@k and NDCG@k of each row; a target tied with others is at each of their ranks at once."""
    places = np.arange(len(targets))
    own = scores[places, targets][:, None]
    first = 1 + (scores > own).sum(axis=1)
    tied = (scores == own).sum(axis=1)
    gains = np.where(np.arange(1, scores.shape[1] + 1) <= k, 1.0, 0.0)
    discounted = gains / np.log2(np.arange(2, scores.shape[1] + 2))
    spans = [slice(a - 1, a - 1 + n) for a, n in zip(first, tied, strict=True)]
    hit = np.array([gains[span].mean() for span in spans])
    return hit, np.array([discounted[span].mean() for span in spans])


def popularity_scores() -> Scores:
    counts = Counter(film for viewer in viewers() for film in viewer.films[:-2])
    row = np.array([counts[film] for film in range(len(sample_world().films))], dtype=np.float64)
    scores = np.tile(row, (len(viewers()), 1))
    for place, viewer in enumerate(viewers()):
        scores[place, list(viewer.films[:-1])] = -1.0
    return scores


def figures(scores: Scores) -> list[float]:
    targets = [viewer.films[-1] for viewer in viewers()]
    by_k = [expected_figures(scores, targets, k) for k in (5, 10)]
    return [round(float(metric.mean()), 3) for pair in by_k for metric in pair]


@pytest.mark.parametrize(
    ("name", "scores"), [("oracle", scores_on_test), ("popularity", popularity_scores)]
)
def test_the_readme_gives_the_figures_that_we_measure(
    name: str, scores: Callable[[], Scores]
) -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    [line] = [line for line in text.splitlines() if line.startswith(f"| {name}")]
    assert [float(cell) for cell in line.split("|")[2:6]] == figures(scores())


def test_the_task_is_learnable_but_popularity_does_not_solve_it() -> None:
    assert 0.55 < figures(scores_on_test())[2] < 0.75
    assert figures(popularity_scores())[2] < 0.12
