"""What `genrec inspect` says of a corpus: the way of one target through the trie, and figures."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:  # for they import torch
    from genrec_cli.commands.inspect import InspectReport
    from genrec_cli.language.inspection import LongTitle
    from genrec_cli.language.narrowing import TitleChoices

END: Final = "↵"
"""Stands for a line break."""


def first_target(report: "InspectReport") -> Iterator[RenderableType]:
    """How the trie narrows the first target down."""
    target = report.first_target
    yield Text(f"The first target, through the trie: {_called(target)}", style="bold")
    table = Table.grid(padding=(0, 2))
    for stretch in target.stretches:
        said = "forced" if stretch.choices == 1 else f"1 of {stretch.choices:,} tokens"
        table.add_row("", Text(stretch.text.replace("\n", END)), Text(said, "dim"))
    yield table
    # Where each item is a token of its own there is nothing that most begin with.
    shared = [beginning for beginning in target.beginnings if beginning.titles > 1]
    most = ", ".join(f"{begin.text.strip()} ({begin.titles:,})" for begin in shared)
    if most:
        yield Text(f"Most {_words(report)} begin with: {most}", style="dim")
    if not report.by_trie:
        yield Text("This loss does not see the trie: every token competes with all.", style="dim")


def about_corpus(report: "InspectReport") -> Iterator[RenderableType]:
    """What there is in all."""
    yield Text("The corpus, in one epoch", style="bold")
    figures = report.corpus
    users = f"{figures.users_trained_on:,} of {figures.users:,}"
    rows = {**(_pairs(report) if report.pairs else _windows(report)), "users": users}
    table = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        table.add_row("", name, value)
    table.add_row("", "long histories", _longer(report))
    for place, title in enumerate(figures.longest_titles):
        name = "" if place else f"longest {_words(report)}"
        table.add_row("", name, Text(f"{title.tokens} tokens  {_called(title)}"))
    yield table


def _windows(report: "InspectReport") -> dict[str, str]:
    figures = report.corpus
    twice = ", each written twice" if report.job.settings.mask_weight else ""
    return {
        "windows": f"{figures.windows:,}{twice}",
        "targets": f"{figures.targets:,}",
        "tokens": f"{figures.tokens:,}",
    }


def _pairs(report: "InspectReport") -> dict[str, str]:
    figures = report.corpus
    return {
        "targets": f"{figures.targets:,}, each with what is read for it",
        "tokens": f"about {figures.tokens:,}, read and written",
    }


def _longer(report: "InspectReport") -> str:
    figures = report.corpus
    of_users = f"{figures.users_with_longer_history:,} users'"
    if report.pairs:
        return f"{of_users} items do not all fit in {figures.room:,} tokens; the oldest are cut"
    items = "titles" if report.plain else "items"
    return f"{of_users} {items} take more than a window, {figures.room:,} tokens"


def _words(report: "InspectReport") -> str:
    return "titles" if report.plain else "ids"


def _called(item: "LongTitle | TitleChoices") -> str:
    """A title, or an id with the title that it stands for."""
    return item.title if item.id is None else f"{item.id} ({item.title})"
