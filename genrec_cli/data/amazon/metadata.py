"""Titles out of metadata files, which may be many gigabytes of images, prices and descriptions."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json

from genrec_cli.core.errors import DataError
from genrec_cli.core.progress import Progress
from genrec_cli.core.schema import ITEM_ID, RAW_ITEMS, RAW_TITLE
from genrec_cli.data.amazon.editions import Edition
from genrec_cli.data.amazon.layout import is_literal
from genrec_cli.data.amazon.lines import first_line, stretches
from genrec_cli.data.amazon.literals import to_json
from genrec_cli.data.text import Stretch
from genrec_cli.data.text.jsonlines import objects

_TITLE: Final = "title"

# Some titles of 2018 are a piece of the product's page. The notebook that the publishers give with
# the data tells them by this word, calls them unformatted, and drops them.
_SCRIPT: Final = "getTime"

_MEND: Final = "mend or delete that line, or download the metadata again"


def read_titles(path: Path, edition: Edition, progress: Progress) -> pa.Table:
    """Read the titles of a metadata file, and nothing else of it.

    Args:
        path: one JSON object a line, or one Python dictionary; plain or compressed.
        edition: says which key holds the id.
        progress: is told of the bytes read, and of titles that are none.

    Returns:
        A table of schema `RAW_ITEMS`, rows in the file's order; a title that is missing or no text
        is "". An id stands as often as in the file.

    Raises:
        DataError: the first line that is broken or names no item, or a damaged file.
    """
    _, line = first_line(path)
    literal = is_literal(line)
    tables = [RAW_ITEMS.empty_table()]
    for stretch in stretches(path, progress):
        lines = to_json(stretch, (edition.item, _TITLE)) if literal else stretch
        table = _parsed(lines.data, edition.item)
        tables.append(_slowly(lines, edition.item) if table is None else table)
    titles = pa.concat_tables(tables)
    return _without_scripts(titles, path, progress) if edition.year == 2018 else titles


def _parsed(data: bytes, key: str) -> pa.Table | None:
    """All titles at once; None where a line needs a closer look."""
    if not data.lstrip().startswith(b"{"):
        return None  # a bare `null` at the start crashes Arrow 26
    schema = pa.schema([pa.field(key, pa.string()), pa.field(_TITLE, pa.string())])
    try:
        table = arrow_json.read_json(
            pa.BufferReader(data),
            # One block, so that no line straddles two.
            read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(data) + 1),
            parse_options=arrow_json.ParseOptions(
                explicit_schema=schema, unexpected_field_behavior="ignore"
            ),
        )
        table.validate(full=True)  # Arrow reads strings without asking whether they are UTF-8
    except pa.ArrowException:
        return None
    ids = table[key]
    if ids.null_count or pc.any(pc.equal(ids, "")).as_py():
        return None
    return pa.table([ids, pc.fill_null(table[_TITLE], "")], schema=RAW_ITEMS)


def _slowly(stretch: Stretch, key: str) -> pa.Table:
    """The titles line by line; fails at the first line that is no entry."""
    rows = list(_rows(stretch, key))
    ids, titles = zip(*rows, strict=True) if rows else ((), ())
    return pa.table([pa.array(ids, pa.string()), pa.array(titles, pa.string())], schema=RAW_ITEMS)


def _rows(stretch: Stretch, key: str) -> Iterator[tuple[str, str]]:
    for number, record in _objects(stretch):
        item, title = record.get(key), record.get(_TITLE)
        if not isinstance(item, str) or not item.strip():
            problem = "no id" if key in record else "missing"
            raise DataError(f"{stretch.path}:{number}: {key} {item!r} is {problem}", _MEND)
        # Half a surrogate pair, as cut titles have, becomes "?".
        yield item, title.encode(errors="replace").decode() if isinstance(title, str) else ""


def _objects(stretch: Stretch) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        yield from objects(stretch)
    except DataError as error:
        raise DataError(error.message, _MEND) from error


def _without_scripts(table: pa.Table, path: Path, progress: Progress) -> pa.Table:
    scripts = pc.match_substring(table[RAW_TITLE], _SCRIPT)
    count = pc.sum(scripts).as_py() or 0
    if count == 0:
        return table
    what = "title is a page's script" if count == 1 else "titles are pages' scripts"
    progress.note(
        f"{path.name}: {count:,} {what} ({_SCRIPT}) and left out, as the publishers advise"
    )
    titles = pc.if_else(scripts, "", table[RAW_TITLE])
    return pa.table([table[ITEM_ID], titles], schema=RAW_ITEMS)
