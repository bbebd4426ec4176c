"""Rows of unequal length in flat arrays: conversion, checks and index arithmetic."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Int32: TypeAlias = npt.NDArray[np.int32]
Int64: TypeAlias = npt.NDArray[np.int64]
IntArray: TypeAlias = npt.NDArray[np.signedinteger[Any]]
Float64: TypeAlias = npt.NDArray[np.float64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
Flat: TypeAlias = tuple[IntArray, IntArray]  # all tokens, and the offsets of the rows in them

_SHOWN = 5  # items named in an error


def flatten(rows: Sequence[Sequence[int]] | Flat) -> tuple[Int64, Int64]:
    """Tokens of all rows one after the other, and offsets [rows + 1].

    A tuple of two arrays is taken to be that already.

    Example:
        >>> [array.tolist() for array in flatten([[5, 7, 9], [6, 9]])]
        [[5, 7, 9, 6, 9], [0, 3, 5]]
    """
    match rows:
        case (np.ndarray() as flat, np.ndarray() as offsets) if isinstance(rows, tuple):
            return flat.astype(np.int64), offsets.astype(np.int64)
    lengths = [len(row) for row in rows]
    tokens = (int(token) for row in rows for token in row)
    flat = np.fromiter(tokens, dtype=np.int64, count=sum(lengths))
    return flat, np.append(0, np.cumsum(lengths, dtype=np.int64))


def positions(lengths: IntArray) -> Int64:
    """Position of every element in its own row.

    Example:
        >>> positions(np.array([2, 0, 3])).tolist()
        [0, 1, 0, 1, 2]
    """
    starts = np.cumsum(lengths, dtype=np.int64) - lengths
    return np.arange(int(lengths.sum()), dtype=np.int64) - np.repeat(starts, lengths)


def log_softmax(logits: Float64, counts: IntArray) -> Float64:
    """Log-probabilities within consecutive segments, each of at least one entry.

    In float64 on the CPU: the sums then do not depend on what else is in the batch.

    Example:
        >>> np.exp(log_softmax(np.array([1.0, 1.0, 7.0]), np.array([2, 1]))).tolist()
        [0.5, 0.5, 1.0]
    """
    starts = np.cumsum(counts) - counts
    shifted = logits - np.repeat(np.maximum.reduceat(logits, starts), counts)
    log_sum = np.log(np.add.reduceat(np.exp(shifted), starts))
    log_probs: Float64 = shifted - np.repeat(log_sum, counts)
    return log_probs


def check_titles(flat: Int64, offsets: Int64) -> None:
    """Raise `ValueError` if there are no titles, one is empty, or a token is negative."""
    if len(offsets) < 2:
        raise ValueError("no titles to build a trie of")
    empty = np.flatnonzero(np.diff(offsets) <= 0)
    if empty.size:
        raise ValueError(f"titles without tokens: {_listed([f'item {i}' for i in empty])}")
    if flat.min() < 0:
        row = np.searchsorted(offsets, np.argmax(flat < 0), side="right") - 1
        raise ValueError(f"negative token in the title of item {row}")


def check_prefix_free(items: Int64, ends: BoolArray, node: Int64) -> None:
    """Raise `ValueError` if a title ends at a node that another one reaches too.

    Args:
        items: items of one trie level in leaf order, [M].
        ends: whether the item's title ends there, [M].
        node: the nodes that they reach, never falling, [M].
    """
    beside_next = np.append(node[1:] == node[:-1], False)
    beside_last = np.append(False, beside_next[:-1])
    short = np.flatnonzero(ends & (beside_next | beside_last))
    found = []
    for row, other in zip(short, np.where(beside_next[short], short + 1, short - 1), strict=True):
        if other > row or not ends[other]:  # else the pair was met from its other side
            relation = "equals" if ends[other] else "begins"
            found.append(f"item {items[row]} {relation} item {items[other]}")
    if found:
        raise ValueError(f"titles that cannot be told apart by their tokens: {_listed(found)}")


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
