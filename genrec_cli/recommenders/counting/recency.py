"""Recent popularity: what people took last, the same list for everybody."""

from collections.abc import Sequence

import numpy as np

from genrec_cli.data.dataset import Dataset
from genrec_cli.recommenders.base import Items, Scores
from genrec_cli.recommenders.baseline import Baseline, Settings, State
from genrec_cli.recommenders.matrices import history_matrix, training_parts


class RecentPopularity(Baseline):
    """Ranks by the number of training events, of which old ones weigh less.

    The score of an item is the sum of decay**age over its events. The age of an event is the number
    of later events in the same user's training part. It is counted in events, not in days, because
    logs without dates have an order too, and because one point in time is the end for nobody: the
    last event of each user weighs 1.
    """

    name = "recent"
    source = (
        "Ji, Sun, Zhang & Li 2020 (SIGIR): popularity of late; theirs is by calendar time, here "
        "events decay by their age in a user's own events."
    )
    grid = tuple({"decay": decay} for decay in (0.8, 0.95, 0.9, 0.6, 0.3))

    def use(self, settings: Settings) -> None:
        """Choose another of the lists."""
        super().use(settings)
        self._scores: Scores = self._lists[list(self.grid).index(dict(settings))]

    def scores(self, histories: Sequence[Items]) -> Scores:
        """The same scores for every history, float32 [B, items]."""
        return np.broadcast_to(self._scores, (len(histories), len(self._scores)))

    def state(self) -> State:
        """The scores under each setting of the grid, float32 [settings, items]."""
        return {"lists": self._lists}

    def _learn(self, dataset: Dataset, seed: int) -> None:
        parts, items = training_parts(dataset), len(dataset.titles)
        lists = [
            history_matrix(parts, items, settings["decay"]).sum(axis=0, dtype=np.float64)
            for settings in self.grid
        ]
        self._lists = np.stack(lists).astype(np.float32)

    def _recall(self, dataset: Dataset, state: State) -> None:
        self._lists = state["lists"]
