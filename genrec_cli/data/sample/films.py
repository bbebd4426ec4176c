"""The films of the bundled sample: a list of facts, kept as a CSV file that people can edit."""

import csv
import hashlib
import io
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

FILMS_FILE: Final = "films.csv"


@dataclass(frozen=True)
class Film:
    """One film.

    Attributes:
        item_id: the raw id ("f001"), which says nothing about time, franchise or popularity.
        title: the title without its year.
        year: the year of release.
        genres: names of genres, at least one.
        franchise: the name of its series, "" where it has none.
    """

    item_id: str
    title: str
    year: int
    genres: frozenset[str]
    franchise: str

    @property
    def raw_title(self) -> str:
        """The title as MovieLens would write it.

        >>> Film("f001", "The Matrix", 1999, frozenset({"Action"}), "").raw_title
        'The Matrix (1999)'
        """
        return f"{self.title} ({self.year})"


def _film_bytes() -> bytes:
    return files(__package__).joinpath(FILMS_FILE).read_bytes()


def films_sha256() -> str:
    """Return "sha256:<hex>" of the bytes of `films.csv`."""
    return f"sha256:{hashlib.sha256(_film_bytes()).hexdigest()}"


def read_films() -> tuple[Film, ...]:
    """Read `films.csv` in the order of the file, in which a franchise's films follow one another.

    The order of the file, not the year, says which instalment comes next: two can share a year.
    """
    rows = csv.DictReader(io.StringIO(_film_bytes().decode("utf-8")))
    return tuple(
        Film(
            item_id=row["item_id"],
            title=row["title"],
            year=int(row["year"]),
            genres=frozenset(row["genres"].split("|")),
            franchise=row["franchise"],
        )
        for row in rows
    )
