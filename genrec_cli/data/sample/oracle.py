"""The best that anyone can do on the bundled sample.

A history tells of its viewer's hidden type only through the films in it, so Bayes' rule gives

    P(next | history) = sum over types z of P(z | history) * P(next | z, last, seen)
    P(z | history)    ~ product over its films i of P(i | z, the film before i, the films before i)

exactly. Ranking by it has the highest expected HR@k and NDCG@k for every k: a recommender that
does clearly better on the test items has seen them.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from genrec_cli.data.sample.world import World, next_film_probabilities, sample_world


def oracle_scores(histories: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Give the true probability of each film being watched next.

    Args:
        histories: B histories of film numbers (places in `sample_world().item_ids`), in the order
            watched, without repeats; an empty one is a viewer of whom nothing is known.

    Returns:
        float64 [B, N], rows summing to 1, 0 for the films in the history.
    """
    world = sample_world()
    scores = np.empty((len(histories), len(world.films)))
    for row, history in enumerate(histories):
        scores[row] = _next_film(world, history)
    return scores


def _next_film(world: World, history: Sequence[int]) -> NDArray[np.float64]:
    posterior = np.full(len(world.taste), 1.0 / len(world.taste))
    seen = np.zeros(len(world.films), dtype=np.bool_)
    by_type = next_film_probabilities(world, None, seen)
    for film in history:
        posterior *= by_type[:, film]
        posterior /= posterior.sum()
        seen[film] = True
        by_type = next_film_probabilities(world, film, seen)
    return np.asarray(posterior @ by_type)
