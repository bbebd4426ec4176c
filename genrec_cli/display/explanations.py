"""How titles were chosen, as small trees for people."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.cells import cell_len
from rich.columns import Columns
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

_ELLIPSIS: Final = "…"
_WIDEST: Final = 30  # of the stretches that were chosen; longer ones take two lines
_LONGEST: Final = 32  # characters of one that was not
_LEGEND: Final = "How each was chosen: stretch by stretch, beside it what was likely there, too."


def explained(entries: Sequence[Mapping[str, Any]]) -> Iterator[RenderableType]:
    """A tree for each recommendation that has an explanation."""
    entries = [entry for entry in entries if "explanation" in entry]
    if not entries:
        return
    texts = [text for entry in entries for text in _stretches(entry["explanation"])]
    width = min(_WIDEST, max(map(cell_len, texts), default=0))
    yield Text(f"\n{_LEGEND}", style="dim")
    for entry in entries:
        yield _tree(entry, width)


def percent(share: float) -> str:
    """A probability with about two digits.

    Example:
        >>> [percent(share) for share in (1.0, 0.184, 0.0217, 0.00042, 0.00000001)]
        ['100%', '18%', '2.2%', '0.04%', '<0.01%']
    """
    if share < 0.0001:
        return "<0.01%"
    digits = 0 if share >= 0.0995 else 1 if share >= 0.00995 else 2
    return f"{share:.{digits}%}"


def _tree(entry: Mapping[str, Any], width: int) -> Tree:
    turns = entry["explanation"]
    head = Text.assemble(f"{entry['rank']}  ", (entry["title"], "bold"))
    tree = Tree(head.append(f"  log p {entry['score']:.2f}", "dim"), guide_style="dim")
    for place, (turn, text) in enumerate(zip(turns, _stretches(turns), strict=True)):
        others = [Text(_other(other, is_first=place == 0)) for other in turn["others"]]
        line = Table.grid(padding=(0, 2))
        line.add_column(width=6, justify="right")
        line.add_column(width=width)
        line.add_column(style="dim")
        line.add_row(percent(turn["probability"]), Text(text), Columns(others, padding=(0, 2)))
        tree.add(line)
    return tree


def _stretches(turns: Sequence[Mapping[str, Any]]) -> list[str]:
    """The parts of a title, with an ellipsis where the title goes on."""
    last = len(turns) - 1
    return [
        _marked(turn["text"], before=place > 0, after=place < last)
        for place, turn in enumerate(turns)
    ]


def _other(other: Mapping[str, Any], *, is_first: bool) -> str:
    text = _marked(other["text"], before=not is_first, after=False)
    if len(text) > _LONGEST:
        text = text[:_LONGEST].rstrip(f"{_ELLIPSIS} ") + _ELLIPSIS
    return f"{text} {percent(other['probability'])}"


def _marked(text: str, *, before: bool, after: bool) -> str:
    """A stretch with an ellipsis where the title goes on; it may have no text to show.

    Example:
        >>> [_marked(text, before=True, after=False) for text in (" II", "", "…")]
        ['… II', '(end)', '…']
    """
    if not text and not after:
        return "(end)"
    text = f"{_ELLIPSIS if before else ''}{text}{_ELLIPSIS if after else ''}"
    return text if text.strip(_ELLIPSIS) else _ELLIPSIS  # half a character
