"""Histories as sparse matrices, the common ground of the classical baselines."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import training_part
from genrec_cli.recommenders.base import Items


def training_parts(dataset: Dataset) -> list[Items]:
    """Every user's training part, oldest first; some may be empty."""
    return [training_part(dataset, row) for row in range(len(dataset.user_ids))]


def training_matrix(dataset: Dataset) -> csr_array:
    """Who touched what in training: float32 ones, [users, items]; a repeat counts once."""
    matrix = history_matrix(training_parts(dataset), len(dataset.titles))
    matrix.data[:] = 1
    return matrix


def history_matrix(histories: Sequence[Items], items: int, decay: float = 1.0) -> csr_array:
    """Histories as weighted rows, float32 [B, items].

    Args:
        histories: of B people, oldest first.
        items: size of the catalog.
        decay: weight of an event relative to the next later one; the latest weighs 1. An item that
            comes more than once gets the sum.
    """
    lengths = np.array([len(history) for history in histories], dtype=np.int64)
    ends = np.cumsum(lengths)
    ages = np.repeat(ends, lengths) - 1 - np.arange(lengths.sum())
    columns = np.concatenate([*histories, np.empty(0, dtype=np.int32)])
    weights = np.power(decay, ages).astype(np.float32)
    # Indices are of one type in a matrix, and scipy multiplies narrow ones in half the time.
    narrow = np.int32 if lengths.sum() < 2**31 else np.int64
    pointers = np.concatenate([[0], ends]).astype(narrow)
    matrix = csr_array((weights, columns, pointers), shape=(len(histories), items))
    matrix.sum_duplicates()
    return matrix


def sparse_state(name: str, matrix: csr_array) -> dict[str, NDArray[Any]]:
    """A sparse matrix as plain arrays, for `Baseline.state`."""
    shape = np.array(matrix.shape)
    parts = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr}
    return {f"{name}.{key}": value for key, value in {**parts, "shape": shape}.items()}


def sparse_of(name: str, state: Mapping[str, NDArray[Any]]) -> csr_array:
    """The sparse matrix that `sparse_state` took apart."""
    parts = (state[f"{name}.{key}"] for key in ("data", "indices", "indptr"))
    rows, columns = state[f"{name}.shape"].tolist()
    return csr_array(tuple(parts), shape=(rows, columns))
