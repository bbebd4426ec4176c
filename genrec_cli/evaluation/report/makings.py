"""How every system was made: where it is from, its settings, and what they were chosen by."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from genrec_cli.evaluation.report.contents import Contents
from genrec_cli.evaluation.report.wording import number, plain
from genrec_cli.evaluation.results import leak_in
from genrec_cli.language.record import as_written, item_words_of, method_of

_ASIDE = ("weight", "network", "search")  # settings that stand beside the others


class System(NamedTuple):
    """How one system was made.

    Attributes:
        name: of the system.
        source: the paper and where it departs from it, or what it was made of.
        settings: that were used.
        validation: what was reached on validation items: with each of the settings that were
            tried, or in the end.
    """

    name: str
    source: str
    settings: Mapping[str, str]
    validation: Mapping[str, str]


def systems(contents: Contents) -> list[System]:
    """How every system was made, in the order of the results."""
    described = contents.manifest["systems"]
    return [_system(row["system"], described.get(row["system"], {})) for row in contents.rows]


def leaks(contents: Contents) -> dict[str, str]:
    """What gives answers away in the item ids of systems, by name; of most, nothing does."""
    described = contents.manifest["systems"]
    found = {name: leak_in(own) for name, own in described.items()}
    return {name: meaning for name, meaning in found.items() if meaning}


def _system(name: str, described: Mapping[str, Any]) -> System:
    settings = {**described.get("settings", {}), **{k: described.get(k) for k in _ASIDE}}
    return System(
        name,
        _source(described),
        {key: plain(value) for key, value in settings.items() if value is not None},
        _validation(described),
    )


def _source(described: Mapping[str, Any]) -> str:
    """What a baseline says of itself; of others, what they were made of."""
    if "base" in described:
        return f"{described['base']['name']}, fine-tuned{_manner(described)}."
    if "prior" in described:
        return f"{described['main']['name']}, with {described['prior']['name']} as its prior."
    if "first" in described:
        best = f"The {described['candidates']} best of {described['first']['name']}"
        return f"{best} in the order of {described['second']['name']}."
    return plain(described.get("source"))


def _manner(described: Mapping[str, Any]) -> str:
    """Method and items of a run, where they are not genrec and titles."""
    method, items = method_of(described), item_words_of(described)
    if (method, items) == ("genrec", "titles"):
        return ""
    return f" as {method} on {as_written(items)}"


def _validation(described: Mapping[str, Any]) -> dict[str, str]:
    """By settings for a baseline, by weight for a hybrid, by metric for a run."""
    found = described.get("validation") or described.get("trained", {}).get("best") or {}
    if isinstance(found, Mapping):
        return {key: _figure(value) for key, value in found.items()}
    return {
        plain(tried["settings"]): ", ".join(
            f"{key} {_figure(value)}" for key, value in tried.items() if key != "settings"
        )
        for tried in found
    }


def _figure(value: Any) -> str:
    return number(value) if isinstance(value, float) else plain(value)
