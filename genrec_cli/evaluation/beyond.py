"""Beyond accuracy: how much of the catalog lists show, how well known it is, and how alike."""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfVectorizer

from genrec_cli.data.audit import gini
from genrec_cli.data.dataset import Dataset
from genrec_cli.recommenders.base import Items

_WORDS: Final = re.compile(r"\w+")
_USERS_AT_ONCE: Final = 8192  # their lists' words take some 20 MB
_Lists = NDArray[np.int32]
_Means = NDArray[np.float64]


def beyond_accuracy(
    items: _Lists, dataset: Dataset, histories: Sequence[Items]
) -> dict[str, float]:
    """What lists are like, whether they are right or not.

    * `coverage`: share of the catalog that stands in at least one list.
    * `gini`: Gini coefficient of how often each item of the catalog is listed; 0: all equally.
    * `novelty`: self-information -log2 p of a listed item in bits, where p is its add-one smoothed
      share of the training events; mean over a list, then over lists (Castells et al. 2015).
    * `popularity_lift`: how much more popular lists are than the same users' histories. The group
      average popularity (GAP) is the mean over users of the mean training events of their items;
      lift is (GAP of lists - GAP of histories) / GAP of histories (Abdollahpouri et al. 2020).
    * `diversity`: 1 - cosine of the TF-IDF vectors of two titles, mean over the pairs of a list,
      then over lists (Smyth & McClave 2001; Ziegler et al. 2005).

    Empty places do not count, nor do lists without an item, or for diversity with only one. What
    then has nothing to be a mean of is left out: all but coverage where nothing is listed at all,
    diversity where no list has a pair, lift where histories hold no training event.

    Args:
        items: int32, [users, k], what was listed; -1: nothing.
        dataset: the lists' items are in its catalog.
        histories: what each user had touched before; none is empty.
    """
    served = np.flatnonzero((items >= 0).any(axis=1))
    shown = items[served]
    exposure = np.bincount(shown[shown >= 0], minlength=len(dataset.titles))
    found: dict[str, float | None] = {"coverage": float(np.count_nonzero(exposure) / len(exposure))}
    if len(served):
        found["gini"] = gini(exposure)
        found["novelty"] = float(_means(_information(dataset), shown).mean())
        found["popularity_lift"] = _popularity_lift(
            shown,
            [histories[user] for user in served.tolist()],
            dataset.train_counts.astype(np.float64),
        )
        found["diversity"] = _diversity(shown, dataset.titles)
    return {name: value for name, value in found.items() if value is not None}


def _information(dataset: Dataset) -> _Means:
    """Bits that an item tells, [items]; one without training events tells the most."""
    counts = dataset.train_counts + 1.0
    information: _Means = -np.log2(counts / counts.sum())
    return information


def _means(values: _Means, shown: _Lists) -> _Means:
    """Mean value of the items of each list, [lists]."""
    there = shown >= 0
    means: _Means = np.where(there, values[shown], 0.0).sum(axis=1) / there.sum(axis=1)
    return means


def _popularity_lift(
    shown: _Lists, histories: Sequence[Items], train_counts: _Means
) -> float | None:
    lengths = np.array([len(history) for history in histories])
    starts = np.cumsum(lengths) - lengths
    touched = np.add.reduceat(train_counts[np.concatenate(histories)], starts) / lengths
    before = float(touched.mean())
    return (float(_means(train_counts, shown).mean()) - before) / before if before else None


def _diversity(shown: _Lists, titles: list[str]) -> float | None:
    """Mean over lists of one minus the mean cosine of their pairs."""
    vectors = TfidfVectorizer(analyzer=_words).fit_transform(titles)
    several = shown[(shown >= 0).sum(axis=1) > 1]
    if not len(several):
        return None
    blocks = range(0, len(several), _USERS_AT_ONCE)
    parts = [_mean_cosines(several[start : start + _USERS_AT_ONCE], vectors) for start in blocks]
    return 1 - float(np.concatenate(parts).mean())


def _mean_cosines(shown: _Lists, vectors: csr_array) -> _Means:
    """Mean cosine of the pairs of each list of vectors of length 1, [lists].

    The squared length of their sum holds each pair's cosine twice and each vector's own 1, so that
    no pair has to be looked at.
    """
    there = shown >= 0
    sizes = there.sum(axis=1)
    listed = shown[there]
    ends = np.concatenate([[0], np.cumsum(sizes)])
    lists = csr_array((np.ones(len(listed)), listed, ends), (len(shown), vectors.shape[0]))
    squares = np.asarray((lists @ vectors).power(2).sum(axis=1))
    means: _Means = (squares - sizes) / (sizes * (sizes - 1))
    return means


def _words(title: str) -> list[str]:
    """Words of a title, those of one letter too; a title without any is a word of its own."""
    return _WORDS.findall(title.lower()) or [title]
