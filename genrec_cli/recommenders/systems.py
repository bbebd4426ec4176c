"""Systems by name: baselines, runs, and runs with a baseline as their prior ("run+baseline")."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from genrec_cli.core.errors import UsageError
from genrec_cli.core.settings import SearchSettings
from genrec_cli.recommenders.base import Recommender
from genrec_cli.recommenders.baselines import BASELINES
from genrec_cli.recommenders.genrec import GenRec
from genrec_cli.recommenders.hybrid import Hybrid, Prior


def find_prior(name: str) -> Callable[[], Prior]:
    """A baseline that scores the whole catalog.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in BASELINES:
        raise UsageError(f"unknown prior '{name}'", f"known are: {', '.join(BASELINES)}")
    return BASELINES[name]


def find_system(
    name: str, runs: Mapping[str, Path], search: SearchSettings
) -> Callable[[], Recommender]:
    """What makes a system.

    Args:
        name: of a baseline or a run, or of a run and its prior with a plus between them.
        runs: folders of finished runs, by name.
        search: how the titles of runs are searched.

    Raises:
        UsageError: it names nothing.
    """
    if name in BASELINES:
        return BASELINES[name]
    if name in runs:
        return partial(GenRec, runs[name], search)
    run, _, prior = name.rpartition("+")
    if run not in runs:
        known = ", ".join([*BASELINES, *runs])
        raise UsageError(f"unknown system '{name}'", f"known are: {known}")
    if search.method == "free":
        raise UsageError(f"'{name}' cannot be searched freely", "a prior needs the trie")
    make = find_prior(prior)
    return lambda: Hybrid(GenRec(runs[run], search), make())


def run_of(name: str, runs: Mapping[str, Path]) -> Path | None:
    """The run that a system needs, if it needs one."""
    return runs.get(name) or runs.get(name.rpartition("+")[0])
