"""What a bench and a dataset leave behind, made up, for tests of what is written from it."""

from collections.abc import Iterable, Sequence
from typing import Any

Json = dict[str, Any]
NDCG = {
    "sasrec": 0.1668,
    "nano-1+rules": 0.1523,
    "rules": 0.1411,
    "nano-1": 0.1312,
    "recent": 0.024,
}


def kind(system: str) -> str:
    """As `metrics.json` says it."""
    if "+" in system:
        return "hybrid"
    return "run" if system.startswith("nano") else "baseline"


def row(system: str, ndcg: float, users: int) -> Json:
    """One system's row; its other figures follow from NDCG@10."""
    found: Json = {"system": system, "kind": kind(system), "users": users, "cached": False}
    if "+" in system:
        found["parents"] = system.split("+")
    for k, part in ((5, 0.8), (10, 1.0)):
        for name, factor in (("HR", 1.8), ("NDCG", 1.0), ("MRR", 0.75)):
            value = ndcg * part * factor
            found[f"{name}@{k}"] = value
            found[f"{name}@{k}_ci"] = [0.95 * value, 1.05 * value]
        found |= {f"valid@{k}": 1.0, f"unique@{k}": 1.0}
    found |= {"coverage@10": 0.31, "gini@10": 0.81, "novelty@10": 9.4, "popularity_lift@10": 1.2}
    found |= {"diversity@10": 0.87, "exact": 0.98 if "nano" in system else 1.0, "seeds": [0]}
    return found | {"fit_seconds": 12.3, "rank_seconds": 4.56, "peak_gb": 1.234}


def comparisons(rows: Sequence[Json], reference: str) -> Json:
    """Every other system against the reference; small differences could be chance."""
    base = next(one["NDCG@10"] for one in rows if one["system"] == reference)
    found = []
    for one in rows:
        difference = one["NDCG@10"] - base
        p = 0.2 if abs(difference) < 0.01 else 0.0002
        if one["system"] != reference:
            ends = [difference - 0.005, difference + 0.005]
            found.append({"system": one["system"], "difference": difference, "ci": ends})
            found[-1] |= {"p": p / 2, "p_holm": p}
    return {"metric": "NDCG@10", "reference": reference, "rows": found, "detectable": 0.0043}


def sliced(name: str, labels: Iterable[str], rows: Sequence[Json]) -> Json:
    """The figures of all users, said of each group."""
    systems = {
        one["system"]: {key: one[key] for key in ("HR@10", "NDCG@10", "NDCG@10_ci")} for one in rows
    }
    return {"name": name, "bins": [{"label": x, "users": 321, "systems": systems} for x in labels]}


def made(system: str) -> Json:
    """What a system says of itself."""
    if "+" in system:
        main, prior = ({"name": name, **made(name)} for name in system.split("+"))
        return {"main": main, "prior": prior, "weight": 0.3, "validation": {"0.3": 0.1777}}
    if system.startswith("nano"):
        return {
            "base": {"name": "nano-base", "revision": None},
            "settings": {"lora_rank": 16, "lora_targets": ["all-linear"], "patience": None},
            "trained": {"best": {"validation_loss": 5.129, "NDCG@10": 0.1888}},
            "search": {"method": "best-first"},
        }
    tried = [{"settings": {"decay": decay}, "NDCG@10": decay / 5} for decay in (0.5, 0.85)]
    return {"source": f"Paper of {system}", "settings": {"decay": 0.85}, "validation": tried}


def bench(ndcg: dict[str, float], users: int = 6040) -> Json:
    """`metrics.json`; the reference is `rules` if it is among the systems."""
    rows = [row(system, value, users) for system, value in ndcg.items()]
    ladder = [(k / 10) ** 0.5 for k in range(1, 11)]
    return {
        "format": 2,
        "created": "2026-11-21T12:40:23.713539+00:00",
        "dataset": "ml-1m",
        "protocol": {
            "dataset_hash": "sha256:716ca08b",
            "split": "leave-one-out, test",
            "candidates": "whole catalog minus the user's history",
            "items": 3416,
            "users": users,
            "users_of": 6040,
            "time_ties": {"rule": "hash", "share": 0.4212},
            "score_ties": "expected value",
            "interval": "95 % percentile bootstrap over users, 1000 resamples",
            "seed": 7,
            "seeds": 1,
            "cutoffs": [5, 10],
            "primary": "NDCG@10",
        },
        "rows": rows,
        "by_k": {
            one["system"]: {m: [one[f"{m}@10"] * part for part in ladder] for m in ("HR", "NDCG")}
            for one in rows
        },
        "comparisons": comparisons(rows, "rules") if "rules" in ndcg else None,
        "slices": [
            sliced("history length", ("5–19", "20–49", "50+"), rows),
            sliced("target popularity", ("head", "tail"), rows),
        ],
        "seed_groups": [{"systems": ["nano-1", "nano-2"], "NDCG@10": 0.13, "NDCG@10_sd": 0.0021}],
        "systems": {system: made(system) for system in ndcg},
        "versions": {"genrec": "0.1.0", "numpy": "2.4.6"},
        "wall_seconds": 931.2,
        "peak_gb": 2.61,
    }


def card() -> Json:
    """`dataset.json`."""
    return {
        "name": "ml-1m",
        "hash": "sha256:716ca08b",
        "source": "ml-1m.zip (MovieLens 1m)",
        "citation": "Harper & Konstan 2015. https://doi.org/10.1145/2827872",
        "users": 6040,
        "items": 3416,
        "interactions": 999611,
        "settings": {"min_user": 5, "since": None, "ties": "hash"},
        "funnel": [{"step": "read", "rows": 1000209, "users": 6040, "items": 3706}],
        "audit": {
            "findings": [
                {"name": "tied test items", "value": "42.1%", "meaning": "A hash.", "warns": True},
                {"name": "repeated events", "value": "0.0%", "meaning": "No user.", "warns": False},
            ]
        },
        "versions": {"genrec": "0.1.0"},
    }
