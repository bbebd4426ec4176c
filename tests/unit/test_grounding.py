import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from genrec_cli.decoding.grounding import Grounder, Match
from genrec_cli.decoding.titletext import (
    normalise,
    readings,
    same_numerals,
    take_apart,
    years_agree,
)

TITLES = [
    "The Matrix (1999)",
    "Titanic (1953)",
    "Titanic (1997)",
    "Amélie (2001)",
    "Rocky II (1979)",
    "Rocky III (1982)",
    "Blade Runner (1982)",
    "Blade Runner 2049 (2017)",
    "Usual Suspects, The (1995)",
    "Il Postino (The Postman) (1994)",
    "Black & White",
    "U.S. Marshals (1998)",
    "$ (1971)",
    "Se7en (1995)",
]
GROUNDER = Grounder(TITLES)


@pytest.mark.parametrize(
    ("text", "how", "title"),
    [
        ("The Matrix (1999)", "exact", "The Matrix (1999)"),
        ("  Titanic (1997) ", "exact", "Titanic (1997)"),
        ("Black & White", "exact", "Black & White"),
        ("matrix", "normalised", "The Matrix (1999)"),
        ("MATRIX, THE", "normalised", "The Matrix (1999)"),
        ("matrix 1999", "normalised", "The Matrix (1999)"),
        ("the matrix (2000)", "normalised", "The Matrix (1999)"),  # sources disagree by a year
        ("titanic 1953", "normalised", "Titanic (1953)"),
        ("amelie", "normalised", "Amélie (2001)"),
        ("The Usual Suspects", "normalised", "Usual Suspects, The (1995)"),
        ("suspects usual", "normalised", "Usual Suspects, The (1995)"),
        ("blade runner", "normalised", "Blade Runner (1982)"),
        ("blade runner 2049", "normalised", "Blade Runner 2049 (2017)"),
        ("blade runner 2049 (2017)", "normalised", "Blade Runner 2049 (2017)"),
        ("black and white", "normalised", "Black & White"),
        ("black and white (2004)", "normalised", "Black & White"),  # a title without a year
        ("us marshals", "normalised", "U.S. Marshals (1998)"),
        ("il postino", "normalised", "Il Postino (The Postman) (1994)"),
        ("$", "normalised", "$ (1971)"),
        ("the matriix", "fuzzy", "The Matrix (1999)"),
        ("matrixx (1999)", "fuzzy", "The Matrix (1999)"),
        ("titanicc 1997", "fuzzy", "Titanic (1997)"),
        ("usual suspect", "fuzzy", "Usual Suspects, The (1995)"),
        ("blade runer 2049", "fuzzy", "Blade Runner 2049 (2017)"),
        ("roccky iii", "fuzzy", "Rocky III (1982)"),
        ("amelia (2001)", "fuzzy", "Amélie (2001)"),  # the year makes up for so short a title
        ("amelia 2001", "fuzzy", "Amélie (2001)"),
    ],
)
def test_a_text_is_taken_for_the_title_it_means(text: str, how: str, title: str) -> None:
    match = GROUNDER.ground(text)
    assert (match.item, match.how) == (TITLES.index(title), how)
    assert match.nearest == []
    if how == "fuzzy":
        assert 0.8 < match.confidence < 1
    else:
        assert match.confidence == 1


@pytest.mark.parametrize(
    ("text", "suggested"),
    [
        ("titanic", ["Titanic (1953)", "Titanic (1997)"]),  # either
        ("titanik", ["Titanic (1953)", "Titanic (1997)"]),
        ("titanic (1943)", ["Titanic (1953)", "Titanic (1997)"]),  # another film
        ("rocky iv", ["Rocky III (1982)", "Rocky II (1979)"]),  # one letter from two titles
        ("blade runner 2099", ["Blade Runner (1982)"]),
        ("blade", ["Blade Runner (1982)"]),  # a part is not a typing error
        ("amelia", ["Amélie (2001)"]),
        ("amelia (2002)", ["Amélie (2001)"]),  # wrong in two ways
        ("matrixx (2010)", ["The Matrix (1999)"]),
    ],
)
def test_a_doubtful_text_is_no_match_but_brings_suggestions(
    text: str, suggested: list[str]
) -> None:
    match = GROUNDER.ground(text)
    assert (match.item, match.confidence, match.how) == (None, 0, "none")
    assert {TITLES.index(title) for title in suggested} <= set(match.nearest)


@pytest.mark.parametrize("text", ["Battleship Potemkin", "asdf qwer", "a", "1999", "Trix"])
def test_a_text_that_names_nothing_here_is_no_match(text: str) -> None:
    match = GROUNDER.ground(text)
    assert (match.item, match.how) == (None, "none")
    assert len(match.nearest) <= 3


@pytest.mark.parametrize("text", ["", "  ", "???", "()", "—…", "(1999)", "\x00", "🎬🎬"])
def test_a_text_without_words_is_like_nothing(text: str) -> None:
    assert GROUNDER.ground(text) == Match(None, 0.0, "none", [])


def test_a_title_without_words_is_only_found_exactly() -> None:
    grounder = Grounder(["(1999)", ""])
    assert grounder.ground("(1999)") == Match(0, 1.0, "exact")
    assert grounder.ground("").item == 1
    assert grounder.ground("(1998)") == Match(None, 0.0, "none", [])


def test_an_empty_catalog_matches_nothing() -> None:
    assert Grounder([]).ground("matrix") == Match(None, 0.0, "none", [])


@pytest.mark.parametrize(
    ("text", "item", "nearest"),
    [
        ("jaws", 0, []),
        ("jawss", 0, []),
        ("jaaws (1976)", 0, []),
        ("jaw", None, [0]),
        ("jaws 2", None, [0]),
        ("psycho", None, []),
        ("", None, []),
    ],
)
def test_a_catalog_may_have_one_title(text: str, item: int | None, nearest: list[int]) -> None:
    match = Grounder(["Jaws (1975)"]).ground(text)
    assert (match.item, match.nearest) == (item, nearest)


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("七人の侍", 0),
        ("七人の待 (1954)", 0),
        ("七人の待", None),  # one letter of four
        ("ОБЫКНОВЕННЫИ ФАШИСТ", 1),
        ("обыкновенный фашит", 1),
        ("žizkov", 2),
        ("Straẞe", 3),
        ("strassse", 3),
    ],
)
def test_every_script_has_typing_errors(text: str, item: int | None) -> None:
    titles = ["七人の侍 (1954)", "Обыкновенный фашист (1965)", "Žižkov", "Straße"]
    assert Grounder(titles).ground(text).item == item


def test_a_long_run_of_blanks_takes_no_time() -> None:
    start = time.process_time()
    assert GROUNDER.ground(f"the{' ' * 50_000}matrix").item == 0
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("The Matrix", "matrix"),
        ("The The", "the"),
        ("A", "a"),
        ("Ōkami-san, 100%", "okami san 100"),
        ("S.W.A.T.", "swat"),
        ("Mr. Smith", "mr smith"),
        ("七人の侍", "七人の侍"),
        ("!!!", "!!!"),
        ("", ""),
    ],
)
def test_normalise_keeps_the_words(title: str, words: str) -> None:
    assert normalise(title) == words


@given(st.lists(st.text(max_size=12).map(str.strip), unique=True, max_size=8))
def test_every_title_is_found_by_itself(titles: list[str]) -> None:
    grounder = Grounder(titles)
    assert [grounder.ground(title).item for title in titles] == list(range(len(titles)))


@given(st.text(st.characters(), max_size=40))
@example("\ud800")
def test_any_text_gets_an_answer(text: str) -> None:
    match = GROUNDER.ground(text)
    assert (match.item is None) == (match.how == "none")
    assert match.item is None or match.nearest == []
    assert (match.confidence == 1) == (match.how in ("exact", "normalised"))
    assert (match.confidence == 0) == (match.how == "none")


@given(st.sampled_from(TITLES), st.data())
def test_a_match_never_contradicts_a_number(title: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(title)))
    text = title[:place] + data.draw(st.sampled_from("aix2 ")) + title[place:]
    match = GROUNDER.ground(text)
    if match.item is not None:
        meant = take_apart(TITLES[match.item])
        assert any(
            same_numerals(name.plain, meant.plain) and years_agree(name.year, meant.year)
            for name in readings(text)
        )
