"""Lines that are Python dictionaries, as the files of 2014 have them, made into lines of JSON.

Nothing is ever executed: a line is taken apart by a regular expression, and what that does not
understand goes through `ast.literal_eval`, which knows no names and no calls.
"""

import ast
import json
import re
import warnings
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any, Final

from genrec_cli.core.errors import DataError
from genrec_cli.data.amazon.lines import shown
from genrec_cli.data.text import Stretch

# The parser of `ast` needs some hundred times the memory of its text; no product's entry is so long
# that a doubtful one deserves that.
_LONGEST: Final = 1 << 20  # characters

# "++" and "*+" never give back what they took, so no line can make the search slow. Most of a line
# is short strings in lists, which _SHORT takes at a step, with what parts them.
_STRING: Final = r"""u?(?:'[^'\\]*+(?:\\.[^'\\]*+)*+'|"[^"\\]*+(?:\\.[^"\\]*+)*+")"""
_PLAIN: Final = r"-?\d++(?:\.\d*+)?(?:e[-+]?\d++)?|None|True|False"
_SHORT: Final = r"'[^'\\]*+'[\s,:]*+"
_LEAVES: Final = rf"{_SHORT}|[\s,:]++|{_STRING}|{_PLAIN}"
_DEPTH: Final = 3  # of lists and dictionaries in a value; 2014 has two, and a deeper one is rare


def _inside(depth: int) -> str:
    """What may stand between brackets with at most `depth` more brackets inside each other."""
    if depth == 0:
        return rf"(?:{_LEAVES})*+"
    return rf"(?:{_LEAVES}|\[{_inside(depth - 1)}\]|\{{{_inside(depth - 1)}\}})*+"


_NESTED: Final = rf"\[{_inside(_DEPTH - 1)}\]|\{{{_inside(_DEPTH - 1)}\}}"
_ENTRY: Final = re.compile(rf"\s*({_STRING})\s*:\s*({_STRING}|{_PLAIN}|{_NESTED})\s*(,|\}}\s*$)")

_BROKEN: Final = object()


def to_json(stretch: Stretch, keys: Collection[str]) -> Stretch:
    """Rewrite lines of Python dictionaries as lines of JSON, keeping only some of their keys.

    Args:
        stretch: lines of UTF-8. Blank ones stay, so that each line keeps its number.
        keys: the keys to keep; a dictionary may lack some.

    Raises:
        DataError: the first line that is no dictionary of plain values.
    """
    return replace(stretch, data=b"\n".join(_rewritten(stretch, keys)))


def _rewritten(stretch: Stretch, keys: Collection[str]) -> Iterator[bytes]:
    for number, line in enumerate(stretch.data.split(b"\n"), stretch.first_line):
        record = parse(line, keys) if line.strip() else {}
        if record is None:
            raise DataError(
                f"{stretch.path}:{number}: not a Python dictionary of plain values: {shown(line)}",
                "mend or delete that line, or download the data again",
            )
        yield json.dumps(record, default=str).encode() if line.strip() else b""


def parse(raw: bytes, keys: Collection[str] | None = None) -> dict[str, Any] | None:
    """The values of `keys` (None: of all keys) in one line, or None where it is no dictionary.

    Examples:
        >>> parse(b"{'asin': '0001', 'related': {'also_bought': ['0002']}}", ["asin"])
        {'asin': '0001'}
        >>> parse(b"{'asin': __import__('os').getcwd()}")
    """
    try:
        line = raw.decode().strip()
    except UnicodeDecodeError:
        return None
    record = _simple(line, keys)
    if record is None:
        whole = _evaluated(line)
        if not isinstance(whole, dict):
            return None
        record = {key: whole[key] for key in whole if keys is None or key in keys}
    return record


def _simple(line: str, keys: Collection[str] | None) -> dict[Any, Any] | None:
    """Take a dictionary apart by its entries; None where it is not as simple as usual."""
    if not line.startswith("{"):
        return None
    record = {}
    place, end = 1, ","
    while end == ",":
        match = _ENTRY.match(line, place)
        if match is None:
            return None
        name, value, end = match.groups()
        key = _evaluated(name)
        if keys is None or key in keys:
            record[key] = _evaluated(value)
        place = match.end()
    return None if _BROKEN in record.values() else record


def _evaluated(text: str) -> Any:
    """The value that a literal stands for; `_BROKEN` where it is none."""
    quote = text[:1]
    if quote in ("'", '"') and "\\" not in text and text.find(quote, 1) == len(text) - 1:
        return text[1:-1]
    if len(text) > _LONGEST:
        return _BROKEN
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" is taken as "\\d", with a warning
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return _BROKEN
