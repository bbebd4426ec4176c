import csv
import io
import unicodedata
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec_cli.data.titles import clean_title, unique_titles

REAL = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Matrix, The (1999)", "The Matrix (1999)"),
        ("Misérables, Les (1995)", "Les Misérables (1995)"),
        ("Vitelloni, I (1953)", "I Vitelloni (1953)"),
        ("Atalante, L' (1934)", "L'Atalante (1934)"),
        ("Atalante, L’ (1934)", "L’Atalante (1934)"),
        ("Blind Side, The  (2009)", "The Blind Side (2009)"),
        ("Hip Hop Witch, Da (2000)", "Da Hip Hop Witch (2000)"),
        (
            "City of Lost Children, The (Cité des enfants perdus, La) (1995)",
            "The City of Lost Children (La Cité des enfants perdus) (1995)",
        ),
        ("Avventura, L' (Adventure, The) (1960)", "L'Avventura (The Adventure) (1960)"),
        ("Dream (a.k.a. Sun, The) (Sol, El) (1992)", "Dream (a.k.a. The Sun) (El Sol) (1992)"),
        ("Crow, The: Wicked Prayer (2005)", "The Crow: Wicked Prayer (2005)"),
        ("(500) Days of Summer, The (2009)", "The (500) Days of Summer (2009)"),
        ("Good, the Bad and the Ugly, The (1966)", "The Good, the Bad and the Ugly (1966)"),
        ("Matrix, The", "The Matrix"),
    ],
)
def test_an_article_behind_the_title_moves_to_its_front(raw: str, clean: str) -> None:
    assert clean_title(raw) == clean


@pytest.mark.parametrize(
    "title",
    [
        "Seven (a.k.a. Se7en) (1995)",
        "Paris, Texas (1984)",
        "I, Robot (2004)",
        "Two Days, One Night (Deux jours, une nuit) (2014)",
        "I, Worst of All (Yo, la peor de todas) (1990)",
        "Strike! (a.k.a. All I Wanna Do, The Hairy Bird) (1998)",
        "$1,000,000 Duck (1971)",
        "Good Night, and Good Luck. (2005)",
        "Good, The Bad",
        ", The (1999)",
        "Evangelion: 1.0 You Are (Not) Alone (2007)",
    ],
)
def test_a_comma_before_other_words_stays(title: str) -> None:
    assert clean_title(title) == title


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Et Dieu&#8230;Créa la Femme", "Et Dieu…Créa la Femme"),
        ("Tom &amp; Jerry", "Tom & Jerry"),
        ("Tom &amp;amp; Jerry", "Tom & Jerry"),
        ("  96\tMinutes\r\n(2011) ", "96 Minutes (2011)"),
        ("one\x00two\x85three\u2028four", "one two three four"),
        ("soft\xadhyphen\u200b\ufeff", "softhyphen"),
        ("Cafe\u0301", "Café"),
        ("The Slingshot (Kådisbellan ) (1993)", "The Slingshot (Kådisbellan) (1993)"),
        ("The Associate (L'Associe)(1982)", "The Associate (L'Associe) (1982)"),
        ("Besieged (a.k.a. L' Assedio) (1998)", "Besieged (a.k.a. L'Assedio) (1998)"),
        ("", ""),
        (" \n\t&nbsp;\u200b ", ""),
    ],
)
def test_entities_blanks_and_control_characters_are_mended(raw: str, clean: str) -> None:
    assert clean_title(raw) == clean


# Pieces that set off every rule, so that random titles are not all plain.
_PIECES = st.sampled_from(
    ["Matrix", ", The", ", L'", ", La", " (", ")", ")(", "&amp;", "amp;", "&#40;", "&comma; A"]
    + [":", "\n", "  ", "\x00", "L' ", "a.k.a. ", "\u0301", "e", "\u200b", " [7]"]
)
TEXTS = st.one_of(st.text(), st.lists(_PIECES).map("".join))


@given(TEXTS)
def test_cleaning_twice_is_cleaning_once(raw: str) -> None:
    clean = clean_title(raw)
    assert clean_title(clean) == clean


@given(TEXTS)
def test_a_clean_title_is_one_line_without_odd_characters(raw: str) -> None:
    clean = clean_title(raw)
    assert clean == " ".join(clean.split())
    assert not {"Cc", "Cs", "Zl", "Zp"} & {unicodedata.category(letter) for letter in clean}


@pytest.mark.parametrize(
    ("ids", "titles", "expected", "changed"),
    [
        (["1", "2"], ["A", "B"], ["A", "B"], 0),
        (["1", "2", "3"], ["A", "A", "A"], ["A", "A [2]", "A [3]"], 2),
        (["1", "2"], ["", " "], ["1", "2"], 0),
        (["1", "2", "3"], ["A", "A", "A [2]"], ["A", "A [2] [2]", "A [2]"], 1),
        (["1", "2", "3"], ["A [3]", "A", "A"], ["A [3]", "A", "A [3] [3]"], 1),
        (["7", "8"], ["", "7"], ["7", "7 [8]"], 1),
        ([], [], [], 0),
    ],
)
def test_later_items_of_one_title_get_their_id_behind_it(
    ids: list[str], titles: list[str], expected: list[str], changed: int
) -> None:
    given_ids, given_titles = list(ids), list(titles)
    assert unique_titles(ids, titles) == (expected, changed)
    assert (ids, titles) == (given_ids, given_titles)


_TITLE = st.sampled_from(["", " ", "A", "B", "1", "A [1]", "A [2]", "A [2] [2]"]) | st.text()
_ITEMS = st.lists(
    st.tuples(st.integers(0, 30).map(str) | st.text(min_size=1), _TITLE),
    unique_by=lambda item: item[0],
)


@given(_ITEMS)
def test_made_titles_are_unique_filled_and_the_first_keeps_its_own(
    items: list[tuple[str, str]],
) -> None:
    ids, titles = [item[0] for item in items], [item[1] for item in items]
    unique, changed = unique_titles(ids, titles)
    named = [title if title.strip() else item_id for item_id, title in items]
    first = [title not in named[:place] for place, title in enumerate(named)]
    assert len(set(unique)) == len(items)
    assert all(unique)
    assert changed == first.count(False)
    kept = [own == title for own, title in zip(unique, named, strict=True)]
    assert kept == first


@pytest.mark.realdata
def test_cleaning_latest_small_leaves_five_titles_that_stand_twice() -> None:
    source = REAL / "ml-latest-small.zip"
    if not source.exists():
        pytest.skip(f"{source} is not there")
    with zipfile.ZipFile(source) as archive:
        text = archive.read("ml-latest-small/movies.csv").decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    clean = [clean_title(row["title"]) for row in rows]
    unique, changed = unique_titles([row["movieId"] for row in rows], clean)
    assert changed == 5
    assert len(set(unique)) == len(rows) == 9742
    assert "Emma (1996) [26958]" in unique
