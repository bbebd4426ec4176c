"""In what two benches differ besides their figures: protocol, versions, settings."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from genrec_cli.evaluation.earlier.benches import Bench

# What fitting or training measured: it follows from the rest.
_MEASURED: Final = {
    "validation",
    "curve",
    "plan",
    "trained",
    "origins",
    "versions",
    "wall_seconds",
    "peak_gb",
    "peak_gpu_gb",
}


class Difference(NamedTuple):
    """One thing that is not the same.

    Attributes:
        about: "protocol", "versions" or the name of a system.
        what: name of the value, with dots where it lies within another.
        first: its value in the first bench; None also where it has none.
        second: the same in the second.
    """

    about: str
    what: str
    first: Any
    second: Any


def differences(first: Bench, second: Bench) -> list[Difference]:
    """What differs in protocol, versions, and systems that are in both."""
    pairs = [(about, first.manifest, second.manifest) for about in ("protocol", "versions")]
    shared = [system for system in first.systems if system in second.systems]
    pairs += [(system, first.manifest["systems"], second.manifest["systems"]) for system in shared]
    return [
        Difference(about, what, *values)
        for about, one, other in pairs
        for what, values in _unequal(one.get(about) or {}, other.get(about) or {})
    ]


def _unequal(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> Iterator[tuple[str, tuple[Any, Any]]]:
    one, other = dict(_flat(first, "")), dict(_flat(second, ""))
    for what in {**one, **other}:
        values = one.get(what), other.get(what)
        if values[0] != values[1]:
            yield what, values


def _flat(values: Mapping[str, Any], before: str) -> Iterator[tuple[str, Any]]:
    """Values by their way through nested mappings, as in `time_ties.rule`."""
    for key, value in values.items():
        if key in _MEASURED:
            continue
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value
