"""How figures differ between two benches, over the users of both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from genrec_cli.evaluation.earlier.answers import Answers, Pairs
from genrec_cli.evaluation.evidence.intervals import bootstrap_intervals
from genrec_cli.evaluation.evidence.randomisation import holm, randomisation_test

_SEED: Final = 0  # of resamples and flips; the same benches compare equally every time
HOW: Final[Mapping[str, Any]] = {
    "difference": "second minus first, mean over the paired users",
    "interval": "95 % percentile bootstrap over users, 1000 resamples",
    "test": "paired randomisation, two-sided; Holm's correction over the systems of a metric",
    "seed": _SEED,
}
"""What `changes_of` computes, in words."""


@dataclass(frozen=True)
class Change:
    """How one metric of one system differs between two benches, over the paired users.

    Attributes:
        first: mean in the first bench.
        second: mean in the second.
        difference: second minus first.
        ci: 95 % bootstrap interval of the difference.
        p: two-sided, of the paired randomisation test.
        p_holm: the same, adjusted for the number of systems.
    """

    first: float
    second: float
    difference: float
    ci: tuple[float, float]
    p: float
    p_holm: float

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {**vars(self), "ci": list(self.ci)}


def changes_of(
    metrics: Sequence[str],
    systems: Sequence[str],
    answers: tuple[Answers, Answers],
    pairs: Pairs,
) -> dict[str, dict[str, Change]]:
    """Compare systems over the paired users: system -> metric -> how it differs.

    Args:
        metrics: those of both benches.
        systems: those of both benches.
        answers: of the two benches.
        pairs: whom they share.
    """
    names = [(system, metric) for metric in metrics for system in systems]
    before, after = (
        {name: own.figures[name[0]][name[1]][places] for name in names}
        for own, places in zip(answers, (pairs.first, pairs.second), strict=True)
    )
    moved = {name: after[name] - before[name] for name in names}
    # Resampled and flipped once for all: random numbers take longer than sums.
    intervals = bootstrap_intervals(moved, _SEED)
    p_values = randomisation_test(np.stack(list(moved.values()), axis=1), _SEED)
    adjusted = np.concatenate([holm(own) for own in np.split(p_values, len(metrics))])
    changes: dict[str, dict[str, Change]] = {system: {} for system in systems}
    for place, (system, metric) in enumerate(names):
        name = (system, metric)
        changes[system][metric] = Change(
            first=float(before[name].mean()),
            second=float(after[name].mean()),
            difference=float(moved[name].mean()),
            ci=intervals[name],
            p=float(p_values[place]),
            p_holm=float(adjusted[place]),
        )
    return changes
