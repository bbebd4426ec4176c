"""What the systems of a bench reached, as the rows of `metrics.json` and of `per_user.parquet`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from genrec_cli.core.schema import ITEM_ID, RANK, RECOMMENDED, SYSTEM, USER_ID
from genrec_cli.evaluation.beyond import beyond_accuracy
from genrec_cli.evaluation.evidence.comparison import compare
from genrec_cli.evaluation.evidence.intervals import bootstrap_intervals
from genrec_cli.evaluation.evidence.seeds import over_seeds
from genrec_cli.evaluation.evidence.slices import slice_figures, slices_of, tied_targets
from genrec_cli.evaluation.metrics import METRICS, Figures, Placement
from genrec_cli.evaluation.protocol import Exam, Measured
from genrec_cli.language.record import leak_of

Kind = Literal["baseline", "run", "hybrid"]

_SLICED: Final = ("HR", "NDCG")
_PARTS: Final = ("main", "prior", "first", "second")  # of two systems as one


@dataclass(frozen=True)
class Result:
    """What one system reached.

    Attributes:
        system: its name.
        kind: what it is.
        parents: the systems it was made of.
        seeds: that it was fitted with.
        measured: one measurement for each seed.
        cached: whether all of them had been kept from before.
    """

    system: str
    kind: Kind
    parents: tuple[str, ...]
    seeds: tuple[int, ...]
    measured: tuple[Measured, ...]
    cached: bool

    def figures(self, cutoffs: Sequence[int]) -> dict[str, Figures]:
        """Every metric of every user, [users], as the mean over seeds: "HR@5" and so on."""
        each = [figures(measured.placement, cutoffs) for measured in self.measured]
        return {name: np.mean([own[name] for own in each], axis=0) for name in each[0]}


def figures(placement: Placement, cutoffs: Sequence[int]) -> dict[str, Figures]:
    """Every metric of every user: "HR@5" -> [users], and so on."""
    return {
        f"{name}@{k}": metric(placement, k) for k in cutoffs for name, metric in METRICS.items()
    }


@dataclass(frozen=True)
class Results:
    """What all systems reached in one exam.

    Attributes:
        exam: what they were asked.
        cutoffs: of the metrics; the largest is the length of the lists.
        seed: of the bootstrap and of the tests.
        results: in the order of the table.
    """

    exam: Exam
    cutoffs: tuple[int, ...]
    seed: int
    results: tuple[Result, ...]

    @property
    def primary(self) -> str:
        """The metric that systems are compared by."""
        return f"NDCG@{self.exam.k}"

    @cached_property
    def per_user(self) -> Mapping[str, Mapping[str, Figures]]:
        """System -> metric -> [users]."""
        return {result.system: result.figures(self.cutoffs) for result in self.results}

    def reference(self, wanted: str | None) -> str:
        """What the others are compared with: the wanted one, the best baseline, or the first.

        The best is chosen by the very figures that are tested, which favours the reference.
        """
        if wanted is not None:
            return wanted
        baselines = [result.system for result in self.results if result.kind == "baseline"]
        if not baselines:
            return self.results[0].system
        return max(baselines, key=lambda system: self.per_user[system][self.primary].mean())

    def document(self, reference: str | None) -> dict[str, Any]:
        """The figures of `metrics.json`."""
        primaries = {system: own[self.primary] for system, own in self.per_user.items()}
        compared = compare(self.primary, primaries, self.reference(reference), self.seed)
        return {
            "rows": [row(result, self) for result in self.results],
            "by_k": {result.system: self._by_k(result) for result in self.results},
            "comparisons": compared.document(),
            "slices": self._slices(),
            "systems": {result.system: _described(result) for result in self.results},
        }

    def table(self) -> pa.Table:
        """One row for each system and user; ranks and lists are those of the first seed."""
        return pa.concat_tables(self._rows(result) for result in self.results)

    def _by_k(self, result: Result) -> dict[str, list[float]]:
        cutoffs = range(1, self.exam.k + 1)
        means = {name: values.mean() for name, values in result.figures(cutoffs).items()}
        return {name: [float(means[f"{name}@{k}"]) for k in cutoffs] for name in _SLICED}

    def _slices(self) -> list[dict[str, Any]]:
        exam = self.exam
        wanted = [f"{name}@{exam.k}" for name in _SLICED]
        sliced = {
            system: {name: own[name] for name in wanted} for system, own in self.per_user.items()
        }
        tied = tied_targets(exam.dataset, exam.cases)
        slicings = slices_of(exam.cases, exam.dataset, tied)
        return [slice_figures(slicing, sliced, self.seed) for slicing in slicings]

    def _rows(self, result: Result) -> pa.Table:
        dataset, cases, first = self.exam.dataset, self.exam.cases, result.measured[0]
        columns: dict[str, Any] = {
            SYSTEM: [result.system] * len(cases),
            USER_ID: [dataset.user_ids[user] for user in cases.rows],
            ITEM_ID: [dataset.item_ids[item] for item in cases.targets],
            RANK: pa.array(first.placement.above + 1, pa.int64()),
            "tied": pa.array(first.placement.tied, pa.int64()),
            RECOMMENDED: _named(first.items, dataset.item_ids),
            "exact": first.exact,
        }
        return pa.table({**columns, **self.per_user[result.system]})


def row(result: Result, of: Results) -> dict[str, Any]:
    """One row of the table: means over users and seeds, with 95 % bootstrap intervals."""
    values = of.per_user[result.system]
    intervals = bootstrap_intervals(values, of.seed)
    found: dict[str, Any] = {
        "system": result.system,
        "kind": result.kind,
        "parents": list(result.parents),
        "users": len(of.exam.cases),
        **({"leaky_ids": True} if leak_in(_described(result)) else {}),
    }
    for name, own in values.items():
        found[name], found[f"{name}_ci"] = float(own.mean()), list(intervals[name])
    return {
        **found,
        **_over_seeds(result, of),
        "exact": float(np.mean([measured.exact.mean() for measured in result.measured])),
        "seeds": list(result.seeds),
        "fit_seconds": _mean(result, "fit_seconds"),
        "rank_seconds": _mean(result, "rank_seconds"),
        "peak_gb": max(measured.peak_gb for measured in result.measured),
        "cached": result.cached,
    }


def _over_seeds(result: Result, of: Results) -> dict[str, float]:
    """Deviations of the metrics over seeds; and what the lists are like, whoever they are for."""
    rows = []
    for measured in result.measured:
        own = figures(measured.placement, of.cutoffs)
        beyond = beyond_accuracy(measured.items, of.exam.dataset, of.exam.cases.histories)
        rows.append(
            {
                **{name: float(values.mean()) for name, values in own.items()},
                **{f"{name}@{of.exam.k}": value for name, value in beyond.items()},
                **{
                    key: value
                    for k in of.cutoffs
                    for key, value in zip(
                        (f"valid@{k}", f"unique@{k}"), _shares(measured.items, k), strict=True
                    )
                },
            }
        )
    return over_seeds(rows)


def _shares(items: NDArray[np.int32], k: int) -> tuple[float, float]:
    """Share of the k places that hold an item, and that hold one for the first time."""
    lists = np.sort(items[:, :k], axis=1)
    valid = lists >= 0
    first = np.diff(lists, axis=1, prepend=-1) > 0
    return float(valid.mean()), float((valid & first).mean())


def _mean(result: Result, name: str) -> float:
    return round(float(np.mean([getattr(measured, name) for measured in result.measured])), 3)


def _described(result: Result) -> dict[str, Any]:
    """What a system says of itself, by its first seed."""
    return dict(result.measured[0].description)


def leak_in(described: Mapping[str, Any]) -> str | None:
    """What gives answers away in the item ids that a system reads, or a part of it does.

    Args:
        described: what the system says of itself.

    Returns:
        A sentence; None: nothing that is known.
    """
    parts = [described[part] for part in _PARTS if part in described]
    return next(filter(None, [leak_of(described), *map(leak_in, parts)]), None)


def _named(items: NDArray[np.int32], item_ids: Sequence[str]) -> pa.Array:
    """Lists of item ids, without empty places."""
    there = items >= 0
    offsets = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int32)
    ids = pa.array(item_ids, pa.string()).take(pa.array(items[there]))
    return pa.ListArray.from_arrays(pa.array(offsets), ids)
