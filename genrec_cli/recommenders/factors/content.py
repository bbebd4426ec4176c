"""Recommending by the words of titles alone."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfVectorizer

from genrec_cli.data.dataset import Dataset
from genrec_cli.recommenders.base import Items, Scores
from genrec_cli.recommenders.baseline import Baseline, State
from genrec_cli.recommenders.matrices import history_matrix, sparse_of, sparse_state


class Content(Baseline):
    """Scores an item by the cosine between its title and the titles of the history.

    A title is its words and pairs of neighbouring words, weighed by TF-IDF over the catalog, with
    length 1; a history is the sum of its titles, the later the heavier.
    """

    name = "content"
    source = (
        "Lops, de Gemmis & Semeraro 2011 (Recommender Systems Handbook): TF-IDF and a profile. "
        "Departure: an event of the history weighs less than the next later one (decay < 1)."
    )
    grid = ({"decay": 0.8}, {"decay": 0.5}, {"decay": 1.0})

    def scores(self, histories: Sequence[Items]) -> Scores:
        """Cosines, float32 [B, items]; 0 where no word is shared."""
        events = history_matrix(histories, self._titles.shape[0], self.settings["decay"])
        profiles = events @ self._titles
        lengths = np.sqrt(profiles.multiply(profiles).sum(axis=1))
        products = (profiles @ self._titles.T).toarray()
        cosines: Scores = products / np.where(lengths > 0, lengths, 1)[:, None].astype(np.float32)
        return cosines

    def state(self) -> State:
        """The titles as TF-IDF vectors, sparse [items, terms]."""
        return sparse_state("titles", self._titles)

    def _learn(self, dataset: Dataset, seed: int) -> None:
        self._titles = title_vectors(dataset.titles)

    def _recall(self, dataset: Dataset, state: State) -> None:
        self._titles = sparse_of("titles", state)


def title_vectors(titles: Sequence[str]) -> csr_array:
    """TF-IDF vectors of titles, float32 [titles, terms], each of length 1.

    Terms are words of any length, in lower case, and pairs of neighbours. Character n-grams took
    six times as long and ranked no better.
    """
    vectorizer = TfidfVectorizer(
        token_pattern=r"\w+", ngram_range=(1, 2), sublinear_tf=True, dtype=np.float32
    )
    return csr_array(vectorizer.fit_transform(titles))
