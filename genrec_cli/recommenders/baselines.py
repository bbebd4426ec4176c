"""The baselines, by the names that `bench` and its tables use."""

from collections.abc import Callable, Mapping
from typing import Final

from genrec_cli.recommenders.base import Recommender
from genrec_cli.recommenders.popularity import Popularity

BASELINES: Final[Mapping[str, Callable[[], Recommender]]] = {"popularity": Popularity}
"""Name -> baseline; all of them run by default."""
