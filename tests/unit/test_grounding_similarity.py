import pytest

from genrec_cli.decoding.grounding import Grounder, Match

TITLES = ["Amélie (2001)", "Usual Suspects, The (1995)", "Suspicion (1941)"]


def test_of_remakes_the_one_of_the_year_is_meant() -> None:
    dames = [f"The Hunchback of Notre Dame ({year})" for year in (1995, 1996, 1997)]
    grounder = Grounder(dames)
    found = [grounder.ground(title.replace("Hunchback", "Hunchbak")) for title in dames]
    assert [match.item for match in found] == [0, 1, 2]
    assert grounder.ground("Hunchbak of Notre Dame") == Match(None, 0.0, "none", [0, 1, 2])


def test_confidence_falls_with_every_error_and_rises_with_the_year() -> None:
    texts = [
        "The Usual Suspects",
        "usual suspect (1995)",
        "usual suspect",
        "usul suspect",
        "battleship potemkin",
    ]
    confidences = [match.confidence for match in Grounder(TITLES).ground_all(texts)]
    assert confidences == sorted(set(confidences), reverse=True)
    assert (confidences[0], confidences[-1]) == (1, 0)


def test_the_cutoff_is_the_lowest_similarity_of_a_match() -> None:
    similarity = 100 * 10 / 12  # five letters of six
    assert Grounder(TITLES, cutoff=similarity - 0.1).ground("amelia").item == 0
    assert Grounder(TITLES, cutoff=similarity + 0.1).ground("amelia").item is None


def test_the_most_similar_form_counts() -> None:
    grounder = Grounder(["Fanny and Alexander (TV) (1982)", "Fanny"])
    ratio = 2 * len("fany and alexander") / len("fany and alexanderfanny and alexander")
    match = grounder.ground("Fany and Alexander")
    assert match.item == 0
    assert match.confidence == pytest.approx(ratio)


def test_the_most_similar_title_is_meant_not_the_one_of_the_rarest_trigrams() -> None:
    titles = ["Sleepers", "Sleeper"]
    match = Grounder(titles).ground("sleeperes")
    assert match.item == 0
    assert match.confidence == pytest.approx(16 / 17)
    assert Grounder(titles, margin=10).ground("sleeperes").nearest == [0, 1]


def test_suggestions_look_for_a_part_of_a_title() -> None:
    titles = ["Park Light (2001)", "Batman: The Dark Knight Rises (2012)"]
    assert Grounder(titles).ground("dark knight").nearest == [1, 0]


def test_within_the_margin_several_titles_may_be_meant() -> None:
    titles = ["Sleepers (1996)", "Sleeper (1973)"]
    ahead = 100 * (14 / 15 - 14 / 16)  # "sleeperz" is nearer to "sleeper"
    assert Grounder(titles, margin=ahead - 0.1).ground("sleeperz").item == 1
    assert Grounder(titles, margin=ahead + 0.1).ground("sleeperz").nearest == [1, 0]
