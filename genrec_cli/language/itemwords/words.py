"""What items and users are called where a model reads ids instead of titles."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from genrec_cli.core.settings import ItemWords
from genrec_cli.data.dataset import Dataset
from genrec_cli.language.itemwords.clusters import Path, cluster_paths

_ITEMS, _USERS = 0, 1  # each shuffle has a generator of its own


def item_words(dataset: Dataset, kind: ItemWords, seed: int) -> list[str]:
    """What each item is called, by item number; no two are called the same.

    Args:
        dataset: a prepared dataset.
        kind: titles: the catalog's own; random: numbers that say nothing about an item; sequential:
            numbers in order of first appearance, as P5's published data has them (Geng et al. 2022,
            RecSys), which gives held-out items away (`leak.py`); collaborative: paths of clusters
            of items that users train on together; independent: one word of its own for each,
            unlike all others (Hua et al. 2023, How to Index Item IDs, SIGIR-AP); hybrid: these
            clusters with such a word behind them (the same paper). Not auto.
        seed: of shuffles and clusters.

    Raises:
        KeyError: of a kind that is none of these: settings are resolved before.
    """
    return _KINDS[kind](dataset, seed)


def parted(word: str) -> tuple[str, str]:
    """An id cut before what is one token of its own.

    Example:
        >>> parted("item_12-3<item_7391>"), parted("<item_7391>")
        (('item_12-3', '<item_7391>'), ('', '<item_7391>'))
    """
    shared, _, own = word.partition("<")
    return shared, f"<{own}"


def user_words(users: int, seed: int) -> list[str]:
    """What each user is called, by row: a number that says nothing about her.

    Example:
        >>> sorted(user_words(3, seed=0))
        ['user_1', 'user_2', 'user_3']
    """
    return [f"user_{number}" for number in _shuffled(users, seed, _USERS)]


def _titles(dataset: Dataset, seed: int) -> list[str]:
    return dataset.titles


def _random(dataset: Dataset, seed: int) -> list[str]:
    return [f"item_{number}" for number in _shuffled(len(dataset.titles), seed, _ITEMS)]


def _independent(dataset: Dataset, seed: int) -> list[str]:
    return [f"<item_{number}>" for number in _shuffled(len(dataset.titles), seed, _ITEMS)]


def _sequential(dataset: Dataset, seed: int) -> list[str]:
    return [f"item_{number}" for number in _appearance(dataset)]


def _collaborative(dataset: Dataset, seed: int) -> list[str]:
    return [_path(path) for path in cluster_paths(dataset, seed)]


def _hybrid(dataset: Dataset, seed: int) -> list[str]:
    """The numbers in the last clusters, which say nothing about items, become independent words."""
    clusters = (path[:-1] for path in cluster_paths(dataset, seed))
    own = _independent(dataset, seed)
    return [f"{_path(path)}{word}" for path, word in zip(clusters, own, strict=True)]


_KINDS: dict[str, Callable[[Dataset, int], list[str]]] = {
    "titles": _titles,
    "random": _random,
    "sequential": _sequential,
    "collaborative": _collaborative,
    "independent": _independent,
    "hybrid": _hybrid,
}


def _path(clusters: Path) -> str:
    return "item_" + "-".join(map(str, clusters))


def _shuffled(count: int, seed: int, purpose: int) -> list[int]:
    """1 to `count`, in an order that depends on nothing but the seed."""
    order: list[int] = (np.random.default_rng((seed, purpose)).permutation(count) + 1).tolist()
    return order


def _appearance(dataset: Dataset) -> list[int]:
    """Place of each item, from 1, when all users' sequences are read one after another."""
    seen, first = np.unique(dataset.items, return_index=True)
    events = len(dataset.items)
    firsts: NDArray[np.int64] = np.full(len(dataset.titles), events, dtype=np.int64)
    firsts[seen] = first  # an item that nobody has comes last, as the stable sort leaves it
    places = np.empty(len(firsts), dtype=np.int64)
    places[np.argsort(firsts, kind="stable")] = np.arange(1, len(firsts) + 1)
    order: list[int] = places.tolist()
    return order
