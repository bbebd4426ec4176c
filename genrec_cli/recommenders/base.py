"""The protocol that everything which can rank speaks, and what its answers look like."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from genrec_cli.data.dataset import Dataset
from genrec_cli.decoding.question import Ranking

__all__ = ["Items", "Ranking", "Recommender", "Scorer", "Scores", "precedence", "top_k"]

Items = NDArray[np.int32]
Scores = NDArray[np.float32]
NEVER: Final = np.float32(-np.inf)


class Recommender(Protocol):
    """Something that ranks the catalog for a person."""

    @property
    def name(self) -> str:
        """By which commands and tables know it."""

    def fit(self, dataset: Dataset, seed: int) -> None:
        """Learn from a dataset without test targets; what was trained before is only loaded."""

    def rank(self, histories: Sequence[Items], k: int, exclude: Sequence[Items]) -> Ranking:
        """The k best items for each history, without those of `exclude`.

        Args:
            histories: items that each of B people touched, oldest first.
            k: how many items to return for each.
            exclude: items that must not be returned, for each.
        """

    def identity(self) -> Mapping[str, Any]:
        """What it is, before it is fitted: equal identities rank equal data equally."""

    def describe(self) -> Mapping[str, Any]:
        """Settings and origin, for the record in `metrics.json`."""


@runtime_checkable
class Scorer(Protocol):
    """A recommender that can score the whole catalog cheaply."""

    def scores(self, histories: Sequence[Items]) -> Scores:
        """Scores of every item, the higher the better, float32 [B, items]; -inf means never."""


def precedence(dataset: Dataset) -> NDArray[np.int32]:
    """Which of two items with equal scores is listed first: the lower number, int32 [items].

    The more popular in training; of equally popular ones a hash of the title decides, so that
    neither ids nor item numbers do.
    """
    hashes = [hashlib.sha256(title.encode()).digest()[:8] for title in dataset.titles]
    keys = np.frombuffer(b"".join(hashes), dtype=">u8")
    places = np.empty(len(keys), dtype=np.int32)
    places[np.lexsort((keys, -dataset.train_counts))] = np.arange(len(keys), dtype=np.int32)
    return places


def top_k(scores: Scores, exclude: Sequence[Items], k: int, places: NDArray[np.int32]) -> Ranking:
    """The k best of fully scored items.

    Args:
        scores: float32, [B, items]; not changed; NaN counts as -inf.
        exclude: items that each of the B people must not get.
        k: length of the lists.
        places: int32, [items]; of equal scores the item with the lowest comes first.
    """
    allowed = np.where(np.isnan(scores), NEVER, scores) + np.float32(0)  # no negative zeros
    for row, items in enumerate(exclude):
        allowed[row, items] = NEVER
    # A float's bits, as an integer, sort like the float if those of negative ones are turned
    # around; with the place behind it every key is unique, and no tie is left to the sort.
    bits = allowed.view(np.int32).astype(np.int64)
    bits = np.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    keys = -((bits << 32) - places)
    there = min(k, keys.shape[1])
    best = np.argpartition(keys, there - 1, axis=1)[:, :there] if there < keys.shape[1] else None
    if best is None:
        order = np.argsort(keys, axis=1)
    else:
        order = np.take_along_axis(
            best, np.argsort(np.take_along_axis(keys, best, axis=1), axis=1), axis=1
        )
    values = np.take_along_axis(allowed, order, axis=1)
    items = np.where(np.isneginf(values), -1, order).astype(np.int32)
    padding = ((0, 0), (0, k - there))
    return Ranking(
        items=np.pad(items, padding, constant_values=-1),
        scores=np.pad(values, padding, constant_values=NEVER),
        exact=np.ones(len(scores), dtype=bool),
    )
