"""Users side by side: what each system told them, and what they did next."""

from collections.abc import Sequence
from typing import NamedTuple

from genrec_cli.evaluation.report.contents import Contents, Witness

_HISTORY = 10
_LIST = 5  # titles of each list; a hit further down is added
_SYSTEMS = 6  # shown at once: of more, the best, and every run and hybrid that fits


class Said(NamedTuple):
    """One place of a list."""

    rank: int
    title: str
    hit: bool


class Answer(NamedTuple):
    """What one system said; `rank` is the place of what came next, 0 where it is not listed."""

    system: str
    titles: Sequence[Said]
    rank: int


class Person(NamedTuple):
    """One user as the page shows her.

    Attributes:
        user_id: as in the log.
        history: her last titles, oldest first.
        earlier: how many stand before them.
        target: what came next.
        answers: of the systems that are shown at once.
        further: of the others.
        hits: system and rank, for those that listed what came next.
    """

    user_id: str
    history: Sequence[str]
    earlier: int
    target: str
    answers: Sequence[Answer]
    further: Sequence[Answer]
    hits: Sequence[Answer]


def people(contents: Contents) -> list[Person]:
    """Every witness, with systems in the order of the results."""
    shown = _shown(contents)
    return [_person(contents, witness, shown) for witness in contents.witnesses]


def _shown(contents: Contents) -> set[str]:
    """The systems to show at once: the best half, then runs, then the next best."""
    names = [row["system"] for row in contents.rows]
    runs = [row["system"] for row in contents.rows if row["kind"] != "baseline"]
    order = dict.fromkeys([*names[: _SYSTEMS // 2], *runs, *names])
    return set(list(order)[:_SYSTEMS])


def _person(contents: Contents, witness: Witness, shown: set[str]) -> Person:
    names = [row["system"] for row in contents.rows if row["system"] in witness.lists]
    answers = [_answer(name, witness.lists[name], witness.target) for name in names]
    return Person(
        user_id=witness.user_id,
        history=witness.history[-_HISTORY:],
        earlier=max(0, len(witness.history) - _HISTORY),
        target=witness.target,
        answers=[answer for answer in answers if answer.system in shown],
        further=[answer for answer in answers if answer.system not in shown],
        hits=[answer for answer in answers if answer.rank],
    )


def _answer(system: str, titles: Sequence[str], target: str) -> Answer:
    said = [Said(rank, title, title == target) for rank, title in enumerate(titles, start=1)]
    rank = next((one.rank for one in said if one.hit), 0)
    return Answer(system, [one for one in said if one.rank <= _LIST or one.hit], rank)
