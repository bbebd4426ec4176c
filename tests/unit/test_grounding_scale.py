import random
import time
from collections import Counter
from math import log, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz import fuzz, process

from genrec_cli.decoding.grounding import CUTOFF, Grounder
from genrec_cli.decoding.similar import TrigramIndex
from genrec_cli.decoding.titletext import take_apart

TITLES = [
    "The Matrix (1999)",
    "Titanic (1953)",
    "Titanic (1997)",
    "Rocky II (1979)",
    "Rocky III (1982)",
    "Usual Suspects, The (1995)",
    "$ (1971)",
]
GROUNDER = Grounder(TITLES)
ONSETS = ["", "b", "c", "d", "f", "gr", "h", "j", "l", "m", "n", "p", "r", "s", "st", "t", "w"]
CODAS = ["", "", "n", "r", "s", "l", "ck", "ng"]
SIZE = 62_000  # titles of MovieLens 25M


def synthetic_titles() -> list[str]:
    rng = random.Random(0)
    syllables = [f"{a}{b}{c}" for a in ONSETS for b in "aeiou" for c in CODAS]
    words = ["".join(rng.choices(syllables, k=rng.choice((1, 2, 2, 3)))) for _ in range(8_000)]
    titles: dict[str, None] = {}
    while len(titles) < SIZE:
        title = " ".join(rng.choices(words, k=rng.choice((1, 2, 2, 3, 4))))
        titles[f"{title} ({rng.randrange(1930, 2020)})"] = None
    return list(titles)


def misspell(text: str, rng: random.Random) -> str:
    place = rng.randrange(len(text) + 1)
    letter = rng.choice("aeiourst")
    return rng.choice(
        [
            text[:place] + letter + text[place:],
            text[:place] + letter + text[place + 1 :],
            text[: max(place - 1, 0)] + text[place:],
            text[:place]
            + text[place + 1 : place + 2]
            + text[place : place + 1]
            + text[place + 2 :],
        ]
    )


@pytest.fixture(scope="module")
def titles() -> list[str]:
    return synthetic_titles()


@pytest.fixture(scope="module")
def forms(titles: list[str]) -> list[str]:
    return list(dict.fromkeys(form for title in titles for form in take_apart(title).forms))


@pytest.fixture(scope="module")
def misspelled(titles: list[str]) -> list[str]:
    rng = random.Random(1)
    return [misspell(take_apart(title).plain, rng) for title in rng.sample(titles, 400)]


def cosines(texts: list[str], query: str) -> list[float]:
    """Of TF-IDF weights, with logarithms smoothed as scikit-learn does, counted by hand."""
    grams = [Counter(trigrams(text)) for text in texts]
    frequency = Counter(gram for counts in grams for gram in counts)
    rarity = {gram: log((1 + len(texts)) / (1 + df)) + 1 for gram, df in frequency.items()}
    vectors = [
        {gram: n * rarity[gram] for gram, n in counts.items() if gram in rarity}
        for counts in [*grams, Counter(trigrams(query))]
    ]
    lengths = [sqrt(sum(weight**2 for weight in vector.values())) or 1 for vector in vectors]
    return [
        sum(weight * vector.get(gram, 0) for gram, weight in vectors[-1].items())
        / (length * lengths[-1])
        for vector, length in zip(vectors[:-1], lengths, strict=False)
    ]


def trigrams(text: str) -> list[str]:
    padded = [f" {word} " for word in text.split()]
    return [word[i : i + 3] for word in padded for i in range(len(word) - 2)]


words = st.text("abc ", min_size=1, max_size=9).filter(str.strip)


@given(st.lists(words, max_size=8), st.text("abcd ", max_size=9), st.integers(1, 5))
def test_the_index_finds_the_highest_cosines(texts: list[str], query: str, n: int) -> None:
    [found] = TrigramIndex(texts).nearest([query], n)
    scores = cosines(texts, query)
    assert len(set(found)) == len(found) == min(n, sum(score > 0 for score in scores))
    best = sorted(scores, reverse=True)[: len(found)]
    assert [scores[place] for place in found] == pytest.approx(best, abs=1e-5)


def test_of_equal_texts_the_first_are_found() -> None:
    index = TrigramIndex(["other", *["same words"] * 9])
    assert index.nearest(["same words", "nil", ""], 3) == [[1, 2, 3], [], []]
    assert index.nearest([], 3) == TrigramIndex([]).nearest([], 3) == []
    assert TrigramIndex([]).nearest(["same"], 3) == [[]]


@given(
    st.lists(
        st.sampled_from(TITLES) | st.text("matrixockyin )(197", max_size=14) | st.text(max_size=9)
    )
)
def test_many_texts_are_grounded_like_each_alone(texts: list[str]) -> None:
    before = list(texts)
    assert GROUNDER.ground_all(texts) == [GROUNDER.ground(text) for text in texts]
    assert texts == before


def test_a_large_catalog_takes_seconds_and_parts_of_a_batch_do_not_mix(
    titles: list[str], misspelled: list[str]
) -> None:
    start = time.process_time()
    grounder = Grounder(titles)
    matches = grounder.ground_all(misspelled)  # more than the index takes at once
    assert time.process_time() - start < 20  # 2 s, measured
    for place in range(0, len(misspelled), 23):
        assert matches[place] == grounder.ground(misspelled[place])
    assert sum(match.how == "fuzzy" for match in matches) > len(matches) / 2


def test_the_best_title_by_brute_force_is_among_those_compared(
    forms: list[str], misspelled: list[str]
) -> None:
    texts = [take_apart(text).plain for text in misspelled]
    hits, start = [], time.process_time()
    best = [process.extractOne(text, forms, scorer=fuzz.ratio)[1] for text in texts]
    brute, start = time.process_time() - start, time.process_time()
    near = TrigramIndex(forms).nearest(texts, 50)
    assert time.process_time() - start < brute  # a fifth, measured, with the making of the index
    for text, places, score in zip(texts, near, best, strict=True):
        if score >= CUTOFF:
            hits.append(max(fuzz.ratio(text, forms[place]) for place in places) == score)
    assert len(hits) > len(texts) / 2
    assert sum(hits) >= 0.99 * len(hits)
