"""Lines that are Python dictionaries, as the files of 2014 have them, made into lines of JSON.

Nothing is ever executed: a line is taken apart by a regular expression, and what that does not
understand goes through `ast.literal_eval`, which knows no names and no calls.
"""

import ast
import json
import re
import warnings
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from genrec_cli.core.errors import DataError

# The parser of `ast` needs some hundred times the memory of its text; no product's entry is so long
# that a doubtful one deserves that.
_LONGEST: Final = 1 << 20  # characters
_SHOWN: Final = 60  # characters of an offending line

# "++" and "*+" never give back what they took, so no line can make the search slow.
_STRING: Final = r"""u?(?:'[^'\\]*+(?:\\.[^'\\]*+)*+'|"[^"\\]*+(?:\\.[^"\\]*+)*+")"""
_PLAIN: Final = r"-?\d++(?:\.\d*+)?(?:e[-+]?\d++)?|None|True|False"
_FLAT: Final = rf"(?:[\s,:]++|{_STRING}|{_PLAIN})*+"
_INNER: Final = rf"(?:[\s,:]++|{_STRING}|{_PLAIN}|\[{_FLAT}\]|\{{{_FLAT}\}})*+"
_ENTRY: Final = re.compile(
    rf"""\s*({_STRING})\s*:\s*({_STRING}|{_PLAIN}|\[{_INNER}\]|\{{{_INNER}\}})\s*(,|\}}\s*$)"""
)


def to_json(stretch: bytes, keys: Collection[str], path: Path, first_line: int) -> bytes:
    """Rewrite lines of Python dictionaries as lines of JSON, keeping only some of their keys.

    Args:
        stretch: whole lines, UTF-8. Blank lines stay as they are, so line numbers do, too.
        keys: the keys to keep; a dictionary may lack some.
        path: what to call the file.
        first_line: the number of the stretch's first line in it.

    Raises:
        DataError: the first line that is no dictionary of plain values.
    """
    return b"\n".join(_rewritten(stretch, keys, path, first_line))


def _rewritten(
    stretch: bytes, keys: Collection[str], path: Path, first_line: int
) -> Iterator[bytes]:
    for number, raw in enumerate(stretch.split(b"\n"), first_line):
        if not raw.strip():
            yield b""
            continue
        record = parse(raw, keys)
        if record is None:
            text = raw[: 4 * _SHOWN].decode(errors="replace").rstrip("\r")
            shown = repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
            raise DataError(
                f"{path}:{number}: not a Python dictionary of plain values: {shown}",
                "mend or delete that line, or download the data again",
            )
        yield json.dumps(record, default=str).encode()


def parse(raw: bytes, keys: Collection[str] | None = None) -> dict[str, Any] | None:
    """The values of `keys` (None: of all keys) in one line, or None where it is no dictionary.

    Examples:
        >>> parse(b"{'asin': '0001', 'related': {'also_bought': ['0002']}}", ["asin"])
        {'asin': '0001'}
        >>> parse(b"{'asin': __import__('os').getcwd()}")
    """
    try:
        line = raw.decode("utf-8").strip()
    except UnicodeDecodeError:
        return None
    tokens = _entries(line)
    if tokens is None:
        record = _evaluated(line)
        if not isinstance(record, dict):
            return None
        return {key: record[key] for key in record if keys is None or key in keys}
    named = ((_evaluated(key), value) for key, value in tokens.items())
    picked = {key: value for key, value in named if keys is None or key in keys}
    return _values(picked)


def _entries(line: str) -> dict[str, str] | None:
    """The entries of a dictionary, still as written; None where it is not simple enough."""
    if not line.startswith("{"):
        return None
    entries: dict[str, str] = {}
    place, end = 1, ","
    while end == ",":
        match = _ENTRY.match(line, place)
        if match is None:
            return None
        key, value, end = match.groups()
        entries[key] = value
        place = match.end()
    return entries


_BROKEN: Final = object()


def _values(tokens: Mapping[Any, str]) -> dict[str, Any] | None:
    values = {key: _evaluated(value) for key, value in tokens.items()}
    return None if _BROKEN in values.values() or _BROKEN in values else values


def _evaluated(text: str) -> Any:
    """The value that a literal stands for; `_BROKEN` where it is none."""
    quote = text[:1]
    if quote in ("'", '"') and "\\" not in text and text.find(quote, 1) == len(text) - 1:
        return text[1:-1]
    if len(text) > _LONGEST:
        return _BROKEN
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of "\d", which is "\\d" and no reason to complain
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return _BROKEN
