"""Rows, users and items after each step of the filters."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genrec_cli.core.errors import DataError
from genrec_cli.core.settings import PrepareSettings
from genrec_cli.data.engine.keeping import Census
from genrec_cli.data.engine.ordering import Heads


@dataclass(frozen=True)
class Stage:
    """What was left after one step."""

    step: str
    rows: int
    users: int
    items: int


class Funnel:
    """Writes down what each step leaves, and refuses to go on with nothing.

    Args:
        settings: steps that are not asked for are left out.
    """

    def __init__(self, settings: PrepareSettings) -> None:
        self._settings = settings
        self.stages: list[Stage] = []

    def ingested(self, seen: NDArray[np.int64], heads: Heads) -> None:
        """The steps that look at one event at a time, and repeats.

        Args:
            seen: [3, items]; events of each item read, rated well enough, in the window.
            heads: users of the same, and rows after repeats.
        """
        asked = self._settings
        rows, items = seen.sum(axis=1).tolist(), np.count_nonzero(seen, axis=1).tolist()
        self._add("read", rows[0], heads.read, items[0])
        if asked.min_rating is not None:
            self._add(f"rated {asked.min_rating:g} or more", rows[1], heads.rated, items[1])
        if asked.since is not None or asked.until is not None:
            ends = [f"from {asked.since}"] * (asked.since is not None)
            ends += [f"before {asked.until}"] * (asked.until is not None)
            self._add(" and ".join(ends), rows[2], heads.inside, items[2])
        if asked.repeats != "keep":
            step = f"only the {asked.repeats} of a user's events with an item"
            self._add(step, heads.rows, heads.inside, items[2])

    def titled(self, counted: Census) -> None:
        """Items without a title are gone."""
        self._count("items with a title", counted)

    def core(self, counted: Census, min_user: int, min_item: int) -> None:
        """Users and items with too few events are gone."""
        self._count(f"users with ≥ {min_user} events, items with ≥ {min_item}", counted)

    def cut(self, counted: Census, longest: int) -> None:
        """Long histories are cut."""
        self._count(f"the latest {longest} events of each user", counted)

    def _count(self, step: str, counted: Census) -> None:
        self._add(step, counted.rows, counted.users, int(np.count_nonzero(counted.items)))

    def _add(self, step: str, rows: int, users: int, items: int) -> None:
        self.stages.append(Stage(step, rows, users, items))
        if rows:
            return
        if len(self.stages) == 1:
            raise DataError("the log holds no events", "pass a log with at least one")
        before = self.stages[-2]
        raise DataError(
            f"no event is left after the filters: {before.rows:,} before the last ({step}), of "
            f"{self.stages[0].rows:,} read",
            _MEND.get(step.split()[0], "loosen that filter"),
        )


_MEND = {
    "users": "lower --min-user or --min-item",
    "rated": "lower --min-rating; does the log have ratings?",
    "from": "widen --since and --until",
    "before": "widen --since and --until",
    "items": "give titles with --items or --title-column, or leave out --require-title",
}
