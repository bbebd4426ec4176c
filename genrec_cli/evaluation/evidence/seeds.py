"""Figures of one system trained from several seeds."""

from collections.abc import Mapping, Sequence

import numpy as np


def over_seeds(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean, and from two seeds on the sample standard deviation, of each figure.

    Intervals over users say how far other users would move a figure; the deviation over seeds says
    how far another training run would.

    Args:
        rows: one for each seed; a figure that one of them lacks is left out.

    Returns:
        "NDCG@10" -> mean and "NDCG@10_sd" -> deviation, and so on.

    Example:
        >>> over_seeds([{"HR@10": 0.25}, {"HR@10": 0.75}])
        {'HR@10': 0.5, 'HR@10_sd': 0.3535533905932738}
    """
    found: dict[str, float] = {}
    for name in (name for name in rows[0] if all(name in row for row in rows)):
        values = np.array([row[name] for row in rows])
        found[name] = float(values.mean())
        if len(values) > 1:
            found[f"{name}_sd"] = float(values.std(ddof=1))
    return found
