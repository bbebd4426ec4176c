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
    * `popularity_lift`: how much more popular lists are than histories, relative to histories. The
      group average popularity (GAP) is the mean over users of the mean training events of their
      items; lift is GAP of lists / GAP of histories - 1 (Abdollahpouri et al. 2020).
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
    shown = items[(items >= 0).any(axis=1)]
    exposure = np.bincount(shown[shown >= 0], minlength=len(dataset.titles))
    found: dict[str, float | None] = {"coverage": float(np.count_nonzero(exposure) / len(exposure))}
    if len(shown):
        found["gini"] = gini(exposure)
        found["novelty"] = float(_means(_information(dataset), shown).mean())
        found["popularity_lift"] = _popularity_lift(shown, dataset, histories)
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
    shown: _Lists, dataset: Dataset, histories: Sequence[Items]
) -> float | None:
    counts = dataset.train_counts.astype(np.float64)
    lengths = np.array([len(history) for history in histories])
    starts = np.cumsum(lengths) - lengths
    touched = np.add.reduceat(counts[np.concatenate(histories)], starts) / lengths
    of_histories = float(touched.mean())
    return float(_means(counts, shown).mean()) / of_histories - 1 if of_histories else None


def _diversity(shown: _Lists, titles: list[str]) -> float | None:
    """Mean over lists of one minus the mean cosine of their pairs.

    The vectors have length 1, so the squared length of their sum holds each pair's cosine twice,
    and each vector's own 1: no pair has to be looked at.
    """
    vectors = TfidfVectorizer(analyzer=_words).fit_transform(titles)
    pairs = []
    for start in range(0, len(shown), _USERS_AT_ONCE):
        part = shown[start : start + _USERS_AT_ONCE]
        sizes = (part >= 0).sum(axis=1)
        pointers = np.concatenate([[0], np.cumsum(sizes)])
        listed = part[part >= 0]
        sums = csr_array((np.ones(len(listed)), listed, pointers), (len(part), len(titles))) @ vectors
        cosines = np.asarray(sums.power(2).sum(axis=1)) - sizes
        several = sizes > 1
        pairs.append(cosines[several] / (sizes * (sizes - 1))[several])
    means = np.concatenate(pairs)
    return 1 - float(means.mean()) if len(means) else None


def _words(title: str) -> list[str]:
    """Words of a title, those of one letter too; a title without any is a word of its own."""
    return _WORDS.findall(title.lower()) or [title]
