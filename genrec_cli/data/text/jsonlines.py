"""JSON lines through `pyarrow.json`, a stretch at a time; line by line where that fails."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
from pyarrow import json as arrow_json

from genrec_cli.core.errors import DataError
from genrec_cli.data.text import faults
from genrec_cli.data.text.blocks import Stretch
from genrec_cli.data.text.roles import Roles
from genrec_cli.data.text.rows import assembled, checked
from genrec_cli.data.text.times import TimeForm
from genrec_cli.data.text.unfit import Unfit

# A file that begins with a bare `null` crashes Arrow 26; such a stretch is read line by line.
_OBJECT: Final = re.compile(rb"\s*\{")

_USUAL: Final = {"time": pa.int64(), "rating": pa.float64()}  # the other roles are text


@dataclass(frozen=True)
class JsonForm:
    """How lines of JSON become interactions.

    Attributes:
        roles: which of the keys play which role; other keys are skipped.
        time: how times are written.
        kinds: role -> type of its values: string, int64 or float64. Roles that are not named have
            text, but times int64 and ratings float64.
    """

    roles: Roles
    time: TimeForm
    kinds: Mapping[str, pa.DataType] = field(default_factory=dict)


@dataclass(frozen=True)
class JsonBlock:
    """Whole lines of a file with one JSON object a line."""

    stretch: Stretch
    form: JsonForm

    def read(self) -> pa.Table:
        """Parse the lines; see `rows.assembled`.

        Lines that change between numbers and text for a value are read too, only more slowly.

        Raises:
            DataError: the first line that cannot be used, with its number and value.
        """
        roles = self.form.roles.named()
        return assembled(read_columns(self.stretch, roles, self.form.kinds, self.form.time))


def read_columns(
    stretch: Stretch,
    roles: Mapping[str, str],
    kinds: Mapping[str, pa.DataType],
    time: TimeForm,
) -> dict[str, pa.ChunkedArray]:
    """Parse whole lines into role -> values, checked; see `rows.checked`.

    Args:
        stretch: the lines.
        roles: role -> key.
        kinds: role -> type, as in `JsonForm`.
        time: how times are written.

    Raises:
        DataError: the first line that cannot be used, with its number and value.
    """
    columns = parse(stretch.data, roles, kinds)
    if columns is not None:
        try:
            return checked(columns, time)
        except Unfit:
            pass  # the line by line look finds out where
    return _read_slowly(stretch, roles, time)


def parse(
    data: bytes, roles: Mapping[str, str], kinds: Mapping[str, pa.DataType]
) -> dict[str, pa.ChunkedArray] | None:
    """Parse whole lines of JSON fast, on one thread.

    Args:
        data: the lines.
        roles: role -> key.
        kinds: role -> type, as in `JsonForm`.

    Returns:
        Role -> values, null where the key is missing or null. None where Arrow cannot read it.
    """
    if not _OBJECT.match(data):
        return None
    types = {name: kinds.get(role, _USUAL.get(role, pa.string())) for role, name in roles.items()}
    schema = pa.schema(list(types.items()))
    try:
        table = arrow_json.read_json(
            pa.BufferReader(data),
            read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(data) + 1),
            parse_options=arrow_json.ParseOptions(
                explicit_schema=schema, unexpected_field_behavior="ignore"
            ),
        )
        table.validate(full=True)  # Arrow lets bytes pass that are no UTF-8
    except pa.ArrowException:
        return None
    return {role: table[name] for role, name in roles.items()}


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


def _read_slowly(
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
    if isinstance(value, float) and role in _USUAL:
        return repr(value)
    due = "no number" if role in _USUAL else "neither text nor a whole number"
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
