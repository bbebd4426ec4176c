"""Item-kNN: what the same people took, weighted by how recently the history has it."""

from collections.abc import Sequence

from genrec_cli.data.dataset import Dataset
from genrec_cli.recommenders.base import Items, Scores
from genrec_cli.recommenders.baseline import Baseline, State
from genrec_cli.recommenders.counting.links import compact, cosines, followed
from genrec_cli.recommenders.matrices import sparse_of, sparse_state


class ItemKNN(Baseline):
    """Ranks by the sum of similarities to the items of the history.

    The similarity of two items is the cosine of their columns in the binary training matrix. An
    item of the history weighs decay**age, its age counted in events; with a decay of 1 this is the
    order-blind original. All neighbours count, as far as `links.built` keeps them.
    """

    name = "itemknn"
    source = (
        "Sarwar, Karypis, Konstan & Riedl 2001 (WWW); Deshpande & Karypis 2004 (TOIS), cosine. The "
        "decay of old events is added."
    )
    grid = tuple({"decay": decay} for decay in (0.8, 1.0, 0.9, 0.7, 0.5))

    def scores(self, histories: Sequence[Items]) -> Scores:
        """Weighted sums of similarities, float32 [B, items]."""
        return followed(self._links, histories, self.settings["decay"])

    def state(self) -> State:
        """The similarities."""
        return sparse_state("similar", self._similar)

    def _learn(self, dataset: Dataset, seed: int) -> None:
        self._similar = cosines(dataset, self._places, self.progress, self.name)
        self._links = compact(self._similar)

    def _recall(self, dataset: Dataset, state: State) -> None:
        self._similar = sparse_of("similar", state)
        self._links = compact(self._similar)
