"""Systems against one reference: differences, intervals, tests, and what could have been found."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Final

import numpy as np

from genrec_cli.evaluation.evidence.intervals import bootstrap_intervals
from genrec_cli.evaluation.evidence.randomisation import holm, randomisation_test
from genrec_cli.evaluation.metrics import Figures

LEVEL: Final = 0.05
POWER: Final = 0.8


@dataclass(frozen=True)
class Comparison:
    """One system against the reference, over the same users.

    Attributes:
        system: its name.
        difference: mean figure of the system minus that of the reference.
        ci: 95 % bootstrap interval of it.
        p: two-sided, of the paired randomisation test.
        p_holm: the same, adjusted for the number of systems.
    """

    system: str
    difference: float
    ci: tuple[float, float]
    p: float
    p_holm: float


@dataclass(frozen=True)
class Comparisons:
    """All systems against the reference.

    Attributes:
        metric: what was compared, as in "NDCG@10".
        reference: name of the system that the others are compared with.
        rows: the other systems.
        detectable: what `detectable_difference` says, median over the rows; None: no rows, or too
            few users to tell.
    """

    metric: str
    reference: str
    rows: tuple[Comparison, ...]
    detectable: float | None

    def document(self) -> dict[str, Any]:
        """As JSON."""
        rows = [{**asdict(row), "ci": list(row.ci)} for row in self.rows]
        return {**asdict(self), "rows": rows}


def compare(metric: str, per_user: Mapping[str, Figures], reference: str, seed: int) -> Comparisons:
    """Test whether systems differ from one of them.

    Args:
        metric: name of the figures.
        per_user: system -> float64, [users], for the same users in the same order.
        reference: one of the systems.
        seed: of the bootstrap and of the test.
    """
    others = [system for system in per_user if system != reference]
    if not others:
        return Comparisons(metric, reference, (), None)
    differences = {system: per_user[system] - per_user[reference] for system in others}
    intervals = bootstrap_intervals(differences, seed)
    p_values = randomisation_test(np.stack(list(differences.values()), axis=1), seed)
    rows = tuple(
        Comparison(system, float(differences[system].mean()), intervals[system], p, p_holm)
        for system, p, p_holm in zip(
            others, p_values.tolist(), holm(p_values).tolist(), strict=True
        )
    )
    known = [detectable_difference(own) for own in differences.values() if len(own) > 1]
    return Comparisons(metric, reference, rows, float(np.median(known)) if known else None)


def detectable_difference(differences: Figures) -> float:
    """The smallest true difference that a test over as many users finds 8 times in 10.

    (z_0.975 + z_0.8) · sd / √n, for a two-sided test of one comparison at 5 %, with the standard
    deviation of the paired differences (Sakai 2018, Laboratory Experiments in Information
    Retrieval). A smaller observed difference is no proof that two systems are alike.

    Args:
        differences: float64, [users], at least 2; between two systems.
    """
    normal = NormalDist()
    reach = normal.inv_cdf(1 - LEVEL / 2) + normal.inv_cdf(POWER)
    return float(reach * differences.std(ddof=1) / np.sqrt(len(differences)))
