"""JSON lines through `pyarrow.json`, a stretch at a time; line by line where that fails."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
from pyarrow import json as arrow_json

from genrec_cli.data.text.blocks import Stretch
from genrec_cli.data.text.jsonlook import objects, read_slowly
from genrec_cli.data.text.roles import Roles
from genrec_cli.data.text.rows import assembled, checked
from genrec_cli.data.text.times import TimeForm
from genrec_cli.data.text.unfit import Unfit

__all__ = ["JsonBlock", "JsonForm", "objects", "parse", "read_columns"]

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
    return read_slowly(stretch, roles, time)


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
