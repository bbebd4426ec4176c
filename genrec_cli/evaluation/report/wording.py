"""Numbers and settings as the report writes them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

NOTHING = "–"
SIGNIFICANT = 0.05  # level of the tests, after Holm's correction
_LOWEST_P = 0.001  # smaller ones are not told apart


def number(value: Any, decimals: int = 4) -> str:
    """A measured number; a dash for what is missing or not finite.

    Example:
        >>> number(0.16514), number(12345.6, 1), number(None), number(float("nan"))
        ('0.1651', '12,345.6', '–', '–')
    """
    if not _is_finite(value):
        return NOTHING
    return f"{value:,.{decimals}f}".replace("-", "−")


def signed(value: Any) -> str:
    """A difference.

    Example:
        >>> signed(0.0123), signed(-0.0123)
        ('+0.0123', '−0.0123')
    """
    return f"{value:+.4f}".replace("-", "−") if _is_finite(value) else NOTHING


def interval(ends: Sequence[float] | None, joint: str = "–") -> str:
    """Both ends; nothing where there is no interval.

    Example:
        >>> interval([0.157, 0.1732]), interval(None)
        ('0.1570–0.1732', '')
    """
    if not ends or not all(map(_is_finite, ends)):
        return ""
    return joint.join(map(number, ends))


def signed_interval(ends: Sequence[float] | None) -> str:
    """Both ends of a difference.

    Example:
        >>> signed_interval([-0.001, 0.002])
        '−0.0010 to +0.0020'
    """
    return " to ".join(map(signed, ends)) if ends and all(map(_is_finite, ends)) else ""


def share(value: Any) -> str:
    r"""A share in percent.

    Example:
        >>> share(0.2914)
        '29.1\xa0%'
    """
    return f"{100 * value:.1f}\xa0%" if _is_finite(value) else NOTHING


def probability(value: Any) -> str:
    """A p value.

    Example:
        >>> probability(0.0123), probability(0.0002)
        ('0.012', '< 0.001')
    """
    if not _is_finite(value):
        return NOTHING
    return f"< {_LOWEST_P}" if value < _LOWEST_P else f"{value:.3f}"


def seconds(value: Any) -> str:
    """A duration in seconds, more digits the shorter it is.

    Example:
        >>> seconds(0.0424), seconds(3.14), seconds(1234.5)
        ('0.04', '3.1', '1,234')
    """
    if not _is_finite(value):
        return NOTHING
    return f"{value:,.{2 if value < 1 else 1 if value < 100 else 0}f}"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence.

    Example:
        >>> listed(["ease", "als", "pmf"])
        'ease, als and pmf'
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def counted(count: int, noun: str) -> str:
    """How many there are.

    Example:
        >>> counted(1, "user"), counted(6040, "user")
        ('1 user', '6,040 users')
    """
    return f"{count:,} {noun}{'s' if count != 1 else ''}"


def plain(value: Any) -> str:
    """Whatever a manifest holds.

    Example:
        >>> plain({"rule": "hash", "share": 0.42}), plain([1, 2.0]), plain(True), plain(None)
        ('rule hash, share 0.42', '1, 2', 'yes', '–')
    """
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plain(inner)}" for key, inner in value.items()) or NOTHING
    if isinstance(value, list | tuple):
        return ", ".join(map(plain, value)) or NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else NOTHING
    return NOTHING if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
