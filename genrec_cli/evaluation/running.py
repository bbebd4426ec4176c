"""Running one system through an exam with every seed, unless that was done before."""

from dataclasses import dataclass

from genrec_cli.core.progress import Progress
from genrec_cli.evaluation.evidence.intervals import bootstrap_interval
from genrec_cli.evaluation.fitting import Fitter
from genrec_cli.evaluation.keeping import Keeper
from genrec_cli.evaluation.protocol import measure
from genrec_cli.evaluation.results import Kind, Result
from genrec_cli.recommenders.base import Recommender
from genrec_cli.recommenders.baseline import Baseline
from genrec_cli.recommenders.genrec import GenRec
from genrec_cli.recommenders.hybrid import Joined
from genrec_cli.recommenders.systems import Maker


@dataclass(frozen=True)
class Runner:
    """Measures systems, or finds them measured.

    Attributes:
        fitter: fits them.
        keeper: keeps what was measured.
        seeds: for systems in which something is random; others get the first.
        progress: where long work reports to.
    """

    fitter: Fitter
    keeper: Keeper
    seeds: tuple[int, ...]
    progress: Progress

    def run(self, make: Maker) -> Result:
        """What a system does in the exam."""
        measured, cached = [], True
        system = make()
        seeds = self.seeds if _random(system) else self.seeds[:1]
        for seed in seeds:
            kept = self.keeper.recall(system, seed)
            if kept is None:
                # A fresh one: the one before, its model with it, is let go.
                system, cached = make(), False
                kept = measure(system, self.keeper.exam, seed, self.fitter.fit, self.progress)
                # Under the identity from before: a hybrid's weight has been chosen since.
                self.keeper.keep(make(), seed, kept)
            measured.append(kept)
        parents = tuple(parent.name for parent in _parents(system))
        return Result(system.name, _kind(system), parents, seeds, tuple(measured), cached)

    def told(self, result: Result) -> str:
        """A result in one line, for those who wait for the others."""
        k = self.keeper.exam.k
        values = result.figures([k])[f"NDCG@{k}"]
        low, high = bootstrap_interval(values, self.seeds[0])
        hits = result.figures([k])[f"HR@{k}"].mean()
        first = result.measured[0]
        said = f"{result.system}: HR@{k} {hits:.4f}, NDCG@{k} {values.mean():.4f} "
        said += f"({low:.4f}–{high:.4f})"
        if result.cached:
            return f"{said}, measured before"
        return f"{said}; {first.fit_seconds:.0f} s to fit, {first.rank_seconds:.0f} s to rank"


def _parents(system: Recommender) -> tuple[Recommender, ...]:
    return system.parents if isinstance(system, Joined) else ()


def _random(system: Recommender) -> bool:
    """Whether another seed could give other rankings."""
    if isinstance(system, Baseline):
        return system.random
    return any(_random(parent) for parent in _parents(system))


def _kind(system: Recommender) -> Kind:
    if isinstance(system, Baseline):
        return "baseline"
    return "run" if isinstance(system, GenRec) else "hybrid"
