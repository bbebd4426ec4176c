"""The slow look at JSON lines, by Python's `json`: it reads what Arrow cannot, or names a line."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyarrow as pa

from genrec_cli.core.errors import DataError
from genrec_cli.data.text import faults
from genrec_cli.data.text.blocks import Stretch
from genrec_cli.data.text.rows import checked
from genrec_cli.data.text.times import TimeForm

_NUMBERS: Final = ("time", "rating")  # roles that may be fractions


def objects(stretch: Stretch) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and object of each line that is not blank, by Python's `json`.

    Raises:
        DataError: a line that is no JSON object, or no UTF-8.
    """
    for line, raw in enumerate(stretch.data.split(b"\n"), stretch.first_line):
        if raw.strip():
            yield line, _object(raw, f"{stretch.path}:{line}")


def _object(raw: bytes, where: str) -> dict[str, Any]:
    try:
        text = raw.decode()
        value = json.loads(text)
    except UnicodeDecodeError as error:
        raise faults.not_text(where, raw[error.start]) from error
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", None) or str(error)
        problem = f"no JSON object in one line ({reason}): {faults.shown(text.strip())}"
        raise DataError(f"{where}: {problem}", _fix(text)) from error
    if not isinstance(value, dict):
        raise DataError(
            f"{where}: no JSON object: {faults.shown(text.strip())}",
            _fix(text),
        )
    return value


def _fix(text: str) -> str:
    if text.strip().startswith("["):
        return "write one object a line: jq -c '.[]' file.json > file.jsonl"
    return 'write one object a line: {"user": …, "item": …, "time": …}'


def read_slowly(
    stretch: Stretch, roles: Mapping[str, str], time: TimeForm
) -> dict[str, pa.ChunkedArray]:
    """Read line by line, as text; raise for the first line that cannot be used."""
    lines: list[int] = []
    values: dict[str, list[str | None]] = {role: [] for role in roles}
    broken = None
    try:
        for line, row in objects(stretch):
            where = f"{stretch.path}:{line}"
            given = {role: _text(row, role, name, where) for role, name in roles.items()}
            lines.append(line)
            for role, value in given.items():
                values[role].append(value)
    except DataError as error:
        broken = error  # a value further up may be unfit
    columns = {role: pa.chunked_array([pa.array(v, pa.string())]) for role, v in values.items()}
    unfit = faults.first_fault(columns, time)
    if unfit:
        value = values[unfit.role][unfit.row]
        line, key = lines[unfit.row], roles[unfit.role]
        if value is None:
            raise _missing(f"{stretch.path}:{line}", key, unfit.role)
        raise faults.unfit_value(stretch.path, line, key, value, unfit)
    if broken:
        raise broken
    return checked(columns, time)


def _text(row: Mapping[str, Any], role: str, key: str, where: str) -> str | None:
    """A value as text; None where it is missing or null."""
    value = row.get(key)
    if value is None or isinstance(value, str):
        if value is not None and not value.isprintable():
            _refuse_surrogates(value, key, where)
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and role in _NUMBERS:
        return repr(value)
    due = "no number" if role in _NUMBERS else "neither text nor a whole number"
    raise DataError(
        f"{where}: {key} {faults.shown(json.dumps(value))} is {due}", faults.FIXES[role]
    )


def _refuse_surrogates(value: str, key: str, where: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{where}: {key} {faults.shown(value)} has half a character (a lone surrogate)",
            "mend or delete that line",
        ) from error


def _missing(where: str, key: str, role: str) -> DataError:
    return DataError(f"{where}: {key} is missing or null", faults.FIXES[role])
