"""Fitting systems once: what a baseline learnt is kept, and found again by what it came from."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from genrec_cli.core.errors import WorkspaceError
from genrec_cli.core.progress import Progress
from genrec_cli.core.provenance import Stopwatch, versions
from genrec_cli.core.sourcecode import code_hash
from genrec_cli.core.workspace import LOCK, locked, read_json, write_json
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import without_test
from genrec_cli.evaluation.arrays import read_arrays
from genrec_cli.evaluation.tuning import choose_settings, choose_weight
from genrec_cli.recommenders.base import Recommender
from genrec_cli.recommenders.baseline import Baseline
from genrec_cli.recommenders.hybrid import Hybrid, Joined

_FITTED: Final = "fitted.json"
_STATE: Final = "state.npz"


class Fitter:
    """Fits systems on a dataset from which the test targets are gone.

    A baseline's state is kept by the hash of the dataset, its grid, its code, that of the split and
    of the choice of settings, and, where it is random, the seed.

    Args:
        dataset: the whole one; systems see it without its test targets.
        shelf: folder that keeps fitted baselines of this dataset.
        progress: where long fitting reports to.
    """

    def __init__(self, dataset: Dataset, shelf: Path, progress: Progress) -> None:
        self.known = without_test(dataset)
        self._shelf = shelf
        self._progress = progress

    def fit(self, system: Recommender, seed: int) -> float:
        """Fit a system, with its settings chosen on validation items, or find it fitted.

        Returns:
            Seconds that it took, then or now; of a run, seconds to load it.
        """
        if isinstance(system, Baseline):
            return self._baseline(system, seed)
        watch = Stopwatch()
        if not isinstance(system, Joined):
            system.fit(self.known, seed)
            return watch.seconds
        earlier = sum(self.fit(parent, seed) for parent in system.parents)
        watch = Stopwatch()
        system.join(self.known)
        if isinstance(system, Hybrid) and system.weight is None:
            choose_weight(system, self.known, seed, self._progress)
        return earlier + watch.seconds

    def _baseline(self, system: Baseline, seed: int) -> float:
        identity = {
            "dataset": self.known.hash,
            **system.identity(),
            "known by": code_hash("data.split", within="data.split"),
            "tuned by": code_hash("evaluation.tuning", within="evaluation"),
            **({"seed": seed} if system.random else {}),
        }
        folder = self._shelf / f"{system.name}-{digest(identity)}"
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            if not (folder / _FITTED).exists():
                self._learn(system, seed, folder, identity)
                return float(read_json(folder / _FITTED)["seconds"])
            return self._restore(system, folder)

    def _restore(self, system: Baseline, folder: Path) -> float:
        try:
            made = read_json(folder / _FITTED)
            state = read_arrays(folder / _STATE)
            record, settings, seconds = (made[key] for key in ("record", "settings", "seconds"))
        except (WorkspaceError, KeyError) as error:
            message = f"{folder}, which keeps a fitted {system.name}, is damaged: {error}"
            raise WorkspaceError(message, f"rm -r '{folder}', and it is fitted again") from None
        system.record = record
        system.restore(self.known, state, settings)
        return float(seconds)

    def _learn(
        self, system: Baseline, seed: int, folder: Path, identity: Mapping[str, Any]
    ) -> None:
        watch = Stopwatch()
        system.folder, system.progress = folder, self._progress
        with self._progress.task(f"{system.name}: fitting", None, ""):
            system.fit(self.known, seed)
        tried = choose_settings(system, self.known, self._progress)
        if tried:
            system.record["validation"] = tried
        # A resumed course has taken longer than this process.
        trained = sum(line["seconds"] for line in system.record.get("curve", ()))
        seconds = max(watch.seconds, trained)
        # The state is no use without its description, which is written last.
        partial = folder / f"partial-{_STATE}"
        np.savez(partial, allow_pickle=False, **system.state())
        partial.replace(folder / _STATE)
        write_json(
            folder / _FITTED,
            {
                **identity,
                "settings": dict(system.settings),
                "record": system.record,
                "seconds": round(seconds, 3),
                "versions": versions(),
            },
        )
        for leftover in folder.iterdir():
            if leftover.name not in {_FITTED, _STATE, LOCK}:
                leftover.unlink()


def digest(identity: Mapping[str, Any]) -> str:
    """A short name for what is the same."""
    text = json.dumps(identity, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
