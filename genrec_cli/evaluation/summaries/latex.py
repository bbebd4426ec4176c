"""The result table of a bench as LaTeX with booktabs."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from genrec_cli.evaluation.summaries.content import (
    DAGGER,
    LEAKY,
    Cell,
    Column,
    caption,
    columns_of,
    lines_of,
)

_SPECIAL: Final = {
    "--": "-{}-",  # two hyphens of a name would become a dash
    "–": "--",
    DAGGER: r"$^\dagger$",
    LEAKY: r"$^\ddagger$",
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "[": "{[}",  # at the start of a row it would belong to the row before
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}
_PATTERN: Final = re.compile("|".join(map(re.escape, _SPECIAL)))


def latex_table(manifest: Mapping[str, Any]) -> str:
    r"""Systems by metrics in a `table` that needs `\usepackage{booktabs}` and nothing else.

    Hybrids stand below their first parent; the best figures are bold; a dagger marks systems that
    differ from the reference after Holm's correction.

    Args:
        manifest: `metrics.json` of a bench.
    """
    columns = columns_of(manifest)
    heads = ["System", *("95\\,\\% interval" if c.is_interval else c.metric for c in columns)]
    lines = [
        [r"\quad " * line.depth + escaped(line.system + line.mark), *map(_cell, line.cells)]
        for line in lines_of(manifest, columns)
    ]
    label = re.sub("[^A-Za-z0-9]+", "-", manifest["dataset"])
    rows = [r"\toprule", *_cutoffs(columns), _row(heads), r"\midrule", *map(_row, lines)]
    parts = [
        rf"% genrec {manifest['versions']['genrec']}; \usepackage{{booktabs}}",
        r"\begin{table}",
        r"  \centering\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"  \caption{{{escaped(caption(manifest))}}}",
        rf"  \label{{tab:{label}}}",
        rf"  \begin{{tabular}}{{l{'r' * len(columns)}}}",
        *(f"    {row}" for row in [*rows, r"\bottomrule"]),
        r"  \end{tabular}",
        r"\end{table}",
        "",
    ]
    return "\n".join(parts)


def escaped(text: str) -> str:
    r"""Text without meaning to LaTeX, on one line.

    Example:
        >>> print(escaped("R&D films_2020"))
        R\&D films\_2020
    """
    return _PATTERN.sub(lambda found: _SPECIAL[found[0]], " ".join(text.split()))


def _cutoffs(columns: Sequence[Column]) -> list[str]:
    """The heading above the metrics, and the rules that show which it covers."""
    cells, rules, first = [""], "", 2
    for k, group in groupby(columns, key=lambda column: column.k):
        width = len(list(group))
        cells.append(rf"\multicolumn{{{width}}}{{c}}{{@{k}}}")
        rules += rf"\cmidrule(lr){{{first}-{first + width - 1}}}"
        first += width
    return [_row(cells), rules]


def _cell(cell: Cell) -> str:
    figure = escaped(cell.text)
    if cell.best:
        figure = rf"\textbf{{{figure}}}"
    # The mark takes no width, so the digits stay below each other.
    return figure + rf"\rlap{{{_SPECIAL[DAGGER]}}}" if cell.differs else figure


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"
