"""`genrec bench --compare`: two earlier benches, user by user."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genrec_cli.core.errors import UsageError, WorkspaceError
from genrec_cli.core.progress import SILENT, Progress
from genrec_cli.core.workspace import Workspace
from genrec_cli.evaluation.earlier.answers import Pairs, pair, read_answers, shared_metrics
from genrec_cli.evaluation.earlier.benches import Bench, find_bench
from genrec_cli.evaluation.earlier.changes import HOW, Change, changes_of
from genrec_cli.evaluation.earlier.differences import Difference, differences


@dataclass(frozen=True)
class CompareRequest:
    """What the user asked for.

    Attributes:
        first: a bench by its folder's name, the beginning of it, a path, `latest` or `previous`.
        second: what it is compared with.
        dataset: on which both lie; None: on any.
    """

    first: str
    second: str
    dataset: str | None = None


@dataclass(frozen=True)
class CompareReport:
    """What two benches say about the same users.

    Attributes:
        first: the one bench.
        second: the other.
        users: how many the `first` and the `second` have, are `in_both`, and are `paired`, for
            they were asked for the same item.
        metrics: names of those measured in both.
        primary: the metric that both benches decide by; else the last one.
        changes: system -> metric -> how it differs.
        differs: in what the benches differ besides.
    """

    first: Bench
    second: Bench
    users: Mapping[str, int]
    metrics: Sequence[str]
    primary: str
    changes: Mapping[str, Mapping[str, Change]]
    differs: Sequence[Difference]

    @property
    def only_first(self) -> list[str]:
        """Systems that only the first bench has measured."""
        return [system for system in self.first.systems if system not in self.changes]

    @property
    def only_second(self) -> list[str]:
        """Systems that only the second bench has measured."""
        return [system for system in self.second.systems if system not in self.changes]

    @property
    def leaky(self) -> set[str]:
        """Systems whose item ids give answers away in one of the benches."""
        rows = [*self.first.manifest["rows"], *self.second.manifest["rows"]]
        return {row["system"] for row in rows if row.get("leaky_ids")}

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "first": _named(self.first),
            "second": _named(self.second),
            "users": dict(self.users),
            "primary": self.primary,
            "rows": [
                {
                    "system": system,
                    **({"leaky_ids": True} if system in self.leaky else {}),
                    **{name: change.document() for name, change in changes.items()},
                }
                for system, changes in self.changes.items()
            ],
            "only_first": self.only_first,
            "only_second": self.only_second,
            "differs": [difference._asdict() for difference in self.differs],
            **HOW,
        }


def compare(
    workspace: Workspace, request: CompareRequest, progress: Progress = SILENT
) -> CompareReport:
    """Compare what two benches measured for the same users.

    Raises:
        UsageError: both names mean one bench.
        WorkspaceError: there is no such bench, one is damaged, or they have nothing in common.
    """
    first = find_bench(workspace, request.first, request.dataset)
    second = find_bench(workspace, request.second, request.dataset)
    systems = _shared_systems(first, second)
    one, other = read_answers(first), read_answers(second)
    pairs = pair(one, other)
    _require_pairs(first, second, pairs)
    metrics = shared_metrics(one, other, systems)
    if not metrics:
        raise WorkspaceError(
            f"{first.name} and {second.name} have no metric in common: cutoffs are "
            f"{_cutoffs(first)} and {_cutoffs(second)}",
            "give one of them the other's with genrec bench --k",
        )
    with progress.task("comparing", None, "benches"):
        changes = changes_of(metrics, systems, (one, other), pairs)
    primary = first.manifest["protocol"].get("primary")
    users = {
        "first": len(one.users),
        "second": len(other.users),
        "in_both": pairs.in_both,
        "paired": len(pairs.first),
    }
    return CompareReport(
        first=first,
        second=second,
        users=users,
        metrics=metrics,
        primary=primary if primary in metrics else metrics[-1],
        changes=changes,
        differs=differences(first, second),
    )


def _shared_systems(first: Bench, second: Bench) -> list[str]:
    """Systems of both benches, which must be two on one dataset."""
    if first.folder.resolve() == second.folder.resolve():
        raise UsageError(f"--compare needs two benches, and both names mean {first.name}")
    hashes = [bench.manifest["protocol"].get("dataset_hash") for bench in (first, second)]
    if first.dataset != second.dataset and hashes[0] != hashes[1]:
        raise WorkspaceError(
            f"{first.name} is of dataset '{first.dataset}', {second.name} of '{second.dataset}': "
            "no user is the same",
            "compare two benches of one dataset",
        )
    systems = [system for system in first.systems if system in second.systems]
    if not systems:
        raise WorkspaceError(
            f"no system is in both benches: {first.name} has {', '.join(first.systems)}, "
            f"{second.name} has {', '.join(second.systems)}",
            "measure one of them again with genrec bench --systems",
        )
    return systems


def _require_pairs(first: Bench, second: Bench, pairs: Pairs) -> None:
    if len(pairs.first):
        return
    splits = " and ".join(f"'{b.manifest['protocol'].get('split')}'" for b in (first, second))
    there = "none is in both"
    if pairs.in_both:
        there = f"{pairs.in_both:,} are in both, but none was asked for the same item"
    raise WorkspaceError(
        f"{first.name} and {second.name} share no user to compare: {there}; splits are {splits}",
        "give both the same --split, --users and --seed",
    )


def _named(bench: Bench) -> dict[str, Any]:
    return {
        "bench": bench.name,
        "folder": str(bench.folder),
        "dataset": bench.dataset,
        "created": bench.manifest["created"],
    }


def _cutoffs(bench: Bench) -> str:
    return ", ".join(map(str, bench.manifest["protocol"].get("cutoffs", ())))
