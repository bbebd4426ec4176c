"""The result table of a bench as Markdown, as GitHub reads it."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from genrec_cli.evaluation.summaries.content import DAGGER, Cell, caption, columns_of, lines_of

_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>|&#~$])")


def markdown_table(manifest: Mapping[str, Any]) -> str:
    """Systems by metrics below a caption with the protocol.

    Hybrids stand below their first parent; the best figures are bold; a dagger marks systems that
    differ from the reference after Holm's correction.

    Args:
        manifest: `metrics.json` of a bench.
    """
    columns = columns_of(manifest)
    heads = ["system", *("95 % interval" if c.is_interval else c.key for c in columns)]
    lines = [
        ["↳ " * line.depth + escaped(line.system) + line.mark, *map(_cell, line.cells)]
        for line in lines_of(manifest, columns)
    ]
    table = map(_row, [heads, ["---"] + ["---:"] * len(columns), *lines])
    return "\n".join([escaped(caption(manifest)), "", *table, ""])


def escaped(text: str) -> str:
    r"""Text without meaning to Markdown, on one line.

    Example:
        >>> print(escaped("R&D|films_2020"))
        R\&D\|films\_2020
    """
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _cell(cell: Cell) -> str:
    figure = f"**{cell.text}**" if cell.best else cell.text
    return figure + DAGGER if cell.differs else figure


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
