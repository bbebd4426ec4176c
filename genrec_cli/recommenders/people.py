"""Who is asked for: users by id, those of a file, everybody, or somebody new by typed titles."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from genrec_cli.core.errors import DataError, UsageError
from genrec_cli.core.progress import Progress
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.itemlist import read_lines
from genrec_cli.decoding.grounding import Grounder
from genrec_cli.recommenders.base import Items

NEWCOMER: Final = "(typed history)"


@dataclass(frozen=True)
class Asked:
    """Exactly one way of naming people.

    Attributes:
        users: raw ids.
        users_file: one raw id a line.
        everybody: all users of the dataset.
        history: titles of somebody new, oldest first.
    """

    users: tuple[str, ...] = ()
    users_file: Path | None = None
    everybody: bool = False
    history: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise `UsageError` if nobody is named, or in more than one way."""
        ways = [self.users, self.users_file, self.everybody, self.history]
        if sum(bool(way) for way in ways) != 1:
            raise UsageError(
                "name the people in exactly one way",
                "--user ID (repeatable), --users-file FILE, --all, or --history 'Title; Title'",
            )


@dataclass(frozen=True)
class Person:
    """Somebody to recommend to."""

    user_id: str
    history: Items


def find_people(asked: Asked, dataset: Dataset, progress: Progress) -> list[Person]:
    """The people that are asked for, with their histories; each user once.

    Raises:
        UsageError: a typed history without titles.
        DataError: a user id or a typed title is unknown.
    """
    if asked.history:
        return [Person(NEWCOMER, _typed_history(asked.history, dataset, progress))]
    ids = list(asked.users)
    if asked.users_file is not None:
        ids = _read_ids(asked.users_file)
    if asked.everybody:
        ids = dataset.user_ids
    rows = dataset.rows_of(list(dict.fromkeys(ids)))
    return [Person(dataset.user_ids[row], dataset.sequence(row)) for row in rows]


def _read_ids(path: Path) -> list[str]:
    ids = [line for _, line in read_lines(path)]
    if not ids:
        raise DataError(f"{path}: names nobody", "write one user id a line")
    return ids


def _typed_history(texts: Sequence[str], dataset: Dataset, progress: Progress) -> Items:
    """Items of typed titles; what is not an exact title is said, or refused."""
    typed = [part.strip() for text in texts for part in text.split(";") if part.strip()]
    grounder = Grounder(dataset.titles)
    items = []
    for text, match in zip(typed, grounder.ground_all(typed), strict=True):
        if match.item is None:
            near = "; ".join(dataset.titles[item] for item in match.nearest)
            raise DataError(
                f"no title like '{text}' in dataset '{dataset.name}'",
                f"nearest: {near}" if near else "write titles as they stand in catalog.parquet",
            )
        if match.how == "fuzzy":
            title = dataset.titles[match.item]
            progress.note(f"reading '{text}' as '{title}' ({match.confidence:.0%} sure)")
        items.append(match.item)
    if not items:
        raise UsageError("--history names no title", "write --history 'Title; Title; …'")
    return np.array(items, dtype=np.int32)
