"""Whether ids give held-out items away: the audit's rule of the next number, asked of words."""

import re
from collections.abc import Sequence

import numpy as np

from genrec_cli.data.audit import NextId
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import NOWHERE

_NUMBERED = re.compile(r"item_(\d+)", re.ASCII)


def next_id(dataset: Dataset, words: Sequence[str]) -> NextId | None:
    """What `next_id_hits` comes to: its figure, whether that is a leak, and a sentence to say so.

    Args:
        dataset: a prepared dataset.
        words: what each item is called, by item number.

    Returns:
        None where the rule cannot be asked.
    """
    hits = next_id_hits(dataset, words)
    return None if hits is None else NextId(hits, len(words))


def next_id_hits(dataset: Dataset, words: Sequence[str]) -> float | None:
    """HR@1 of guessing the item that is numbered one above the highest number of the history.

    It is asked of validation targets: test targets are for a bench to read.

    Args:
        dataset: a prepared dataset.
        words: what each item is called, by item number.

    Returns:
        None where words are not plain numbers, or where nobody has a validation target.
    """
    found = [_NUMBERED.fullmatch(word) for word in words]
    numbers = np.array([int(match[1]) for match in found if match], dtype=np.int64)
    targets = dataset.bounds.validation
    asked = np.flatnonzero(targets != NOWHERE)
    if len(numbers) < len(words) or not len(asked):
        return None
    spans = np.stack([dataset.offsets[asked], targets[asked]], axis=1).ravel()
    read = numbers[dataset.items]
    highest = np.maximum.reduceat(read, spans)[::2]
    return float(np.mean(highest + 1 == read[targets[asked]]))
