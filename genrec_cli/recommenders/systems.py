"""Systems by name: baselines, runs, and two of them as one ("run+rules", "rules:run")."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from genrec_cli.core.errors import UsageError
from genrec_cli.core.settings import SearchSettings
from genrec_cli.recommenders.base import Recommender
from genrec_cli.recommenders.baseline import Baseline
from genrec_cli.recommenders.baselines import BASELINES
from genrec_cli.recommenders.genrec import GenRec
from genrec_cli.recommenders.hybrid import Hybrid, Parent, Reranked

MIXED: Final = "+"
RERANKED: Final = ":"

Maker = Callable[[], Recommender]


def find_prior(name: str) -> type[Baseline]:
    """A baseline that scores the whole catalog.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in BASELINES:
        raise UsageError(f"unknown prior '{name}'", f"known are: {', '.join(BASELINES)}")
    return BASELINES[name]


def find_system(name: str, runs: Mapping[str, Path], search: SearchSettings) -> Maker:
    """What makes a system.

    Args:
        name: of a baseline or a run; or "A+B", where B is the prior of A, or "A:B", where B orders
            the best of A.
        runs: folders of finished runs, by name.
        search: how the titles of runs are searched.

    Raises:
        UsageError: it names nothing, or two that cannot be one.
    """
    parents = parents_of(name)
    if not parents:
        return _find_parent(name, runs, search)
    if search.method == "free":
        raise UsageError(f"'{name}' cannot be searched freely", "two as one need the trie")
    first, second = (_find_parent(parent, runs, search) for parent in parents)
    if RERANKED in name:
        return lambda: Reranked(first(), second())
    if parents[1] in runs:
        fix = f"write {parents[0]}:{parents[1]} to re-rank"
        if parents[0] in BASELINES:
            fix += f", or {parents[1]}+{parents[0]} to mix"
        raise UsageError(f"'{name}': a prior is a baseline, not a run", fix)
    prior = find_prior(parents[1])
    return lambda: Hybrid(first(), prior())


def parents_of(name: str) -> tuple[str, str] | None:
    """The two systems in a name; None where it names one."""
    for sign in (RERANKED, MIXED):
        first, found, second = name.partition(sign)
        if found:
            return first, second
    return None


def runs_of(name: str, runs: Mapping[str, Path]) -> list[Path]:
    """The runs that a system needs."""
    return [runs[part] for part in parents_of(name) or (name,) if part in runs]


def _find_parent(
    name: str, runs: Mapping[str, Path], search: SearchSettings
) -> Callable[[], Parent]:
    if name in BASELINES:
        return BASELINES[name]
    if name in runs:
        return partial(GenRec, runs[name], search)
    known = ", ".join([*BASELINES, *runs])
    raise UsageError(f"unknown system '{name}'", f"known are: {known}")
