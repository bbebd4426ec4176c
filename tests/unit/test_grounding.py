import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec_cli.decoding.grounding import Grounder, Match, normalise

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


@pytest.mark.parametrize("text", ["", "  ", "???", "()"])
def test_a_text_without_words_is_like_nothing(text: str) -> None:
    assert GROUNDER.ground(text) == Match(None, 0.0, "none", [])


def test_an_empty_catalog_matches_nothing() -> None:
    assert Grounder([]).ground("matrix") == Match(None, 0.0, "none", [])


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
    ],
)
def test_normalise_keeps_the_words(title: str, words: str) -> None:
    assert normalise(title) == words


@given(st.lists(st.text(max_size=12).map(str.strip), unique=True, max_size=8))
def test_every_title_is_found_by_itself(titles: list[str]) -> None:
    grounder = Grounder(titles)
    assert [grounder.ground(title).item for title in titles] == list(range(len(titles)))


@given(st.text(max_size=40))
def test_any_text_gets_an_answer(text: str) -> None:
    match = GROUNDER.ground(text)
    assert (match.item is None) == (match.how == "none")
    assert match.item is None or match.nearest == []
