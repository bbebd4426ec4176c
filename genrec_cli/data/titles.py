"""Titles as people write them, each naming exactly one item."""

import html
import re
import unicodedata
from collections.abc import Sequence
from typing import Final

# Articles that catalogues put behind the title, as MovieLens does ("Matrix, The"). Upper case only:
# "la peor de todas" and "une nuit" after a comma are no articles put behind.
_BEHIND: Final = re.compile(
    r"""(.+),[ ]?(
    The|An?|Da  # English, and its imitation
    |L[ea]|Les|L['’]|Une?|De  # French
    |Il?|Lo|Gli|Un[oa]  # Italian
    |El|L[oa]s|Un[oa]s  # Spanish
    |[OA]s?|Uma?  # Portuguese
    |Der|Die|Das|De[nm]|Eine?  # German
    |Het|Een  # Dutch
    |Det|En|Ett?|Az  # Scandinavian, Hungarian
    )(?=:|$)""",
    re.VERBOSE,
)

# "Crow, The (a.k.a. Raven, The) (1994)": the head, then groups in brackets up to the end.
_TAIL: Final = re.compile(r"(?: ?\([^()]*\))+$")
_BRACKETED: Final = re.compile(r"\((a\.?k\.?a\.? )?([^()]*)\)", re.IGNORECASE)

# MovieLens has "(Badkonake Sefid )" and "L' École" with a blank too many, and "(L'Associe)(1982)"
# with one too few.
_STRAY_BLANK: Final = re.compile(r"(?<=\() | (?=\))|(?<=\bL['’]) (?=\w)")
_MISSING_BLANK: Final = re.compile(r"(?<=\))(?=\()")

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_INVISIBLE: Final = re.compile(r"[\xad\u200b\u2060\ufeff]")  # no width, and no joining either


def clean_title(raw: str) -> str:
    """Mend a raw title: entities, blanks and control characters, articles put behind.

    Cleaning twice is cleaning once. The result is one line, "" where nothing is left.

    Examples:
        >>> clean_title("City of Lost Children, The (Cité des enfants perdus, La) (1995)")
        'The City of Lost Children (La Cité des enfants perdus) (1995)'
        >>> clean_title("Avventura, L' (Adventure, The) (1960)")
        "L'Avventura (The Adventure) (1960)"
        >>> clean_title("Crow, The: Wicked  Prayer &#40;2005)")
        'The Crow: Wicked Prayer (2005)'
    """
    before, title = None, raw
    # What one pass lays bare the next one mends ("&amp;amp;", "X, The, La"). This ends: a pass
    # takes characters away, turns odd ones into blanks or parts ")(", and nothing brings them back.
    while title != before:
        before, title = title, _articles_first(_one_line(title))
    return title


def _one_line(title: str) -> str:
    visible = _INVISIBLE.sub("", _CONTROL.sub(" ", html.unescape(title)))
    line = " ".join(unicodedata.normalize("NFC", visible).split())
    return _MISSING_BLANK.sub(" ", _STRAY_BLANK.sub("", line))


def _articles_first(title: str) -> str:
    if "," not in title:
        return title
    tail = _TAIL.search(title)
    cut = tail.start() if tail else len(title)
    return _article_first(title[:cut]) + _BRACKETED.sub(_bracket_first, title[cut:])


def _bracket_first(match: re.Match[str]) -> str:
    return f"({match[1] or ''}{_article_first(match[2])})"


def _article_first(text: str) -> str:
    match = _BEHIND.match(text)
    if match is None:
        return text
    body, article = match.groups()
    gap = "" if article.endswith(("'", "’")) else " "
    return f"{article}{gap}{body}{text[match.end() :]}"


def unique_titles(item_ids: Sequence[str], titles: Sequence[str]) -> tuple[list[str], int]:
    """Give every item a title of its own.

    A blank title becomes the item id. Of several items with one title the first keeps it; each
    other gets " [<item id>]" appended, again and again until no other item has the result.

    Args:
        item_ids: one non-empty id an item.
        titles: clean titles, in the same order.

    Returns:
        The titles, and how many of them were changed because another item had the same.

    Examples:
        >>> unique_titles(["7", "8", "9"], ["Emma (1996)", "Emma (1996)", ""])
        (['Emma (1996)', 'Emma (1996) [8]', '9'], 1)
    """
    named = [
        title if title.strip() else item_id for item_id, title in zip(item_ids, titles, strict=True)
    ]
    taken = set(named)  # a first holder keeps its title even from appended ones that come earlier
    held: set[str] = set()
    unique: list[str] = []
    changed = 0
    for item_id, title in zip(item_ids, named, strict=True):
        own = title
        if own in held:
            changed += 1
            while own in taken:
                own = f"{own} [{item_id}]"
        taken.add(own)
        held.add(title)
        unique.append(own)
    return unique, changed
