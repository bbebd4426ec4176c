"""Who trains on which items: the graph that clusters and first vectors of items are made of."""

import numpy as np
from scipy.sparse import csr_array

from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import training_part


def trained_items(dataset: Dataset) -> csr_array:
    """Who has which items in her training part: float64 ones, [users, items]."""
    parts = [np.unique(training_part(dataset, row)) for row in range(len(dataset.user_ids))]
    columns = np.concatenate([*parts, np.empty(0, dtype=np.int32)])
    pointers = np.concatenate([[0], np.cumsum([len(part) for part in parts], dtype=np.int64)])
    shape = len(parts), len(dataset.titles)
    return csr_array((np.ones(len(columns)), columns, pointers), shape=shape)
