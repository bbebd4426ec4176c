"""What the report is written from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Witness:
    """One user who is shown side by side with what each system told her.

    Attributes:
        user_id: as in the log.
        history: titles, oldest first.
        target: the title that came next.
        lists: titles of each system, best first.
    """

    user_id: str
    history: Sequence[str]
    target: str
    lists: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Contents:
    """Everything that a report shows.

    Attributes:
        manifest: what `metrics.json` holds.
        card: what `dataset.json` holds.
        witnesses: users to be shown; may be empty.
        curves: lines of `metrics.jsonl` of each system that was trained by steps; may be empty.
    """

    manifest: Mapping[str, Any]
    card: Mapping[str, Any]
    witnesses: Sequence[Witness]
    curves: Mapping[str, Sequence[Mapping[str, Any]]]

    @property
    def primary(self) -> str:
        """The metric that systems are ordered by."""
        return str(self.manifest["protocol"]["primary"])

    @property
    def cutoff(self) -> int:
        """The length of the lists: the largest k."""
        return int(max(self.manifest["protocol"]["cutoffs"]))

    @property
    def rows(self) -> list[Mapping[str, Any]]:
        """One row a system, the best first."""
        return sorted(self.manifest["rows"], key=lambda row: -row[self.primary])

    @property
    def comparisons(self) -> Mapping[str, Any]:
        """How systems differ from the reference; empty where there is nothing to compare."""
        found = self.manifest.get("comparisons") or {}
        return found if found.get("rows") else {}
