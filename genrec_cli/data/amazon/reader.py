"""Read any log of Amazon reviews that McAuley's group has published."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa

from genrec_cli.core.errors import DataError
from genrec_cli.core.progress import SILENT, Progress
from genrec_cli.core.schema import RAW_ITEMS
from genrec_cli.data.amazon.editions import Edition
from genrec_cli.data.amazon.folder import Found, find_log
from genrec_cli.data.amazon.layout import Layout, recognise
from genrec_cli.data.amazon.lines import stretches
from genrec_cli.data.amazon.literals import to_json
from genrec_cli.data.amazon.metadata import read_titles
from genrec_cli.data.amazon.names import PARTS, slug
from genrec_cli.data.rawlog import Block, RawLog
from genrec_cli.data.text import (
    CsvBlock,
    CsvForm,
    Dialect,
    JsonBlock,
    JsonForm,
    Roles,
    Stretch,
    TimeForm,
)


def category_of(source: Path, category: str | None) -> str:
    """The category as a name for a data set ("toys-and-games"), told without reading any data.

    Args:
        source: as for `read_amazon`.
        category: which one, in any spelling; None where there is only one.

    Raises:
        DataError: nothing there, or several to choose from.
    """
    return slug(find_log(source, category).category)


def read_amazon(source: Path, category: str | None, progress: Progress = SILENT) -> RawLog:
    """Open a log of any edition; its metadata is read at once, the log itself is not.

    Args:
        source: the file of reviews or ratings with its metadata beside it, or a folder with both
            in it or one level down. The parts of a split (`.train.csv`, `.valid.csv`, `.test.csv`)
            that lie together are one log.
        category: which one of the folder, in any spelling; None where there is only one.
        progress: is told of the bytes read, and of what is missing.

    Returns:
        The log. Ids are the strings in the files; timestamps are seconds, those of 2023
        milliseconds; ratings are stars.

    Raises:
        DataError: nothing there, several logs to choose from, or a damaged or malformed file.
    """
    found = find_log(source, category)
    parts = [(name.path, recognise(name)) for name in found.files]
    edition = parts[0][1].edition
    words = [f"Amazon {edition.year}", found.category]
    if found.files[0].part:
        words.append(_parts(found, progress))
    meta = next((m.path for m in found.metas if m.suffix == edition.meta_suffix), None)
    return RawLog(
        blocks=partial(_blocks, parts),
        items=read_titles(meta, edition, progress) if meta else _untitled(found, edition, progress),
        source=f"{source} ({', '.join(words)})",
        files=(*(path for path, _ in parts), *([meta] if meta else [])),
        time_unit=edition.time_unit,
        citation=edition.citation,
    )


def _parts(found: Found, progress: Progress) -> str:
    """Which parts of a split are there, in words; what is not is said aloud."""
    there = [name.part for name in found.files]
    missing = [part for part in PARTS if part not in there]
    if missing:
        progress.note(
            f"{found.files[0].path.parent} has no {' and no '.join(missing)} part of the split of "
            f"{found.category}: the log is the {' and the '.join(there)} part only"
        )
    return " + ".join(there)


def _untitled(found: Found, edition: Edition, progress: Progress) -> pa.Table:
    name = f"meta_{found.category}{edition.meta_suffix}"
    progress.note(
        f"no {name} or {name}.gz beside {found.files[0].path}: the items have no titles, only ids "
        f"(get it from {edition.page})"
    )
    return RAW_ITEMS.empty_table()


def _blocks(parts: list[tuple[Path, Layout]], progress: Progress) -> Iterator[Block]:
    for path, layout in parts:
        header = layout.has_header
        for stretch in stretches(path, progress, quoted=layout.form == "csv"):
            yield ReviewBlock(_without_header(stretch) if header else stretch, layout)
            header = False


def _without_header(stretch: Stretch) -> Stretch:
    blank = len(stretch.data) - len(stretch.data.lstrip())
    end = stretch.data.find(b"\n", blank) + 1
    return stretch.after(end or len(stretch.data))


@dataclass(frozen=True)
class ReviewBlock:
    """Whole lines of a log, without its header; it can be pickled."""

    stretch: Stretch
    layout: Layout

    def read(self) -> pa.Table:
        """Parse the lines, rows in the source's order; table of schema `INTERACTIONS`.

        Raises:
            DataError: the first line that cannot be used, with its number and value.
        """
        try:
            return self._block().read()
        except DataError as error:
            # The readers of text advise to name other columns, which these files do not have.
            fix = "mend or delete that line, or download the data again"
            raise DataError(error.message, fix) from error

    def _block(self) -> Block:
        edition, columns = self.layout.edition, self.layout.columns
        time = TimeForm(edition.time_unit)
        rating = None if columns and edition.rating not in columns else edition.rating
        roles = Roles(edition.user, edition.item, edition.time, rating)
        if self.layout.form == "csv":
            return CsvBlock(self.stretch, CsvForm(Dialect(columns), roles, time))
        literal = self.layout.form == "literal"
        lines = to_json(self.stretch, roles.named().values()) if literal else self.stretch
        return JsonBlock(lines, JsonForm(roles, time))
