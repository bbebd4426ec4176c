"""Training examples as people see them: a title a line, coloured by what the loss sees of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

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
    "prompt": "text around titles",
    "history": "a title that is read, not predicted",
    "hidden": "the place of a hidden title",
    "target": "a title to write",
    "answer": "a hidden title to write",
}
_WIDTH: Final = 9  # of the column of roles, its padding included
_BORDER: Final = "│"
_END: Final = "↵"
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
        by_trie = report.job.settings.normaliser == "catalog"
        yield from _legend(report, brackets, by_trie)
        for shown in report.shown:
            yield Text()
            yield from _heading(shown, report, by_trie)
            yield _lines(shown, brackets, self.ids, by_trie)
        yield Text()
        yield from _first_target(report, by_trie)
        yield Text()
        yield from _corpus(report)


def _legend(report: "InspectReport", brackets: bool, by_trie: bool) -> Iterator[Text]:
    job, settings = report.job, report.job.settings
    whose = f"of run {report.run}" if report.run else "as genrec finetune would write them"
    yield Text(f"Training examples of {job.dataset.name} for {job.source.name}", style="bold")
    facts = f"objective {settings.objective}, normaliser {settings.normaliser}"
    yield Text(f"{whose}: {facts}; epoch {report.epoch}, seed {settings.seed}", style="dim")
    roles = {line[0].role for shown in report.shown for line in shown.example.lines}
    for role in (role for role in _STYLES if role in roles):
        meaning = Text.assemble((f"{role:{_WIDTH}}", _STYLES[role]), (_MEANINGS[role], "dim"))
        if role in ("target", "answer"):
            meaning.append(": ", "dim").append(*_marked("chosen", role, True, brackets))
            meaning.append(" tokens carry loss", "dim")
        if role in ("target", "answer") and by_trie:
            meaning.append(", ", "dim").append("forced", _STYLES[role]).append(" ones none", "dim")
        yield meaning
    numbers = "; numbers: among how many tokens each was chosen" if by_trie else ""
    yield Text(f"{_BORDER} between tokens, {_END} ends a line{numbers}", style="dim")


def _heading(shown: "Shown", report: "InspectReport", by_trie: bool) -> Iterator[Text]:
    example = shown.example
    what = "hidden titles" if example.masked else "next titles"
    if example.masked and report.job.settings.mask_weight:
        what += f", weight {report.job.settings.mask_weight:g}"
    head = Text(f"User {shown.user_id}, window {shown.window} of {shown.windows}", style="bold")
    yield head.append(f": {what}", "not bold")
    tokens, targets = len(example.tokens), len(example.targets)
    among = "" if by_trie else ", among the whole vocabulary"
    parts = [
        f"{tokens:,} tokens",
        f"{example.titles:,} titles, {targets:,} to write",
        f"loss on {example.decisions:,} tokens ({example.decisions / tokens:.0%}){among}",
    ]
    if by_trie:
        parts.append(f"{example.forced:,} forced, free")
    yield Text("; ".join(parts), style="dim")


def _lines(shown: "Shown", brackets: bool, ids: bool, by_trie: bool) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(style="dim")
    for line in shown.example.lines:
        role = line[0].role
        choices = _choices(line) if by_trie else ""
        table.add_row(Text(role, _STYLES[role]), _text(line, brackets, ids), choices)
    return table


def _choices(line: "Line") -> str:
    """Of each chosen token: among how many."""
    return " · ".join(f"{token.choices:,}" for token in line if (token.choices or 0) > 1)


def _text(line: "Line", brackets: bool, ids: bool) -> Text:
    text = Text()
    for group in _characters(line):
        written = "".join(token.text for token in group)
        ends = written.endswith("\n")
        chosen = any((token.choices or 0) > 1 for token in group)
        written = written.removesuffix("\n").replace("\n", f"{_END}\n") + (_END if ends else "")
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
    for token in line:
        group.append(token)
        if token.text:
            yield group
            group = []
    if group:
        yield group


def _marked(text: str, role: str, chosen: bool, brackets: bool) -> tuple[str, str]:
    style = f"bold {_STYLES[role]}" if chosen else _STYLES[role]
    return (f"⟦{text}⟧" if chosen and brackets else text), style


def _first_target(report: "InspectReport", by_trie: bool) -> Iterator[RenderableType]:
    target = report.first_target
    yield Text(f"The first target, through the trie: {target.title}", style="bold")
    table = Table.grid(padding=(0, 2))
    for stretch in target.stretches:
        said = "forced" if stretch.choices == 1 else f"1 of {stretch.choices:,} tokens"
        table.add_row("", Text(stretch.text.replace("\n", _END)), Text(said, "dim"))
    yield table
    most = ", ".join(f"{begin.text} ({begin.titles:,})" for begin in target.beginnings)
    if most:
        yield Text(f"Most titles begin with: {most}", style="dim")
    if not by_trie:
        yield Text("This loss does not see the trie: every token competes with all.", style="dim")


def _corpus(report: "InspectReport") -> Iterator[RenderableType]:
    figures = report.corpus
    yield Text("The corpus, in one epoch", style="bold")
    longer = f"{figures.users_with_longer_history:,} users' titles take more than a window"
    rows = {
        "windows": f"{figures.windows:,}" + (", each written twice" if report.job.settings.mask_weight else ""),
        "targets": f"{figures.targets:,}",
        "tokens": f"{figures.tokens:,}",
        "users": f"{figures.users_trained_on:,} of {figures.users:,}",
        "long histories": f"{longer}, {figures.room:,} tokens",
    }
    table = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        table.add_row("", name, value)
    for place, title in enumerate(figures.longest_titles):
        name = "" if place else "longest titles"
        table.add_row("", name, Text(f"{title.tokens} tokens  {title.title}"))
    yield table
