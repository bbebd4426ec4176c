"""What a reader must know to judge and to repeat: protocol, data, command."""

import shlex
from collections.abc import Mapping
from typing import Any

from genrec_cli.evaluation.report.contents import Contents
from genrec_cli.evaluation.report.wording import plain, share

_PROTOCOL = {
    "split": "Split",
    "candidates": "Candidates",
    "items": "Items ranked",
    "users": "Users asked",
    "time_ties": "Tied times",
    "score_ties": "Tied scores",
    "interval": "Intervals",
    "cutoffs": "Cutoffs",
    "primary": "Primary metric",
    "seed": "Seed",
    "seeds": "Seeds of random systems",
    "reference": "Compared with",
    "search": "Search of titles",
}
_SEARCH_OPTIONS = {"method": "search", "over": "normaliser"}


def protocol(contents: Contents) -> dict[str, str]:
    """What was asked of whom, by heading."""
    found = dict(contents.manifest["protocol"])
    shown = {words: _rule(key, found) for key, words in _PROTOCOL.items() if key in found}
    hidden = {*_PROTOCOL, "users_of", "dataset_hash"}
    return shown | {key: plain(value) for key, value in found.items() if key not in hidden}


def _rule(key: str, found: Mapping[str, Any]) -> str:
    value = found[key]
    if key == "users":
        return f"{value:,} of {found.get('users_of', value):,}"
    if key == "time_ties" and isinstance(value, Mapping):
        return f"by {value.get('rule', 'order')}; decides for {share(value.get('share'))} of users"
    return plain(value)


def data(contents: Contents) -> dict[str, str]:
    """What the dataset is, by heading."""
    card = contents.card
    settings = {key: value for key, value in card["settings"].items() if value is not None}
    return {
        "Name": card["name"],
        "Source": card["source"],
        "Users": f"{card['users']:,}",
        "Items": f"{card['items']:,}",
        "Events": f"{card['interactions']:,}",
        "Prepared with": plain({key.replace("_", " "): value for key, value in settings.items()}),
        "Content hash": contents.manifest["protocol"]["dataset_hash"],
        **({"Cite": card["citation"]} if card.get("citation") else {}),
    }


def command(contents: Contents) -> str:
    """The command that measures the same again."""
    manifest, rules = contents.manifest, contents.manifest["protocol"]
    words = ["genrec", "bench", "--dataset", manifest["dataset"]]
    words += ["--systems", ",".join(row["system"] for row in manifest["rows"])]
    words += ["--k", *map(str, rules["cutoffs"])]
    if rules["users"] < rules.get("users_of", rules["users"]):
        words += ["--users", str(rules["users"])]
    if rules["split"].endswith("validation"):
        words += ["--split", "validation"]
    words += ["--seed", str(rules["seed"])]
    if rules["seeds"] > 1:
        words += ["--seeds", str(rules["seeds"])]
    if str(rules.get("reference", "")).endswith(", as asked"):
        words += ["--reference", manifest["comparisons"]["reference"]]
    for name, value in rules.get("search", {}).items():
        words += [f"--{_SEARCH_OPTIONS.get(name, name)}", str(value)]
    return shlex.join(words)
