"""The texts most like a text, among very many: a filter before an exact comparison.

A typing error changes three of a text's trigrams at most and leaves the others, so what shares the
most, and the rarest, is worth the comparison (Gravano et al., "Approximate string joins in a
database (almost) for free", VLDB 2001; Cohen et al., "A comparison of string distance metrics for
name-matching tasks", IIWeb 2003).
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer

_CELLS = 2**24  # of queries x texts at once; 8 bytes each if all of them shared a trigram


class TrigramIndex:
    """Finds texts by the cosine of their character trigrams' TF-IDF weights.

    Words are padded with blanks, so that their beginnings and ends are trigrams too.

    Args:
        texts: without empty ones.

    Example:
        >>> index = TrigramIndex(["titanic", "the matrix", "matilda"])
        >>> index.nearest(["matrixx", "qqq"], n=2)
        [[1, 2], []]
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._vectorizer = TfidfVectorizer(
            analyzer="char_wb", ngram_range=(3, 3), lowercase=False, dtype=np.float32
        )
        # Rows are trigrams: products of sparse matrices go through rows.
        self._weights = self._vectorizer.fit_transform(texts).T.tocsr() if texts else None
        self._at_once = max(1, _CELLS // max(1, len(texts)))

    def nearest(self, queries: Sequence[str], n: int) -> list[list[int]]:
        """The n most similar texts of each query, best first; fewer if fewer share a trigram."""
        if self._weights is None:
            return [[] for _ in queries]
        return [
            _best(scores, places, n)
            for start in range(0, len(queries), self._at_once)
            for scores, places in self._products(queries[start : start + self._at_once])
        ]

    def _products(
        self, queries: Sequence[str]
    ) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]]:
        """Cosines of each query that are not 0, and the places of their texts."""
        product = self._vectorizer.transform(queries) @ self._weights
        for low, high in zip(product.indptr[:-1], product.indptr[1:], strict=True):
            yield product.data[low:high], product.indices[low:high]


def _best(scores: npt.NDArray[np.float32], places: npt.NDArray[np.int32], n: int) -> list[int]:
    """Places of the n highest scores; of equal ones the first."""
    if len(scores) > n:
        reach = scores >= np.partition(scores, -n)[-n]  # sorting all would cost more
        scores, places = scores[reach], places[reach]
    best: list[int] = places[np.lexsort((places, -scores))][:n].tolist()
    return best
