"""The systems of a bench: which are meant, and whether each of them can be measured at all."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from genrec_cli.core.errors import UsageError, WorkspaceError
from genrec_cli.core.progress import Progress
from genrec_cli.core.settings import SearchSettings
from genrec_cli.data.dataset import Dataset
from genrec_cli.language.run import read_run, require_same_dataset
from genrec_cli.recommenders.baselines import BASELINES, CLASSICAL
from genrec_cli.recommenders.systems import Maker, find_system, parents_of, runs_of

ALL: Final = "all"
_DEFAULT: Final = ""
_GROUPS: Final = {ALL: BASELINES, _DEFAULT: CLASSICAL}


@dataclass(frozen=True)
class Lineup:
    """Which systems are asked for.

    Attributes:
        systems: names; "all" stands for every baseline and run. Empty: the classical baselines and
            every run. Two as one bring their parents along.
        excluded: names that are left out.
        search: how the titles of runs are searched.
    """

    systems: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    search: SearchSettings = SearchSettings()

    def makers(
        self, dataset: Dataset, runs: Mapping[str, Path], progress: Progress
    ) -> dict[str, Maker]:
        """Name -> what makes the system, each once, in the order of the table.

        What nobody asked for by name and cannot be measured is left out with a note.

        Args:
            dataset: what they are measured on.
            runs: folders of its finished runs, by name.
            progress: where notes go.

        Raises:
            UsageError: a name is unknown, or none is left.
            WorkspaceError: a run that was asked for was trained on other data.
        """
        for name in self.excluded:
            find_system(name, runs, self.search)
        found: dict[str, Maker] = {}
        for name in [part for part in self.systems or (_DEFAULT,) if part not in self.excluded]:
            if name in _GROUPS:
                names = [
                    *_feasible(_GROUPS[name], dataset, progress),
                    *_fitting(runs, dataset, progress),
                ]
            else:
                for run in runs_of(name, runs):
                    require_same_dataset(read_run(run), dataset, run.name)
                names = [*(parents_of(name) or ()), name]
            found |= {part: find_system(part, runs, self.search) for part in names}
        kept = {name: maker for name, maker in found.items() if name not in self.excluded}
        if not kept:
            raise UsageError("no system is left", "exclude fewer, or name some with --systems")
        return kept


def _feasible(names: Iterable[str], dataset: Dataset, progress: Progress) -> list[str]:
    """Baselines that this machine has the memory for."""
    kept = []
    for name in names:
        trouble = BASELINES[name].trouble(len(dataset.titles))
        if trouble is None:
            kept.append(name)
        else:
            progress.note(f"leaving out: {name}, {trouble}")
    return kept


def _fitting(runs: Mapping[str, Path], dataset: Dataset, progress: Progress) -> list[str]:
    """Runs that were trained on this very dataset."""
    kept = []
    for name, folder in runs.items():
        try:
            require_same_dataset(read_run(folder), dataset, name)
        except WorkspaceError as error:
            progress.note(f"leaving out: {error.message}")
        else:
            kept.append(name)
    return kept
