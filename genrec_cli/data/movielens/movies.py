"""Titles files, line by line: at most some 90,000 short lines, and every one is looked at."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa

from genrec_cli.core.errors import DataError
from genrec_cli.core.schema import RAW_ITEMS
from genrec_cli.data.movielens.faults import MEND, bad_id
from genrec_cli.data.movielens.layouts import Found, Layout
from genrec_cli.data.movielens.source import Source, open_file
from genrec_cli.data.text.faults import (
    named,
    not_text,
    shown,
    split_quoted,
    wrong_separator,
)

_ITEM_FIELDS = 24  # of u.item: id, title, two dates, address, 19 genres


class _Movie(NamedTuple):
    item_id: str
    title: str


_Splitter = Callable[[str], _Movie | None]  # None: the line does not have the due fields


def read_movies(source: Source, found: Found) -> pa.Table:
    """Read the titles as a table of schema `RAW_ITEMS`; a title may be empty.

    Raises:
        DataError: bytes in another encoding, the first broken line, or an id that stands twice.
    """
    name = found.folder + found.layout.movies
    with open_file(source, name) as stream:
        data = stream.read()
    path = source.path / name
    if not data.strip():
        raise DataError(f"{path}: the file is empty", "download the data again")
    movies = list(_movies(_text(data, found.layout.encodings, path), found.layout, path))
    if not movies:
        raise DataError(f"{path}: no titles in it", "download the data again")
    ids, titles = zip(*movies, strict=True)
    return pa.table([pa.array(ids, pa.string()), pa.array(titles, pa.string())], schema=RAW_ITEMS)


def _text(data: bytes, encodings: tuple[str, ...], path: Path) -> str:
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            fault = not_text(f"{path}:{line}", data[error.start], encoding)
    raise fault


def _movies(text: str, layout: Layout, path: Path) -> Iterator[_Movie]:
    # `splitlines` would also cut at U+0085, which latin-1 files may hold inside a title.
    lines = ((number, line.rstrip("\r")) for number, line in enumerate(text.split("\n"), 1))
    filled = ((number, line) for number, line in lines if line)
    if layout.movie_separator == ",":
        number, header = next(filled)
        split = _csv_splitter(header, f"{path}:{number}")
    else:
        split = _SPLITTERS[layout.movie_separator]
    seen: dict[str, int] = {}
    for number, line in filled:
        movie = split(line)
        if movie is None:
            raise _misshapen(line, layout.movie_separator, f"{path}:{number}")
        fault = bad_id(movie.item_id)
        if fault:
            message = f"{path}:{number}: movieId {shown(movie.item_id)} {fault}: {shown(line)}"
            raise DataError(message, MEND)
        if movie.item_id in seen:
            raise DataError(
                f"{path}:{number}: movieId {movie.item_id} stands twice, first on line "
                f"{seen[movie.item_id]}: {shown(line)}",
                "delete one of the two lines, or give it another id",
            )
        seen[movie.item_id] = number
        yield movie


def _split_item(line: str) -> _Movie | None:
    fields = line.split("|")
    return _Movie(fields[0], fields[1]) if len(fields) == _ITEM_FIELDS else None


def _split_dat(line: str) -> _Movie | None:
    """Id and genres hold no separator; a title may."""
    item_id, _, rest = line.partition("::")
    title, separator, _ = rest.rpartition("::")
    return _Movie(item_id, title) if separator else None


_SPLITTERS: Final[dict[str, _Splitter]] = {"|": _split_item, "::": _split_dat}

_DUE: Final = {
    "|": f"movieId|title|… ({_ITEM_FIELDS} fields)",
    "::": "movieId::title::genres",
    ",": "movieId,title,genres",
}


def _csv_splitter(header: str, where: str) -> _Splitter:
    """The splitter for a CSV file whose header names the columns, in whatever order."""
    names = split_quoted(header) or []
    if "movieId" not in names or "title" not in names:
        raise DataError(
            f"{where}: the header has no movieId or no title: {shown(header)}",
            f"let the first line be {_DUE[',']}",
        )
    item_id, title = names.index("movieId"), names.index("title")

    def split(line: str) -> _Movie | None:
        fields = split_quoted(line)
        fits = fields is not None and len(fields) == len(names)
        return _Movie(fields[item_id], fields[title]) if fields and fits else None

    return split


def _misshapen(line: str, separator: str, where: str) -> DataError:
    seen = None if separator in line else wrong_separator(line, separator, 3)
    if seen:
        return DataError(
            f"{where}: separated by {named(seen)} where {named(separator)} is due: {shown(line)}",
            f"write {named(separator)} between the fields, or download the data again",
        )
    return DataError(f"{where}: not {_DUE[separator]}: {shown(line)}", MEND)
