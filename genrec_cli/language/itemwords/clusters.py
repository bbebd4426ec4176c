"""Clusters of clusters of items that users train on together, for collaborative ids.

After Hua et al. 2023 (How to Index Item IDs for Recommendation Foundation Models, SIGIR-AP) and
OpenP5 (Xu et al. 2024, SIGIR): spectral clustering of the graph of co-occurrences, once more within
each cluster that is too large. Four things differ, for speed and for more even clusters:

* A user of n items gives each of her pairs the weight 1 / n, so that the few users with the longest
  histories do not draw the graph.
* Every two items are linked a little (Qin & Rohe 2013, NeurIPS), so that the graph is connected and
  the clusters are not mere specks at its edge.
* The graph is never written down: it is multiplied as users' items, which are far fewer. Factorised
  as `sklearn.cluster.SpectralClustering` does, that of 12,000 toys takes two minutes a division.
* k-means ends it (Ng, Jordan & Weiss 2001, NeurIPS), not cluster_qr, which leaves a giant.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from genrec_cli.data.dataset import Dataset
from genrec_cli.language.itemwords.graph import trained_items

LARGEST = 100  # items that no cluster needs to be divided for
_MOST_PARTS = 20  # of one cluster, as in both papers
_LOPSIDED = 0.75  # a part with more of its cluster than that is no division
_ROUNDS = 12  # of multiplying the graph; toys' clusters get no purer with 24

Path = tuple[int, ...]
_Numbers = NDArray[np.int64]
_Floats = NDArray[np.float64]


def cluster_paths(dataset: Dataset, seed: int) -> list[Path]:
    """The clusters that each item lies in, outermost first, and its number in the last; all from 1.

    Only training parts are read. Items that nobody trains on are in a cluster of their own.

    Args:
        dataset: a prepared dataset.
        seed: of the clusters, and of the numbers in the last, which say nothing about an item.

    Returns:
        By item number; no path begins with another.
    """
    generator = np.random.default_rng(seed)
    paths: list[Path] = [()] * len(dataset.titles)
    # Sums in another order can end in other clusters, so every machine takes one thread.
    with threadpool_limits(1):
        everything = _Cluster.of(dataset)
        trained = everything.among(np.flatnonzero(dataset.train_counts))
        untrained = everything.among(np.flatnonzero(dataset.train_counts == 0))
        parts = _divided(trained, generator) if len(trained.items) > LARGEST else [trained]
        for number, part in enumerate([*parts, untrained], 1):
            for item, path in _paths(part, (number,), generator):
                paths[item] = path
    return paths


def _paths(
    cluster: "_Cluster", above: Path, generator: np.random.Generator
) -> Iterator[tuple[int, Path]]:
    """Items of a cluster with their paths, which begin with its own."""
    if len(cluster.items) > LARGEST:
        for number, part in enumerate(_divided(cluster, generator), 1):
            yield from _paths(part, (*above, number), generator)
        return
    for number, item in enumerate(generator.permutation(cluster.items).tolist(), 1):
        yield item, (*above, number)


@dataclass(frozen=True)
class _Cluster:
    """Some items, N, and who trains on them: their part of the graph, taken into its factors.

    Attributes:
        items: their numbers, [N].
        touched: float64 ones, [users, N].
        weights: of each user's pairs, [users].
    """

    items: _Numbers
    touched: csr_array
    weights: _Floats

    @classmethod
    def of(cls, dataset: Dataset) -> "_Cluster":
        """All items of a dataset."""
        touched = trained_items(dataset)
        weights = 1 / np.maximum(1, np.diff(touched.indptr))
        return cls(np.arange(touched.shape[1]), touched, weights)

    def among(self, places: _Numbers) -> "_Cluster":
        """Some of its items, and of its users those who have a pair of these."""
        touched = self.touched[:, places]
        paired = np.diff(touched.indptr) > 1
        return _Cluster(self.items[places], touched[paired], self.weights[paired])

    def vectors(self, start: _Floats) -> _Floats:
        """Eigenvectors of the normalised graph, by falling eigenvalue, [N, B].

        By block Krylov iteration (Musco & Musco 2015, NeurIPS). ARPACK's differ from call to call
        where a graph has fewer of them than are asked for.

        Args:
            start: random numbers, of which the vectors are made, [N, B].
        """
        users, items = self.touched, self.touched.T.tocsr()
        itself = items @ self.weights  # what an item would have with itself
        degrees = items @ (self.weights * np.diff(users.indptr)) - itself
        link = degrees.mean() / len(degrees)  # of every two items, beside what users say
        scales = 1 / np.sqrt(degrees + degrees.mean())[:, None]

        def neighbours(x_NB: _Floats) -> _Floats:
            scaled = scales * x_NB
            linked = items @ (self.weights[:, None] * (users @ scaled)) - itself[:, None] * scaled
            y_NB: _Floats = scales * (linked + link * scaled.sum(axis=0))
            return y_NB

        blocks = [np.linalg.qr(start).Q]
        for _ in range(_ROUNDS):
            blocks.append(np.linalg.qr(neighbours(blocks[-1])).Q)
        basis = np.linalg.qr(np.hstack(blocks)).Q
        turns = np.linalg.eigh(basis.T @ neighbours(basis)).eigenvectors
        found: _Floats = basis @ turns[:, : -start.shape[1] - 1 : -1]
        return found


def _divided(cluster: _Cluster, generator: np.random.Generator) -> list[_Cluster]:
    """A cluster of more than `LARGEST` items in parts, none of which has nearly all of it."""
    size = len(cluster.items)
    count = min(_MOST_PARTS, -(-2 * size // LARGEST))  # so that the last clusters are half full
    if not cluster.touched.nnz:
        places = np.array_split(generator.permutation(size), count)
        return [cluster.among(part) for part in places]
    vectors = cluster.vectors(generator.standard_normal((size, count)))
    labels = _labels(vectors, int(generator.integers(2**31)))
    places = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    if max(map(len, places)) > _LOPSIDED * size:
        # Along the second vector a graph is best cut in two (Fiedler 1973).
        places = np.array_split(np.argsort(vectors[:, 1], kind="stable"), count)
    return [cluster.among(part) for part in places]


def _labels(vectors: _Floats, seed: int) -> NDArray[np.int32]:
    """As many clusters of rows as there are vectors, by the rows' directions, [N]."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    means = KMeans(vectors.shape[1], n_init=3, random_state=seed)
    with warnings.catch_warnings():
        # Items alike in everything make fewer clusters than asked for, which is right.
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels: NDArray[np.int32] = means.fit_predict(vectors / np.maximum(lengths, 1e-12))
    return labels
