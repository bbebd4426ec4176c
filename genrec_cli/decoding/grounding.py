"""From free text (typed by a person, or written without a trie) to an item of the catalog.

Exact, then normalised, then fuzzy, and an honest "none": a wrong title taken with confidence is
worse than three suggestions.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from rapidfuzz import fuzz, process

How: TypeAlias = Literal["exact", "normalised", "fuzzy", "none"]

# Percent of characters shared in order (`fuzz.ratio`), for a fuzzy match. Measured on the titles of
# MovieLens 1M without their years: of texts with one typing error 93 % were matched, with two 70 %,
# under 1 % wrongly; of 1,500 other films 1.7 % were taken for one of these ("Drive Hard" for "Die
# Hard"), and none when the year stood with them. At 84: 95, 79 and 2.7 %. `fuzz.WRatio` took 38 %
# at 86: one shared word is enough for it, which is right only for suggestions.
_CUTOFF = 86.0
_MARGIN = 2.0  # percent that the best title must be ahead of the next
_NEAREST = 3
_CANDIDATES = 10  # similar titles looked at, of which some contradict the text

_YEAR = re.compile(r"\s*\((\d{4})\)\s*$")
_BARE_YEAR = re.compile(r"\s((?:19|20)\d\d)\s*$")
_NOTE = re.compile(r"(?<=\S)\s*\([^()]*\)\s*$")  # "(Postino, Il)" behind a title
_LATE_ARTICLE = re.compile(r",\s*(the|an?)\s*$")  # "Matrix, The"
_EARLY_ARTICLE = re.compile(r"^(the|an?)\s+(?=\S)")
_SILENT = re.compile(r"['’‘`´]|(?<=\b\w)\.")  # "don't", "U.S."
_GAP = re.compile(r"[\W_]+")
_NUMERAL = re.compile(r"\b(?:\d+|[ivx]+)\b")


@dataclass(frozen=True)
class Match:
    """What a text was taken for.

    Attributes:
        item: the item; None if nothing matched, or several items equally well.
        confidence: 1 for exact and normalised matches, the similarity for fuzzy ones, 0 for none.
        how: the rule that matched.
        nearest: if there is no item, the most similar ones (at most three), best first.
    """

    item: int | None
    confidence: float
    how: How
    nearest: list[int] = field(default_factory=list)


class _Name(NamedTuple):
    """A title taken apart: normalised with and without the notes behind it, and its year."""

    full: str
    plain: str
    year: int | None


class Grounder:
    """Finds the item that a text names.

    Args:
        titles: title of item i at place i.

    Example:
        >>> grounder = Grounder(["The Matrix (1999)", "Titanic (1953)", "Titanic (1997)"])
        >>> grounder.ground("matrix")
        Match(item=0, confidence=1.0, how='normalised', nearest=[])
        >>> grounder.ground("Titanic")
        Match(item=None, confidence=0.0, how='none', nearest=[1, 2])
        >>> grounder.ground("Titanc 1997").item
        2
    """

    def __init__(self, titles: Sequence[str]) -> None:
        self._names = [_take_apart(title) for title in titles]
        forms = [
            (words, item)
            for item, name in enumerate(self._names)
            for words in dict.fromkeys((name.full, name.plain))
        ]
        self._exact = _table((title.strip(), item) for item, title in enumerate(titles))
        self._sorted = _table((_sort(words), item) for words, item in forms)
        self._forms = [words for words, _ in forms]
        self._form_item = [item for _, item in forms]

    def ground(self, text: str) -> Match:
        """The item that a text names.

        Case, accents, punctuation, articles, the order of words and, where only one title can be
        meant, the year do not count; then, small typing errors do not either. But numbers must be
        equal ("Rocky II" is not "Rocky III"), and years differ by one at most (sources disagree
        about release dates).
        """
        if items := self._exact.get(text.strip()):
            return _only(items, 1.0, "exact")
        readings = [_take_apart(text)]
        if _BARE_YEAR.search(text):  # "matrix 1999", but not "Blade Runner 2049"
            readings.append(_take_apart(_BARE_YEAR.sub(r" (\1)", text)))
        for name in readings:
            for words in (name.full, name.plain):
                if items := self._of_year(name, self._sorted.get(_sort(words), [])):
                    return _only(items, 1.0, "normalised")
        for name in readings:
            if (match := self._fuzzy(name)) is not None:
                return match
        return Match(None, 0.0, "none", self._similar(readings[-1].plain))

    def _of_year(self, name: _Name, items: Sequence[int]) -> list[int]:
        """Those of some items that have the year of a text, else those it does not contradict."""
        years = [(item, self._names[item].year) for item in items]
        same = [item for item, year in years if year == name.year is not None]
        return same or [item for item, year in years if _years_agree(year, name.year)]

    def _fuzzy(self, name: _Name) -> Match | None:
        found = process.extract(
            name.plain, self._forms, scorer=fuzz.ratio, score_cutoff=_CUTOFF, limit=_CANDIDATES
        )
        scores: dict[int, float] = {}
        for words, score, form in found:  # best first
            if _numerals(words) == _numerals(name.plain):
                scores.setdefault(self._form_item[form], score)
        items = self._of_year(name, list(scores))
        if not items:
            return None
        best = scores[items[0]]
        return _only([i for i in items if scores[i] > best - _MARGIN], best / 100, "fuzzy")

    def _similar(self, words: str) -> list[int]:
        """Suggestions: here, unlike for a match, a part of a title is enough."""
        found = process.extract(  # a title has at most two forms
            words, self._forms, scorer=fuzz.WRatio, score_cutoff=1, limit=2 * _NEAREST
        )
        return list(dict.fromkeys(self._form_item[form] for *_, form in found))[:_NEAREST]


def normalise(text: str) -> str:
    """A title's words without case, accents, punctuation and its English article.

    Example:
        >>> normalise("Misérables, The"), normalise("Don't Look Now!"), normalise("The U.S. & I")
        ('miserables', 'dont look now', 'us and i')
    """
    lower = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(letter for letter in lower if not unicodedata.combining(letter))
    plain = _EARLY_ARTICLE.sub("", _LATE_ARTICLE.sub("", plain.strip()))
    words = _GAP.sub(" ", _SILENT.sub("", plain.replace("&", " and "))).strip()
    return words or plain  # a title may be all punctuation, like "$"


def _take_apart(title: str) -> _Name:
    year = _YEAR.search(title)
    text = title[: year.start()] if year else title
    plain = text
    while note := _NOTE.search(plain):
        plain = plain[: note.start()]
    return _Name(normalise(text), normalise(plain), int(year[1]) if year else None)


def _only(items: Sequence[int], confidence: float, how: How) -> Match:
    """A match if one item is left; several are suggestions."""
    if len(items) == 1:
        return Match(items[0], confidence, how)
    return Match(None, 0.0, "none", list(items[:_NEAREST]))


def _table(pairs: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    table: defaultdict[str, list[int]] = defaultdict(list)
    for key, item in pairs:
        if item not in table[key]:
            table[key].append(item)
    return dict(table)


def _sort(words: str) -> str:
    return " ".join(sorted(words.split()))


def _numerals(words: str) -> list[str]:
    return sorted(_NUMERAL.findall(words))


def _years_agree(one: int | None, other: int | None) -> bool:
    return one is None or other is None or abs(one - other) <= 1
