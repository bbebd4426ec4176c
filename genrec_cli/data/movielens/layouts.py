"""How the published archives are laid out inside, and which layout a source has."""

from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Final

from genrec_cli.core.errors import DataError
from genrec_cli.data.movielens.source import Source


@dataclass(frozen=True)
class Layout:
    """File names, separators and encodings that belong together.

    Attributes:
        name: "100k", "dat" (1m, 10m) or "csv" (20m and later).
        ratings: file name of the ratings.
        movies: file name of the titles.
        separator: between the fields of the ratings; "," means quoted CSV with a header line.
        movie_separator: between the fields of the titles.
        encodings: of the titles, tried in this order; ratings are ASCII everywhere.
        variants: names in `VARIANTS` that the source may be, as far as its names tell.
    """

    name: str
    ratings: str
    movies: str
    separator: str
    movie_separator: str
    encodings: tuple[str, ...]
    variants: tuple[str, ...]


# GroupLens wrote 100k and 1m in latin-1, but copies that somebody saved as UTF-8 are about; no
# latin-1 title list of real length is valid UTF-8, so the order of trying decides safely.
_EITHER = ("utf-8-sig", "latin-1")
_UTF8 = ("utf-8-sig",)

LAYOUTS: Final = (
    Layout("100k", "u.data", "u.item", "\t", "|", _EITHER, ("100k",)),
    Layout("dat", "ratings.dat", "movies.dat", "::", "::", _EITHER, ("1m", "10m")),
    Layout(
        name="csv",
        ratings="ratings.csv",
        movies="movies.csv",
        separator=",",
        movie_separator=",",
        encodings=_UTF8,
        variants=("20m", "25m", "32m", "latest", "latest-small"),
    ),
)

# Folder names inside the archives that are not "ml-" and the variant's name.
_FOLDERS: Final = {"ml-10M100K": "10m"}

# Files that only one of the variants with the same ratings file has.
_TELLTALES: Final = {"users.dat": "1m", "tags.dat": "10m"}

FILE_NAMES: Final = frozenset(
    [name for layout in LAYOUTS for name in (layout.ratings, layout.movies)] + [*_TELLTALES]
)


@dataclass(frozen=True)
class Found:
    """A layout, and the folder of the source (with a slash at its end, or "") that has it."""

    layout: Layout
    folder: str


def find_layout(source: Source) -> Found:
    """Recognise the layout by the file names in `source`.

    Raises:
        DataError: no layout, half of one, or several.
    """
    found = [
        Found(layout, folder)
        for folder, names in source.folders.items()
        for layout in LAYOUTS
        if {layout.ratings, layout.movies} <= names.keys()
        and source.wanted in (None, layout.ratings, layout.movies)
    ]
    if not found:
        raise _nothing_found(source)
    depth = min(one.folder.count("/") for one in found)
    nearest = [one for one in found if one.folder.count("/") == depth]
    if len(nearest) > 1:
        raise _several_found(source, nearest)
    return replace(nearest[0], layout=_narrowed(source, nearest[0]))


def _narrowed(source: Source, found: Found) -> Layout:
    """The layout with only the variants that folder, archive and telltale names allow."""
    inside = PurePosixPath(found.folder).name
    outside = source.path.stem if source.is_zip else source.path.name
    told = [
        *(_FOLDERS.get(name, name.removeprefix("ml-")) for name in (inside, outside)),
        *(_TELLTALES[name] for name in source.folders[found.folder] if name in _TELLTALES),
    ]
    layout = found.layout
    variants = next(((name,) for name in told if name in layout.variants), layout.variants)
    encodings = _UTF8 if variants == ("10m",) else layout.encodings
    return replace(layout, variants=variants, encodings=encodings)


def _nothing_found(source: Source) -> DataError:
    for folder, names in source.folders.items():
        for layout in LAYOUTS:
            pair = [layout.ratings, layout.movies]
            missing = [name for name in pair if name not in names]
            if len(missing) == 1 and source.wanted in (None, *pair):
                has = next(name for name in pair if name in names)
                return DataError(
                    f"{source.path}: {folder}{has} has no {missing[0]} beside it",
                    f"put {missing[0]} into the same folder, or pass the whole archive",
                )
    pairs = ", ".join(f"{layout.ratings} + {layout.movies}" for layout in LAYOUTS)
    inner = f"--source {source.path / source.zips[0]}" if source.zips else "the published archive"
    return DataError(
        f"{source.path}: no MovieLens files in it (looked for {pairs}, directly inside or one "
        "folder down)",
        f"pass {inner}, or a folder that it was unpacked to",
    )


def _several_found(source: Source, found: list[Found]) -> DataError:
    listed = ", ".join(f"{one.folder}{one.layout.ratings}" for one in found)
    return DataError(
        f"{source.path}: more than one MovieLens data set in it: {listed}",
        f"pass one of them, as --source {source.path / found[0].folder / found[0].layout.ratings}",
    )
