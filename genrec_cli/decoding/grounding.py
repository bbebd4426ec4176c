"""From free text (typed by a person, or written without a trie) to an item of the catalog.

Exact, then normalised, then fuzzy, and an honest "none": a wrong title taken with confidence is
worse than three suggestions. Fuzzy is in two steps, a search by trigrams (`similar`) and a
comparison of what it finds letter by letter.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias

from rapidfuzz import fuzz, process

from genrec_cli.decoding.similar import TrigramIndex
from genrec_cli.decoding.titletext import (
    Name,
    readings,
    same_numerals,
    sort_words,
    take_apart,
    years_agree,
)

How: TypeAlias = Literal["exact", "normalised", "fuzzy", "none"]

# Percent of characters shared in order (`fuzz.ratio`), for a fuzzy match. benchmarks/grounding.py
# on the titles of MovieLens 1M, without their years: of texts with one typing error 87 % were
# matched, with two 66 %, .2 % wrongly; of 6,632 other films 1.6 % were taken for one of these
# ("Alice" for "Malice"). With the year: 97, 87 and .05 %. It is the lowest of which even the least
# similar matches, without a year, were right in 9 of 10. At 84: 90, 74 and 2.4 %; 97, 91 and .1 %.
CUTOFF = 86.0
# Percent that the best title must be ahead of the next. For remakes, which tie: 4 and 6 give the
# same as 2 to a tenth of a percent.
MARGIN = 2.0
# Titles compared letter by letter. Among 62,000, the one that brute force likes best was one of the
# first 10 for 99.8 % of texts with one error, of the first 50 for 99.95 %.
_CANDIDATES = 50
_NEAREST = 3


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


class Grounder:
    """Finds the item that a text names.

    Args:
        titles: title of item i at place i.
        cutoff: lowest similarity of a fuzzy match, in percent.
        margin: percent that it must be ahead of the next.

    Example:
        >>> grounder = Grounder(["The Matrix (1999)", "Titanic (1953)", "Titanic (1997)"])
        >>> grounder.ground("matrix")
        Match(item=0, confidence=1.0, how='normalised', nearest=[])
        >>> grounder.ground("Titanic")
        Match(item=None, confidence=0.0, how='none', nearest=[1, 2])
        >>> grounder.ground("Titanc 1997").item
        2
    """

    def __init__(
        self, titles: Sequence[str], *, cutoff: float = CUTOFF, margin: float = MARGIN
    ) -> None:
        self._cutoff, self._margin = cutoff, margin
        self._names = [take_apart(title) for title in titles]
        forms = [(words, item) for item, name in enumerate(self._names) for words in name.forms]
        self._exact = _table((title.strip(), item) for item, title in enumerate(titles))
        self._sorted = _table((sort_words(words), item) for words, item in forms)
        self._items = _table(forms)
        self._forms = list(self._items)

    def ground(self, text: str) -> Match:
        """The item that a text names.

        Case, accents, punctuation, articles, the order of words and, where only one title can be
        meant, the year do not count; then, small typing errors do not either. But numbers must be
        equal ("Rocky II" is not "Rocky III"), and years differ by one at most (sources disagree
        about release dates).
        """
        return self.ground_all([text])[0]

    def ground_all(self, texts: Sequence[str]) -> list[Match]:
        """What `ground` says of each text, two to six times as fast: one search serves all.

        Example:
            >>> grounder = Grounder(["The Matrix (1999)", "Titanic (1997)"])
            >>> [match.item for match in grounder.ground_all(["matriix", "titanic", "jaws"])]
            [0, 1, None]
        """
        found: dict[str, Match] = {}
        unlike = []
        for text in dict.fromkeys(texts):
            if (match := self._same_words(text)) is not None:
                found[text] = match
            else:
                unlike.append(text)
        found.update(zip(unlike, self._similar(unlike), strict=True))
        return [found[text] for text in texts]

    @cached_property
    def _index(self) -> TrigramIndex:  # exact titles, the usual case, need none
        return TrigramIndex(self._forms)

    def _same_words(self, text: str) -> Match | None:
        if items := self._exact.get(text.strip()):
            return _only(items, 1.0, "exact")
        for name in readings(text):
            for words in name.forms:
                if items := self._of_year(name, self._sorted.get(sort_words(words), [])):
                    return _only(items, 1.0, "normalised")
        return None

    def _of_year(self, name: Name, items: Sequence[int]) -> list[int]:
        """Those of some items that have the year of a text, else those it does not contradict."""
        years = [(item, self._names[item].year) for item in items]
        same = [item for item, year in years if year == name.year is not None]
        return same or [item for item, year in years if years_agree(year, name.year)]

    def _similar(self, texts: Sequence[str]) -> list[Match]:
        """Matches of texts that are no title's words."""
        if not texts:
            return []
        meanings = [readings(text) for text in texts]
        plain = list({name.plain: None for names in meanings for name in names})
        places = self._index.nearest(plain, _CANDIDATES)
        near = {
            words: [self._forms[place] for place in row]
            for words, row in zip(plain, places, strict=True)
        }
        return [self._best(names, near) for names in meanings]

    def _best(self, names: Sequence[Name], near: Mapping[str, Sequence[str]]) -> Match:
        for name in names:
            if scores := self._scores(name, near[name.plain]):
                items = sorted(scores, key=lambda item: -scores[item])
                enough = scores[items[0]] - self._margin
                close = self._of_year(name, [item for item in items if scores[item] > enough])
                return _only(close, scores[close[0]] / 100, "fuzzy")
        words = names[-1].plain
        return Match(None, 0.0, "none", self._suggestions(words, near[words]))

    def _scores(self, name: Name, forms: Sequence[str]) -> dict[int, float]:
        """Similarities of the items that a text can mean, in percent."""
        scores: dict[int, float] = {}
        for words in forms:
            for item in self._items[words]:
                year = self._names[item].year
                score = fuzz.ratio(*_compared(name, words, year), score_cutoff=self._cutoff)
                if score and years_agree(year, name.year) and same_numerals(words, name.plain):
                    scores[item] = max(score, scores.get(item, 0.0))
        return scores

    def _suggestions(self, words: str, forms: Sequence[str]) -> list[int]:
        """Here, unlike for a match, a part of a title is enough."""
        found = process.extract(words, forms, scorer=fuzz.WRatio, score_cutoff=1, limit=None)
        items = [item for form, *_ in found for item in self._items[form]]
        return list(dict.fromkeys(items))[:_NEAREST]


def _compared(name: Name, words: str, year: int | None) -> tuple[str, str]:
    """A text's words and a title's, with their year if it is the same, which says much.

    Of texts with a year it raised the share matched from 90 to 97 % with one error, from 67 to 87 %
    with two. Of other films, given years of the catalog, .8 % instead of .4 % are taken for one.
    """
    if name.year is None or name.year != year:
        return name.plain, words
    return f"{name.plain} {year}", f"{words} {year}"


def _only(items: Sequence[int], confidence: float, how: How) -> Match:
    """A match if one item is left; several are suggestions."""
    if len(items) == 1:
        return Match(items[0], confidence, how)
    return Match(None, 0.0, "none", list(items[:_NEAREST]))


def _table(pairs: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    table: defaultdict[str, list[int]] = defaultdict(list)
    for key, item in pairs:
        table[key].append(item)
    return dict(table)
