"""Which files a log consists of, by their names alone."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from genrec_cli.core.errors import DataError

_PACKED: Final = {".gz", ".gzip", ".zst", ".zstd", ".bz2", ".xz", ".zip"}
_KINDS: Final = {
    **dict.fromkeys((".csv", ".tsv", ".tab", ".psv", ".txt", ".dat"), "delimited text"),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), "JSON lines"),
    **dict.fromkeys((".parquet", ".pq"), "Parquet"),
    ".inter": "RecBole",
}


def find_files(source: Path, items: Path | None) -> list[Path]:
    """The files of a log, in the order of their names.

    Args:
        source: a file, a folder with files of one kind, or a pattern such as `logs/2024-*.csv.gz`.
        items: the file of titles, which may lie in the same folder and is not part of the log.

    Raises:
        DataError: nothing there, no data files, or files of several kinds.
    """
    if source.is_file():
        return [source]
    if source.is_dir():
        found = [path for path in source.iterdir() if _kind(path)]
    else:
        found = list(_matching(source))
    files = sorted(path for path in found if items is None or not _same(path, items))
    if not files:
        raise _nothing(source)
    return _one_kind(source, files)


def items_beside(files: list[Path]) -> Path | None:
    """The `.item` file that RecBole lays beside a log; None where there is none."""
    beside = {file.with_suffix(".item") for file in files if file.suffix == ".inter"}
    return next((path for path in sorted(beside) if path.is_file()), None)


def _kind(path: Path) -> str | None:
    """The kind of a file by its suffix; None for hidden, foreign and temporary files."""
    if path.name.startswith((".", "_")) or not path.is_file():
        return None
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        packed = suffixes.pop()
        if not suffixes or suffixes[-1] not in _KINDS:
            return "archives" if packed == ".zip" else None
    return _KINDS.get(suffixes[-1]) if suffixes else None


def _matching(source: Path) -> Iterator[Path]:
    if not re.search(r"[*?\[]", str(source)):
        raise DataError(f"{source}: no such file or folder", "pass a file, a folder or a pattern")
    root = Path(source.anchor)
    yield from (path for path in root.glob(str(source.relative_to(root))) if path.is_file())


def _same(path: Path, items: Path) -> bool:
    return items.exists() and path.samefile(items)


def _one_kind(source: Path, files: list[Path]) -> list[Path]:
    kinds: dict[str, list[Path]] = {}
    for file in files:
        kinds.setdefault(_kind(file) or "unknown", []).append(file)
    if "RecBole" in kinds:
        return kinds["RecBole"]
    if len(kinds) > 1:
        examples = ", ".join(f"{kind} ({some[0].name})" for kind, some in kinds.items())
        raise DataError(
            f"{source}: files of different kinds: {examples}",
            f"pass those of one kind, as --source '{files[0].parent}/*{files[0].suffix}', and "
            "titles as --items",
        )
    return files


def _nothing(source: Path) -> DataError:
    if not source.is_dir():
        return DataError(f"{source}: no file matches", "mind the quotes around the pattern")
    kinds = ", ".join(sorted(_KINDS))
    return DataError(
        f"{source}: no data files in it (looked for {kinds}, also compressed)",
        f"pass a file, or a pattern such as --source '{source}/*/*.csv.gz'",
    )
