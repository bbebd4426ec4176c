"""Whether ids give held-out items away: the audit's rule of the next number, asked of words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genrec_cli.core.settings import ItemWords
from genrec_cli.data.audit import NextId
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import NOWHERE
from genrec_cli.language.record import IN_ORDER, LEAKY_KIND

_NUMBERED = re.compile(r"item_(\d+)", re.ASCII)


@dataclass(frozen=True)
class ItemIds:
    """The ids that a run writes for items, and whether they give held-out items away.

    Attributes:
        kind: as the setting `items`, decided; never titles.
        next_id_hits: HR@1 on validation of guessing the next number; None where it cannot be asked.
        leaks: whether the guess is right too often; always for numbers in order of appearance.
        meaning: a sentence on what that does to results.
    """

    kind: ItemWords
    next_id_hits: float | None
    leaks: bool
    meaning: str


def item_ids(dataset: Dataset, kind: ItemWords, words: Sequence[str]) -> ItemIds:
    """What a run's ids are, and what they give away.

    Args:
        dataset: a prepared dataset.
        kind: of the ids; not titles.
        words: the ids, by item number.
    """
    told = next_id(dataset, words)
    hits = None if told is None else told.hits
    if kind == LEAKY_KIND:
        return ItemIds(kind, hits, True, f"{IN_ORDER}{_measured(told)}")
    if told is None:
        return ItemIds(kind, None, False, "There is no next id to guess.")
    return ItemIds(kind, hits, told.leaks, f"{told.hits:.2%} {told.meaning}")


def _measured(told: NextId | None) -> str:
    """How often the next number is right, behind a sentence that says what it is."""
    if told is None:
        return ""
    hits, chance = f"{told.hits:.2%}", f"{told.chance:.2%}"
    return f" That guess is right for {hits} of validation items, {chance} by chance."


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
