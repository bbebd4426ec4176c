"""Every kind of raw log that can be prepared, behind one door."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from genrec_cli.core.errors import DataError, UsageError
from genrec_cli.core.progress import Progress
from genrec_cli.data.amazon import HOW_TO_GET, category_of, read_amazon
from genrec_cli.data.download import fetch_movielens
from genrec_cli.data.movielens import VARIANTS, detect_layout, read_movielens
from genrec_cli.data.rawlog import RawLog
from genrec_cli.data.sample import read_sample
from genrec_cli.data.table import Columns, read_table

Kind = Literal["movielens", "amazon", "table", "sample"]
DEFAULT_VARIANT = "1m"


@dataclass(frozen=True)
class Input:
    """What to prepare.

    Attributes:
        kind: of the raw log.
        source: folder, zip or file on this machine, or a pattern of files; None: bundled or
            downloaded.
        variant: of MovieLens; None: as the source tells, or the default one is downloaded.
        category: of Amazon; None: as the source tells.
        items: a file of titles, for a table.
        columns: of a table; what is None is guessed.
    """

    kind: Kind
    source: Path | None = None
    variant: str | None = None
    category: str | None = None
    items: Path | None = None
    columns: Columns = field(default_factory=Columns)


def default_name(raw: Input) -> str:
    """A name for the dataset, from what the options and the source's names tell; reads no data.

    Raises:
        DataError: the source is not there, or is not what the options say.
        UsageError: options that do not go together.
    """
    _check(raw)
    return _NAMES[raw.kind](raw)


def open_log(raw: Input, downloads: Path, progress: Progress) -> RawLog:
    """Open a raw log; it is read later, through its blocks.

    Args:
        raw: what to open.
        downloads: folder that keeps downloaded archives.
        progress: is told of downloads and of what was guessed.

    Raises:
        DataError: the source is missing or broken.
        UsageError: options that do not go together.
    """
    _check(raw)
    if raw.kind == "sample":
        return read_sample()
    if raw.kind == "movielens":
        source = raw.source
        if source is None:
            source = fetch_movielens(raw.variant or DEFAULT_VARIANT, downloads, progress)
        return read_movielens(source, progress)
    source = _given(raw)
    if raw.kind == "amazon":
        return read_amazon(source, raw.category, progress)
    return read_table(source, raw.items, raw.columns, progress)


_TAKES = {
    "sample": (),
    "movielens": ("source", "variant"),
    "amazon": ("source", "category"),
    "table": ("source", "items", "columns"),
}


def _check(raw: Input) -> None:
    given = {
        "source": raw.source,
        "variant": raw.variant,
        "category": raw.category,
        "items": raw.items,
        "columns": None if raw.columns == Columns() else raw.columns,
    }
    for name, value in given.items():
        if value is not None and name not in _TAKES[raw.kind]:
            option = "--…-column" if name == "columns" else f"--{name}"
            kinds = [f"prepare {kind}" for kind, takes in _TAKES.items() if name in takes]
            raise UsageError(
                f"prepare {raw.kind} takes no {option}", f"it goes with {', '.join(kinds)}"
            )
    if raw.variant is not None and raw.variant not in VARIANTS:
        raise UsageError(f"unknown variant '{raw.variant}'", f"known are: {', '.join(VARIANTS)}")


def _given(raw: Input) -> Path:
    if raw.source is not None:
        return raw.source
    if raw.kind == "amazon":
        raise UsageError("prepare amazon downloads nothing: it needs --source", HOW_TO_GET)
    raise UsageError("prepare table needs --source", "--source FILE, a folder, or 'logs/*.csv.gz'")


def _movielens_name(raw: Input) -> str:
    """The variant that is asked for, or that the source's files tell."""
    if raw.source is None:
        return f"ml-{raw.variant or DEFAULT_VARIANT}"
    layout = detect_layout(raw.source)
    if raw.variant is not None and raw.variant not in layout.variants:
        raise DataError(
            f"{raw.source} is laid out as MovieLens {' or '.join(layout.variants)}, "
            f"not {raw.variant}",
            f"leave out --variant, or say --variant {layout.variants[0]}",
        )
    variants = (raw.variant,) if raw.variant else layout.variants
    return f"ml-{variants[0]}" if len(variants) == 1 else _plain(raw.source)


def _amazon_name(raw: Input) -> str:
    return f"amazon-{category_of(_given(raw), raw.category)}"


def _table_name(raw: Input) -> str:
    return _plain(_given(raw))


def _plain(source: Path) -> str:
    """A source's name without suffixes and without what no folder may be called."""
    # Of a pattern, `logs/2024-*.csv`, the folder tells more.
    path = source.parent if re.search(r"[*?\[]", source.name) else source
    stem = path.resolve().name.split(".")[0]
    return re.sub(r"[^\w -]+", "-", stem).strip(" -") or "table"


_NAMES: dict[Kind, Callable[[Input], str]] = {
    "sample": lambda raw: raw.kind,
    "movielens": _movielens_name,
    "amazon": _amazon_name,
    "table": _table_name,
}
