"""Links between items, item by item: built in blocks, the weak ones dropped, and followed."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from genrec_cli.core.progress import Progress
from genrec_cli.data.dataset import Dataset
from genrec_cli.recommenders.base import Items, Scores
from genrec_cli.recommenders.matrices import history_matrix, training_matrix

_LINKS: Final = 2**24  # kept in all: 134 MB
_LEAST_KEPT: Final = 100  # of an item, in however large a catalog
_BLOCK: Final = 2**22  # links that are built before the weak ones go
_FAINT: Final = 1e-6  # weight of an event that no longer counts: float32 has seven digits


def built(
    block: Callable[[int, int], csr_array],
    places: NDArray[np.int32],
    progress: Progress,
    title: str,
) -> csr_array:
    """Links from every item to its strongest others, float32 [items, items].

    A catalog of up to 4096 items keeps all links; a larger one 2**24 in all, shared evenly, but at
    least 100 an item.

    Args:
        block: gives the rows from one item up to another, float32.
        places: int32, [items]; of equal links the one to the item with the lowest place is kept.
        progress: where to report to.
        title: what to report as.
    """
    items = len(places)
    most, height = max(_LEAST_KEPT, _LINKS // max(items, 1)), max(1, _BLOCK // max(items, 1))
    rows = [csr_array((0, items), dtype=np.float32)]
    with progress.task(title, items, "items") as task:
        for start in range(0, items, height):
            stop = min(start + height, items)
            rows.append(strongest(block(start, stop), most, places))
            task.advance(stop - start)
    links = csr_array(vstack(rows, format="csr"))
    narrow = links.indices.astype(np.int32), links.indptr.astype(np.int32)
    return csr_array((links.data, *narrow), shape=links.shape)


def strongest(links: csr_array, most: int, places: NDArray[np.int32]) -> csr_array:
    """Each row's largest entries, at most so many.

    Args:
        links: at least 0, [rows, items].
        most: entries that a row keeps.
        places: of equal entries those of the items with the lowest places stay.
    """
    pointers = links.indptr
    if np.diff(pointers).max(initial=0) <= most:
        return links
    kept = []
    for start, stop in zip(pointers[:-1], pointers[1:], strict=True):
        row = slice(start, stop)
        kept.append(start + _largest(links.data[row], most, places[links.indices[row]]))
    chosen = np.concatenate(kept)
    ends = np.cumsum([0, *map(len, kept)])
    return csr_array((links.data[chosen], links.indices[chosen], ends), shape=links.shape)


def _largest(values: NDArray[np.float32], most: int, places: NDArray[np.int32]) -> NDArray[np.intp]:
    if len(values) <= most:
        return np.arange(len(values))
    least = np.partition(values, -most)[-most]
    kept = values > least
    level = np.flatnonzero(values == least)
    first = np.argsort(places[level])[: most - np.count_nonzero(kept)]
    kept[level[first]] = True
    return np.flatnonzero(kept)


def cosines(
    dataset: Dataset, places: NDArray[np.int32], progress: Progress, name: str
) -> csr_array:
    """Cosine between the items' columns of the binary training matrix, without the diagonal.

    The cosine of items i and j is n_ij / sqrt(n_i n_j), from the numbers of users who touched both,
    i and j.
    """
    touched = training_matrix(dataset)
    by_item = csr_array(touched.T)
    inverse = 1 / np.sqrt(np.maximum(np.diff(by_item.indptr), 1)).astype(np.float32)

    def block(start: int, stop: int) -> csr_array:
        together = by_item[start:stop] @ touched
        rows = np.repeat(np.arange(start, stop), np.diff(together.indptr))
        together.data *= inverse[rows] * inverse[together.indices]
        together.data[rows == together.indices] = 0
        together.eliminate_zeros()
        return csr_array(together)

    return built(block, places, progress, f"{name}: similarities")


def scaled(links: csr_array, factors: NDArray[np.float32]) -> csr_array:
    """Each row times its factor."""
    data = links.data * np.repeat(factors, np.diff(links.indptr))
    return csr_array((data, links.indices, links.indptr), shape=links.shape)


def compact(links: csr_array) -> csr_array | Scores:
    """The same links in the form that is followed fastest: dense if a quarter of them is there.

    That takes at most twice the memory.
    """
    if 4 * links.nnz <= np.prod(links.shape):
        return links
    dense: Scores = links.toarray()
    return dense


def followed(links: csr_array | Scores, histories: Sequence[Items], decay: float) -> Scores:
    """Where the histories' links lead: sum of decay**age * link, float32 [B, items].

    Args:
        links: of the whole catalog, from `compact`.
        histories: of B people, oldest first.
        decay: weight of an event relative to the next later one; events that would weigh less than
            a millionth are left out.
    """
    reach = 1 + int(np.log(_FAINT) / np.log(decay)) if decay < 1 else None
    recent = [history[-reach:] if reach else history for history in histories]
    sums = history_matrix(recent, links.shape[0], decay) @ links
    scores: Scores = sums if isinstance(sums, np.ndarray) else sums.toarray()
    return scores
