"""The baselines, by the names that `bench` and its tables use."""

from collections.abc import Mapping
from typing import Final

from genrec_cli.recommenders.baseline import Baseline
from genrec_cli.recommenders.counting.popularity import Popularity

CLASSICAL: Final[Mapping[str, type[Baseline]]] = {kind.name: kind for kind in [Popularity]}
"""Name -> baseline; fitted in seconds, so all of them run by default."""

BASELINES: Final[Mapping[str, type[Baseline]]] = {**CLASSICAL}
"""Name -> baseline; those that take longer run when they are named."""
