"""Small benches made by hand: `metrics.json` and `per_user.parquet` from everybody's ranks."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Ranks = Mapping[str, int]
"""User -> rank of her target; she is asked for the item `i-<user>` unless it is said otherwise."""

CUTOFFS = (5, 10)


@dataclass(frozen=True)
class MadeBench:
    """What a bench should hold; everything that is not named is as in every other one."""

    ranks: Mapping[str, Ranks]
    created: str = "2026-11-21T10:00:00.000000+00:00"
    dataset: str = "toys"
    targets: Mapping[str, str] = field(default_factory=dict)
    parents: Mapping[str, list[str]] = field(default_factory=dict)
    protocol: Mapping[str, Any] = field(default_factory=dict)
    comparisons: Mapping[str, Any] | None = None
    systems: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=lambda: {"genrec": "0.1.0"})

    def manifest(self) -> dict[str, Any]:
        """`metrics.json`."""
        return {
            "format": 2,
            "created": self.created,
            "dataset": self.dataset,
            "protocol": self._protocol(),
            "rows": [self._row(system) for system in self.ranks],
            "comparisons": self.comparisons,
            "systems": {system: dict(self.systems.get(system, {})) for system in self.ranks},
            "versions": dict(self.versions),
        }

    def table(self) -> pa.Table:
        """`per_user.parquet`."""
        return pa.Table.from_pylist(
            [
                {
                    "system": system,
                    "user_id": user,
                    "item_id": self.targets.get(user, f"i-{user}"),
                    "rank": rank,
                    "tied": 1,
                    **figures(rank),
                }
                for system, ranks in self.ranks.items()
                for user, rank in ranks.items()
            ]
        )

    def write(self, folder: Path) -> Path:
        """Both files."""
        folder.mkdir(parents=True)
        pq.write_table(self.table(), folder / "per_user.parquet")
        (folder / "metrics.json").write_text(json.dumps(self.manifest()), encoding="utf-8")
        return folder

    def _protocol(self) -> dict[str, Any]:
        users = len(next(iter(self.ranks.values())))
        return {
            "dataset_hash": "sha256:00",
            "split": "leave-one-out, test",
            "candidates": "whole catalog minus the user's history",
            "items": 427,
            "users": users,
            "users_of": 600,
            "time_ties": {"rule": "hash", "share": 0.421},
            "score_ties": "expected value",
            "interval": "95 % percentile bootstrap over users, 1000 resamples",
            "seed": 0,
            "seeds": 1,
            "cutoffs": list(CUTOFFS),
            "primary": "NDCG@10",
            **self.protocol,
        }

    def _row(self, system: str) -> dict[str, Any]:
        parents = self.parents.get(system)
        each = [figures(rank) for rank in self.ranks[system].values()]
        row: dict[str, Any] = {"system": system, "kind": "hybrid" if parents else "baseline"}
        if parents:
            row["parents"] = parents
        row["users"] = len(each)
        for name in each[0]:
            row[name] = sum(user[name] for user in each) / len(each)
            row[f"{name}_ci"] = [max(0.0, row[name] - 0.01), row[name] + 0.01]
        return {**row, "coverage@10": 0.5, "exact": 1.0, "seeds": [0], "cached": False}


def figures(rank: int) -> dict[str, float]:
    """Every metric of one user."""
    gains = {"HR": 1.0, "NDCG": 1 / math.log2(rank + 1), "MRR": 1 / rank}
    return {f"{name}@{k}": gain * (rank <= k) for k in CUTOFFS for name, gain in gains.items()}
