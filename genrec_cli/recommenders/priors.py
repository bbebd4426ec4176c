"""A baseline's scores as log-probabilities, to be added to those of another system."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genrec_cli.recommenders.base import Items, Scores
from genrec_cli.recommenders.baseline import Baseline

_POPULARITY_SHARE: Final = 0.1  # of a prior that is made of amounts


def log_prior(system: Baseline, histories: Sequence[Items], counts: NDArray[np.int64]) -> Scores:
    """A baseline's scores as natural-log probabilities, float32 [B, items].

    Logarithmic scores go through a softmax. Amounts are shared out in proportion, with a tenth of
    the whole kept for popularity, as interpolated n-gram models do (Jelinek & Mercer 1980): an item
    without an amount is unlikely, not impossible.

    Args:
        system: fitted.
        histories: of B people.
        counts: training events of each item.
    """
    scores = system.scores(histories)
    if system.scale == "log":
        normalised: Scores = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
        return normalised
    amounts = np.maximum(scores, 0)
    totals = amounts.sum(axis=1, keepdims=True)
    popular = (counts + 1) / (counts + 1).sum()
    shares = np.divide(amounts, totals, out=np.tile(popular, (len(scores), 1)), where=totals > 0)
    mixed = _POPULARITY_SHARE * popular + (1 - _POPULARITY_SHARE) * shares
    logs: Scores = np.log(mixed).astype(np.float32)
    return logs
