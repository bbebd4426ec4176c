"""What a title says: its words, without the marks of writing, its notes and its year."""

import re
import unicodedata
from typing import NamedTuple

_YEAR = re.compile(r"\s*\((\d{4})\)\s*$")
_BARE_YEAR = re.compile(r"\s((?:19|20)\d\d)\s*$")
_NOTE = re.compile(r"(?<=\S)\s*\([^()]*\)\s*$")  # "(Postino, Il)" behind a title
_LATE_ARTICLE = re.compile(r",\s*(the|an?)\s*$")  # "Matrix, The"
_EARLY_ARTICLE = re.compile(r"^(the|an?)\s+(?=\S)")
_SILENT = re.compile(r"['’‘`´]|(?<=\b\w)\.")  # "don't", "U.S."
_GAP = re.compile(r"[\W_]+")
_NUMERAL = re.compile(r"\b(?:\d+|[ivx]+)\b")


class Name(NamedTuple):
    """A title taken apart.

    Attributes:
        full: normalised, without the year.
        plain: also without the notes in brackets behind it.
        year: None if there is none in brackets at the end.
    """

    full: str
    plain: str
    year: int | None

    @property
    def forms(self) -> list[str]:
        """The one or two ways to write it, longest first; none of a title without a character."""
        return [words for words in dict.fromkeys((self.full, self.plain)) if words]


def normalise(text: str) -> str:
    """A title's words without case, accents, punctuation and its English article.

    Example:
        >>> normalise("Misérables, The"), normalise("Don't Look Now!"), normalise("The U.S. & I")
        ('miserables', 'dont look now', 'us and i')
    """
    plain = text.casefold()
    if not plain.isascii():
        letters = unicodedata.normalize("NFKD", plain)
        plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    plain = _EARLY_ARTICLE.sub("", _LATE_ARTICLE.sub("", plain.strip()))
    words = _GAP.sub(" ", _SILENT.sub("", plain.replace("&", " and "))).strip()
    return words or plain  # a title may be all punctuation, like "$"


def take_apart(title: str) -> Name:
    """Words and year of a title.

    Example:
        >>> take_apart("Il Postino (The Postman) (1994)")
        Name(full='il postino the postman', plain='il postino', year=1994)
    """
    text = " ".join(title.split())  # the patterns take quadratic time over long runs of blanks
    year = _YEAR.search(text)
    full = text[: year.start()] if year else text
    plain = full
    while note := _NOTE.search(plain):
        plain = plain[: note.start()]
    words = normalise(full)
    return Name(
        full=words,
        plain=words if plain == full else normalise(plain),
        year=int(year[1]) if year else None,
    )


def readings(text: str) -> list[Name]:
    """What a text may mean: a number at its end can be the year, or a part of the title.

    Example:
        >>> [(name.plain, name.year) for name in readings("Blade Runner 2049")]
        [('blade runner 2049', None), ('blade runner', 2049)]
    """
    names = [take_apart(text)]
    if _BARE_YEAR.search(text):
        names.append(take_apart(_BARE_YEAR.sub(r" (\1)", text)))
    return names


def sort_words(words: str) -> str:
    """The same for texts that differ in the order of their words only."""
    return " ".join(sorted(words.split()))


def same_numerals(one: str, other: str) -> bool:
    """Whether two normalised titles hold the same numbers; "Rocky II" and "Rocky III" do not.

    Example:
        >>> same_numerals("rocky ii", "rocky iii"), same_numerals("rocky 2", "rokcy 2")
        (False, True)
    """
    return sorted(_NUMERAL.findall(one)) == sorted(_NUMERAL.findall(other))


def years_agree(one: int | None, other: int | None) -> bool:
    """Whether two release years can be of one film: sources disagree by one."""
    return one is None or other is None or abs(one - other) <= 1
