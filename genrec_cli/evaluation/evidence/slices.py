"""Figures of some users only: by length of history, popularity of the target, cold, tied."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genrec_cli.data.dataset import Dataset, timestamps_of
from genrec_cli.data.split import Cases
from genrec_cli.evaluation.evidence.intervals import bootstrap_intervals
from genrec_cli.evaluation.metrics import Figures

Flags = NDArray[np.bool_]
_Counts = NDArray[np.int64]

_ROUND: Final = np.array([m * 10**e for e in range(7) for m in (1, 2, 5)])


@dataclass(frozen=True)
class Bin:
    """Users who have something in common.

    Attributes:
        label: what it is.
        users: int64, ascending; their places among the cases, at least one.
    """

    label: str
    users: NDArray[np.int64]


@dataclass(frozen=True)
class Slicing:
    """All users, each in one bin.

    Attributes:
        name: what they are told apart by.
        bins: at least two.
    """

    name: str
    bins: tuple[Bin, ...]


def slices_of(cases: Cases, dataset: Dataset, tied: Flags | None) -> list[Slicing]:
    """Ways to part users; bins without users, and what then has one bin only, are left out.

    * "history length": at round lengths near the quartiles.
    * "target popularity": "head" are the most popular items that together have half of all
      training events, "middle" those with the next quarter, "tail" those with the last, and "cold"
      those without any. Items with equally many events stand in one bin.
    * "cold target": whether the target has no training event.
    * "tied target": as `tied` says.

    Args:
        cases: held-out items of some users.
        dataset: whose they are.
        tied: [cases], of `tied_targets`; None: it is not known.
    """
    counts = dataset.train_counts[cases.targets]
    slicings = [
        _by_length(np.array([len(history) for history in cases.histories])),
        _by_popularity(counts, dataset.train_counts),
        _by_flag("cold target", counts == 0, ("warm", "cold")),
        *([] if tied is None else [_by_flag("tied target", tied, ("untied", "tied"))]),
    ]
    return [slicing for slicing in slicings if len(slicing.bins) > 1]


def tied_targets(dataset: Dataset, cases: Cases) -> Flags:
    """Whether each target shares its time with an event beside it, [cases], as the audit counts.

    Where it does, the rule for ties in `genrec prepare` has decided which of them is the target.

    Args:
        dataset: the whole one; its times are read from its file.
        cases: of it.
    """
    times = timestamps_of(dataset)
    assert len(times) == len(dataset.items), "a dataset without its test targets has other places"
    starts, ends = dataset.offsets[cases.rows], dataset.offsets[cases.rows + 1]
    places = starts + np.array([len(history) for history in cases.histories])
    before = times[places - 1] == times[places]  # a history is never empty
    after = (places + 1 < ends) & (times[np.minimum(places + 1, ends - 1)] == times[places])
    tied: Flags = before | after
    return tied


def slice_figures(
    slicing: Slicing, per_user: Mapping[str, Mapping[str, Figures]], seed: int
) -> dict[str, Any]:
    """Every figure of every system in every bin, with 95 % bootstrap intervals, as JSON.

    Args:
        slicing: of U users.
        per_user: system -> metric -> float64, [U].
        seed: of the bootstrap.
    """
    return {
        "name": slicing.name,
        "bins": [
            {
                "label": part.label,
                "users": len(part.users),
                "systems": _figures_of(part.users, per_user, seed),
            }
            for part in slicing.bins
        ],
    }


def _figures_of(
    users: NDArray[np.int64], per_user: Mapping[str, Mapping[str, Figures]], seed: int
) -> dict[str, dict[str, Any]]:
    figures = {
        (system, metric): values[users]
        for system, metrics in per_user.items()
        for metric, values in metrics.items()
    }
    intervals = bootstrap_intervals(figures, seed)
    found: dict[str, dict[str, Any]] = {system: {} for system in per_user}
    for (system, metric), values in figures.items():
        found[system][metric] = float(values.mean())
        found[system][f"{metric}_ci"] = list(intervals[system, metric])
    return found


def _by_length(lengths: _Counts) -> Slicing:
    quartiles = np.quantile(lengths, [0.25, 0.5, 0.75])
    # On a scale where 10 is as far from 5 as 20 is from 10.
    nearest = np.abs(np.log(quartiles)[:, None] - np.log(_ROUND)).argmin(axis=1)
    edges = np.unique(_ROUND[nearest]).tolist()
    labels = [f"≤ {edges[0] - 1}", *map(_span, edges, edges[1:]), f"≥ {edges[-1]}"]
    return _slicing("history length", np.searchsorted(edges, lengths, side="right"), labels)


def _by_popularity(counts: _Counts, train_counts: _Counts) -> Slicing:
    ordered = np.sort(train_counts)[::-1]
    enough = np.array([0.5, 0.75]) * ordered.sum()
    head, middle = np.maximum(ordered[np.searchsorted(np.cumsum(ordered), enough)], 1).tolist()
    edges = [1, middle, head]
    labels = [
        "cold (0 events)",
        f"tail ({_span(1, middle)})",
        f"middle ({_span(middle, head)})",
        f"head (≥ {head})",
    ]
    numbers = np.searchsorted(edges, counts, side="right")
    # The most popular first, as people tell them.
    return _slicing("target popularity", 3 - numbers, labels[::-1])


def _by_flag(name: str, flags: Flags, labels: tuple[str, str]) -> Slicing:
    return _slicing(name, flags.astype(np.int64), list(labels))


def _slicing(name: str, numbers: _Counts, labels: list[str]) -> Slicing:
    """Bins by their number, without the empty ones."""
    members = [np.flatnonzero(numbers == number) for number in range(len(labels))]
    return Slicing(
        name, tuple(Bin(label, own) for label, own in zip(labels, members, strict=True) if len(own))
    )


def _span(start: int, end: int) -> str:
    """Whole numbers from a start to before an end."""
    return f"{start}–{end - 1}" if end - start > 1 else f"{start}"
