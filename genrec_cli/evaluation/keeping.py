"""Measurements that were made before: a bench that was cut short goes on, one repeated is read."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genrec_cli.core.errors import WorkspaceError
from genrec_cli.core.sourcecode import code_hash
from genrec_cli.core.workspace import read_json, write_json
from genrec_cli.evaluation.arrays import read_arrays
from genrec_cli.evaluation.fitting import digest
from genrec_cli.evaluation.metrics import Placement
from genrec_cli.evaluation.protocol import Exam, Measured
from genrec_cli.recommenders.base import Recommender

_ARRAYS: Final = "arrays.npz"
_MEASURED: Final = "measured.json"  # written last


@dataclass(frozen=True)
class Keeper:
    """Keeps measurements of one exam.

    They are found again by the system's identity, the dataset, who was asked for what, the length
    of the lists, the seed, and the code that all of it ran through.

    Attributes:
        folder: where they lie.
        exam: what was asked.
    """

    folder: Path
    exam: Exam

    def recall(self, system: Recommender, seed: int) -> Measured | None:
        """What the same system did in the same exam, if it was kept, and is whole."""
        folder = self._place(system, seed)
        if not (folder / _MEASURED).exists():
            return None
        try:
            made, kept = read_json(folder / _MEASURED), read_arrays(folder / _ARRAYS)
            placement = Placement(kept["above"], kept["tied"])
            return Measured(placement, kept["items"], kept["exact"], **made)
        except (WorkspaceError, KeyError, TypeError):  # damaged: it is measured again
            return None

    def keep(self, system: Recommender, seed: int, measured: Measured) -> None:
        """Write down what a system did."""
        folder = self._place(system, seed)
        folder.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, NDArray[Any]] = {
            "above": measured.placement.above,
            "tied": measured.placement.tied,
            "items": measured.items,
            "exact": measured.exact,
        }
        partial = folder / f"partial-{os.getpid()}-{_ARRAYS}"
        np.savez_compressed(partial, allow_pickle=False, **arrays)
        partial.replace(folder / _ARRAYS)
        made = {
            "fit_seconds": measured.fit_seconds,
            "rank_seconds": measured.rank_seconds,
            "peak_gb": measured.peak_gb,
            "description": json.loads(json.dumps(measured.description, default=str)),
        }
        write_json(folder / _MEASURED, made)

    def _place(self, system: Recommender, seed: int) -> Path:
        cases = self.exam.cases
        asked: Mapping[str, Any] = {
            "system": system.identity(),
            "dataset": self.exam.dataset.hash,
            "users": cases.rows.tolist(),
            "targets": cases.targets.tolist(),
            "k": self.exam.k,
            "seed": seed,
            "code": code_hash("evaluation.protocol"),
            "tuned by": code_hash("evaluation.tuning", within="evaluation"),
        }
        return self.folder / f"{system.name}-{digest(asked)}"
