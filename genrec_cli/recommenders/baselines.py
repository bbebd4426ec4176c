"""The baselines, by the names that `bench` and its tables use."""

from collections.abc import Callable, Mapping
from typing import Final

from genrec_cli.recommenders.hybrid import Prior
from genrec_cli.recommenders.popularity import Popularity

BASELINES: Final[Mapping[str, Callable[[], Prior]]] = {"popularity": Popularity}
"""Name -> baseline; all of them run by default."""
