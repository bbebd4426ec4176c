"""Runs that differ in nothing but their seed, taken together."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genrec_cli.evaluation.evidence.seeds import over_seeds
from genrec_cli.evaluation.results import Results
from genrec_cli.language.run import read_run


def seed_groups(results: Results, runs: Mapping[str, Path]) -> list[dict[str, Any]]:
    """Mean and sample deviation of the metrics over runs of equal settings and base model.

    Args:
        results: of a bench.
        runs: folders of finished runs, by name.
    """
    groups: dict[str, dict[int, str]] = {}  # of two runs of one seed the later counts
    for result in results.results:
        if result.kind == "run":
            alike, seed = _alike(runs[result.system])
            groups.setdefault(alike, {})[seed] = result.system
    found = []
    for group in groups.values():
        systems = list(group.values())
        if len(systems) > 1:
            rows = [
                {name: float(values.mean()) for name, values in results.per_user[system].items()}
                for system in systems
            ]
            found.append({"systems": systems, **over_seeds(rows)})
    return found


def _alike(run: Path) -> tuple[str, int]:
    """What runs have in common that could stand for each other, and the seed."""
    settings = dict(read_run(run)["settings"])
    seed = settings.pop("seed")
    return json.dumps(settings, sort_keys=True, default=str), seed
