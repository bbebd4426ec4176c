"""First vectors of items that have a token of their own: who trains on an item says what it is.

A model that is trained from scratch must find out for each item by itself what it is like, from the
dozen times that it is seen. Counting knows at once.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import null_space
from scipy.sparse import diags_array
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits

from genrec_cli.data.dataset import Dataset
from genrec_cli.language.itemwords.graph import trained_items

_NOISE = 1e-9  # lengths of what nothing is said about are that of a rounding
_ROUNDS = 6  # of multiplying the matrix, to tell close singular values apart


def item_vectors(dataset: Dataset, width: int, seed: int) -> NDArray[np.float32]:
    """A direction for each item, alike for items that the same users train on.

    Right singular vectors of who trains on what, times their values, where a user and an item are
    linked by 1 over the root of how many links both have (Dhillon 2001, Co-clustering Documents and
    Words Using Bipartite Spectral Graph Partitioning, KDD). Without the one that says how popular
    an item is and nothing else. Only training parts are read.

    Args:
        dataset: a prepared dataset.
        width: of a vector. A smaller dataset leaves the last places zero.
        seed: of the algorithm, which approximates (Halko et al. 2011, SIAM Review).

    Returns:
        [items, width], rows of length 1; zeros for an item that its users say nothing about, or
        that nobody trains on.
    """
    links = trained_items(dataset)
    counts = links.sum(axis=0)
    matrix = _over_roots(links.sum(axis=1)) @ links @ _over_roots(counts)
    # Sums in another order are other vectors, so every machine takes one thread.
    with threadpool_limits(1):
        _, values, found = randomized_svd(matrix, width + 1, n_iter=_ROUNDS, random_state=seed)
    # Popularity is not always the first of them: parts of the graph that nobody links tie with it.
    others = null_space((found @ np.sqrt(counts))[None])
    rows = (values[:, None] * found).T @ others
    lengths = np.linalg.norm(rows, axis=1)
    told = lengths > _NOISE
    vectors = np.zeros((len(rows), width), dtype=np.float32)
    vectors[told, : rows.shape[1]] = rows[told] / lengths[told, None]
    return vectors


def _over_roots(counts: NDArray[np.float64]) -> diags_array:
    return diags_array(1 / np.sqrt(np.maximum(counts, 1)))
