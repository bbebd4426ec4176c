"""What a report needs beside the figures: users to show side by side, and training curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from genrec_cli.evaluation.report.contents import Contents, Witness
from genrec_cli.evaluation.results import Results
from genrec_cli.language.metrics_log import METRICS_FILE, MetricsLog

_WITNESSES: Final = 20
_Curve = Sequence[Mapping[str, Any]]


def contents(results: Results, manifest: Mapping[str, Any], runs: Mapping[str, Path]) -> Contents:
    """Everything that the report of a bench shows.

    Args:
        results: of the bench.
        manifest: its `metrics.json`.
        runs: folders of finished runs, by name.
    """
    card = results.exam.dataset.manifest
    return Contents(manifest, card, _witnesses(results), _curves(results, runs))


def _witnesses(results: Results) -> list[Witness]:
    """Twenty users, drawn by the seed."""
    dataset, cases = results.exam.dataset, results.exam.cases
    rng = np.random.default_rng(results.seed)
    drawn = np.sort(rng.choice(len(cases), min(_WITNESSES, len(cases)), replace=False))
    return [
        Witness(
            user_id=dataset.user_ids[cases.rows[place]],
            history=[dataset.titles[item] for item in cases.histories[place]],
            target=dataset.titles[cases.targets[place]],
            lists={
                result.system: [
                    dataset.titles[item] for item in result.measured[0].items[place] if item >= 0
                ]
                for result in results.results
            },
        )
        for place in drawn.tolist()
    ]


def _curves(results: Results, runs: Mapping[str, Path]) -> dict[str, _Curve]:
    found: dict[str, _Curve] = {}
    for result in results.results:
        if result.system in runs:
            found[result.system] = MetricsLog(runs[result.system] / METRICS_FILE).lines()
        elif "curve" in result.measured[0].description:
            found[result.system] = result.measured[0].description["curve"]
    return {system: lines for system, lines in found.items() if lines}
