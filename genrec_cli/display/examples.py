"""Training examples as people see them: an item a line, coloured by what the loss sees of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from genrec_cli.display.corpora import END, about_corpus, first_target

if TYPE_CHECKING:  # for they import torch
    from genrec_cli.commands.inspect import InspectReport, Shown
    from genrec_cli.language.readback import Line, Token

_STYLES: Final = {
    "prompt": "dim",
    "history": "",
    "hidden": "magenta",
    "target": "green",
    "answer": "magenta",
}
_MEANINGS: Final = {
    "prompt": "text around {item}s",
    "history": "{one} that is read, not predicted",
    "hidden": "the place of a hidden {item}",
    "target": "{one} to write",
    "answer": "a hidden {item} to write",
}
_WIDTH: Final = 9  # of the column of roles, its padding included
_BORDER: Final = "│"
_SUBSCRIPT: Final = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def inspected(report: "InspectReport", *, ids: bool = False) -> RenderableType:
    """Legend, examples, the way of one target through the trie, and the corpus.

    Args:
        report: of `genrec inspect`.
        ids: show each token's id behind it.
    """
    return _Inspection(report, ids)


@dataclass(frozen=True)
class _Inspection:
    """Without colours tokens that are chosen stand in brackets, so it knows the console."""

    report: "InspectReport"
    ids: bool

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        brackets = console.no_color or console.color_system is None
        report = self.report
        yield from _legend(report, brackets)
        for shown in report.shown:
            yield Text()
            yield from _heading(shown, report)
            yield _lines(shown, report, brackets, self.ids)
        yield Text()
        yield from first_target(report)
        yield Text()
        yield from about_corpus(report)


def _legend(report: "InspectReport", brackets: bool) -> Iterator[Text]:
    job, settings = report.job, report.job.settings
    whose = f"of run {report.run}" if report.run else "as genrec finetune would write them"
    yield Text(f"Training examples of {job.dataset.name} for {job.source.name}", style="bold")
    aim = f"method {settings.method}" if report.pairs else f"objective {settings.objective}"
    items = "" if report.plain else f", items {settings.item_words}"
    facts = f"{aim}{items}, normaliser {settings.normaliser}"
    yield Text(f"{whose}: {facts}; epoch {report.epoch}, seed {settings.seed}", style="dim")
    lines = [line for shown in report.shown for line in shown.example.lines]
    roles = {line.role for line in lines}
    for role in (role for role in _STYLES if role in roles):
        yield _meaning(role, report, brackets)
    if report.pairs:
        yield Text("the encoder reads all lines but the last, which the decoder writes", "dim")
    ends = f", {END} ends a line" if any("\n" in line.text for line in lines) else ""
    numbers = "; numbers: among how many tokens each was chosen" if report.by_trie else ""
    yield Text(f"{_BORDER} between tokens{ends}{numbers}", style="dim")


def _meaning(role: str, report: "InspectReport", brackets: bool) -> Text:
    style = _STYLES[role]
    words = (
        {"item": "title", "one": "a title"} if report.plain else {"item": "item", "one": "an item"}
    )
    meaning = Text.assemble((f"{role:{_WIDTH}}", style), (_MEANINGS[role].format(**words), "dim"))
    if role in ("target", "answer"):
        meaning.append(": ", "dim").append(*_marked("chosen", role, True, brackets))
        meaning.append(" tokens carry loss", "dim")
        if report.by_trie:
            meaning.append(", ", "dim").append("forced", style).append(" ones none", "dim")
    return meaning


def _heading(shown: "Shown", report: "InspectReport") -> Iterator[Text]:
    example, items = shown.example, "titles" if report.plain else "items"
    what = f"hidden {items}" if example.masked else f"next {items}"
    if report.pairs:
        what = "a hidden item" if example.masked else "the next item"
    if example.masked and report.job.settings.mask_weight:
        what += f", weight {report.job.settings.mask_weight:g}"
    part = "target" if report.pairs else "window"
    head = Text(f"User {shown.user_id}, {part} {shown.window} of {shown.windows}", style="bold")
    yield head.append(f": {what}", "not bold")
    tokens, targets = len(example.tokens), len(example.targets)
    written = sum(len(line.tokens) for line in example.targets)
    among = "" if report.by_trie else ", among the whole vocabulary"
    parts = [
        f"{tokens - written:,} tokens read, {written:,} written"
        if report.pairs
        else f"{tokens:,} tokens",
        f"{example.titles:,} {items}, {targets:,} to write",
        f"loss on {example.decisions:,} tokens ({example.decisions / tokens:.0%}){among}",
    ]
    if report.by_trie:
        parts.append(f"{example.forced:,} forced, free")
    yield Text("; ".join(parts), style="dim")


def _lines(shown: "Shown", report: "InspectReport", brackets: bool, ids: bool) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(style="dim")
    if not report.plain:
        table.add_column(style="dim")
    for line in shown.example.lines:
        cells = [Text(line.role, _STYLES[line.role]), _text(line, brackets, ids)]
        if not report.plain:
            cells.append(Text("" if line.item is None else report.job.dataset.titles[line.item]))
        table.add_row(*cells, _choices(line) if report.by_trie else "")
    return table


def _choices(line: "Line") -> str:
    """Of each chosen token: among how many."""
    return " · ".join(f"{token.choices:,}" for token in line.tokens if (token.choices or 0) > 1)


def _text(line: "Line", brackets: bool, ids: bool) -> Text:
    text = Text()
    for group in _characters(line):
        written = "".join(token.text for token in group)
        ends = written.endswith("\n")
        chosen = any((token.choices or 0) > 1 for token in group)
        written = written.removesuffix("\n").replace("\n", f"{END}\n") + (END if ends else "")
        text.append(*_marked(written, group[0].role, chosen, brackets))
        if ids:
            text.append("₊".join(str(token.id) for token in group).translate(_SUBSCRIPT), "dim")
        text.append(_BORDER, "dim").append("\n" if ends else "")
    text.rstrip()
    text.right_crop()  # the border behind the last token
    return text


def _characters(line: "Line") -> Iterator[Sequence["Token"]]:
    """Tokens, those of one character together."""
    group: list[Token] = []
    for token in line.tokens:
        group.append(token)
        if token.text:
            yield group
            group = []
    if group:
        yield group


def _marked(text: str, role: str, chosen: bool, brackets: bool) -> tuple[str, str]:
    style = f"bold {_STYLES[role]}" if chosen else _STYLES[role]
    return (f"⟦{text}⟧" if chosen and brackets else text), style
