"""Tiny MovieLens data sets in every layout, and where the real ones lie."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

REAL = Path(__file__).parents[2].parent / "shared" / "data"

GENRES = "|0" * 19
RATINGS_DAT = "1::007::5::978300760\n2::661::3::978302109\n"
MOVIES_DAT = "007::Cité, La: Part 1 (1995)::Drama\n661::James :: Giant (1996)::Animation|Musical\n"
HEADER = "userId,movieId,rating,timestamp\n"
RATINGS_CSV = HEADER + "1,007,5.0,978300760\n2,661,3.0,978302109\n"
MOVIES_CSV = (
    'movieId,title,genres\n007,"Cité, La: Part 1 (1995)",Drama\n661,James :: Giant (1996),Drama\n'
)
U_DATA = "1\t007\t5\t978300760\n2\t661\t3\t978302109\n"
U_ITEM = (
    f"007|Cité, La: Part 1 (1995)|01-Jan-1995||http://x{GENRES}\n"
    f"661|James :: Giant (1996)|||{GENRES}\n"
)

# layout -> (folder inside the archive, file name -> content)
LAYOUTS: Mapping[str, tuple[str, Mapping[str, bytes]]] = {
    "100k": ("ml-100k", {"u.data": U_DATA.encode(), "u.item": U_ITEM.encode("latin-1")}),
    "1m": (
        "ml-1m",
        {"ratings.dat": RATINGS_DAT.encode(), "movies.dat": MOVIES_DAT.encode("latin-1")},
    ),
    "10m": (
        "ml-10M100K",
        {"ratings.dat": RATINGS_DAT.encode(), "movies.dat": MOVIES_DAT.encode()},
    ),
    **{
        name: (
            f"ml-{name}",
            {"ratings.csv": RATINGS_CSV.encode(), "movies.csv": MOVIES_CSV.encode()},
        )
        for name in ("20m", "25m", "32m", "latest", "latest-small")
    },
}


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def pack(path: Path, members: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def dat_folder(folder: Path, ratings: bytes = RATINGS_DAT.encode(), movies: bytes = b"") -> Path:
    return write(folder, {"ratings.dat": ratings, "movies.dat": movies or MOVIES_DAT.encode()})


def sources(tmp_path: Path, variant: str) -> list[Path]:
    """One data set as a zip, a zip without folder, a folder, its parent, and either file."""
    inner, files = LAYOUTS[variant]
    folder = write(tmp_path / "unpacked" / inner, files)
    return [
        pack(tmp_path / "data.zip", {f"{inner}/{name}": files[name] for name in files}),
        pack(tmp_path / f"ml-{variant}.zip", files),
        folder,
        folder.parent,
        *(folder / name for name in files),
    ]


def real(name: str) -> Path:
    source = REAL / name
    if not source.exists():
        pytest.skip(f"{source} is not there")
    return source
