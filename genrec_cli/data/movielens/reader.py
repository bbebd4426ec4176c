"""A MovieLens zip or folder to a `RawLog`."""

from functools import partial
from pathlib import Path

from genrec_cli.core.progress import SILENT, Progress
from genrec_cli.data.movielens.layouts import FILE_NAMES, Layout, find_layout
from genrec_cli.data.movielens.movies import read_movies
from genrec_cli.data.movielens.ratings import ratings_blocks
from genrec_cli.data.movielens.source import look_into
from genrec_cli.data.movielens.variants import CITATION
from genrec_cli.data.rawlog import RawLog


def detect_layout(source: Path) -> Layout:
    """Say how a source is laid out, by the names of its files and folders; reads no data.

    `Layout.variants` holds the one variant that the names tell, or all that they allow.

    Raises:
        DataError: a missing path, a broken zip, or no MovieLens files in it.
    """
    return find_layout(look_into(source, FILE_NAMES)).layout


def read_movielens(source: Path, progress: Progress = SILENT) -> RawLog:
    """Open any published MovieLens layout; the titles are read at once, the ratings are not.

    Args:
        source: the zip, a folder with the two files in it or one level down, or one of the files.
        progress: what every reader of logs is given; here nothing takes long before the blocks.

    Returns:
        The log; ids are the strings in the files, timestamps Unix seconds, ratings stars.

    Raises:
        DataError: whatever is wrong with the source or its titles, with file, line and fix.
    """
    inside = look_into(source, FILE_NAMES)
    found = find_layout(inside)
    names = (found.layout.ratings, found.layout.movies)
    files = tuple(inside.path / found.folder / name for name in names)
    return RawLog(
        blocks=partial(ratings_blocks, inside, found),
        items=read_movies(inside, found),
        source=f"{source} (MovieLens {' or '.join(found.layout.variants)})",
        files=(inside.path,) if inside.is_zip else files,
        citation=CITATION,
    )
