"""A MovieLens zip or folder to a `RawLog`."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from genrec_cli.core.progress import SILENT, Progress
from genrec_cli.data.movielens.layouts import FILE_NAMES, Layout, find_layout
from genrec_cli.data.movielens.movies import read_movies
from genrec_cli.data.movielens.ratings import read_ratings
from genrec_cli.data.movielens.source import digests, look_into
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
    """Read any published MovieLens layout.

    Args:
        source: the zip, a folder with the two files in it or one level down, or one of the files.
        progress: is told of the bytes read from the ratings.

    Returns:
        The log; ids are the strings in the files, timestamps Unix seconds, ratings stars.

    Raises:
        DataError: whatever is wrong with the source, with file, line and fix.
    """
    found_in = look_into(source, FILE_NAMES)
    found = find_layout(found_in)
    names = [found.folder + name for name in (found.layout.ratings, found.layout.movies)]
    with ThreadPoolExecutor(max_workers=1) as pool:
        inputs = pool.submit(digests, found_in, names)  # hashing lets go of the GIL
        items = read_movies(found_in, found)
        interactions = read_ratings(found_in, found, progress)
    return RawLog(
        interactions=interactions,
        items=items,
        source=f"{source} (MovieLens {' or '.join(found.layout.variants)})",
        inputs=inputs.result(),
        citation=CITATION,
    )
