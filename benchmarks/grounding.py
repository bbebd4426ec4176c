"""How well and how fast free text is grounded to titles.

    python benchmarks/grounding.py CATALOG.parquet ml-latest-small.zip

CATALOG is `catalog.parquet` of a prepared MovieLens dataset. Each of its titles gets one or two
typing errors: a letter replaced, put in, left out, or swapped with the next, at a random place
before the year. The films are those of the zip that the catalog does not have, by MovieLens's id,
and whose words no title of it has; "drawn" gives each the year of some title of the catalog, as a
model that invents a film may do. Printed are percents of texts taken for their own title / for
another one, and how often a fuzzy match of some confidence is right among texts of each kind.

Speed: CPU seconds on 62,000 titles made of halves of real ones, beside the search without an
index: `fuzz.ratio` with every form, then `fuzz.WRatio` where nothing was found. Last, how often the
form that `fuzz.ratio` likes best is among the first n that the index finds.
"""

import csv
import io
import random
import re
import string
import sys
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias, TypeVar

import pyarrow.parquet as pq
from rapidfuzz import fuzz, process

from genrec_cli.data.titles import clean_title
from genrec_cli.decoding.grounding import CUTOFF, Grounder
from genrec_cli.decoding.similar import TrigramIndex
from genrec_cli.decoding.titletext import take_apart

CUTOFFS = (80, 82, 84, 85, 86, 87, 88, 90)
MARGINS = (0.001, 2, 4, 6)
DEPTHS = (10, 30, 50, 100)
BIG, TEXTS, SLOW_TEXTS = 62_000, 5_000, 200
YEAR = re.compile(r" \(\d{4}\)$")

Texts: TypeAlias = Sequence[str]
Input = TypeVar("Input")


def main(catalog_file: str, zip_file: str) -> None:
    """Print the tables."""
    catalog = pq.read_table(catalog_file).to_pydict()
    titles = catalog["title"]
    films = read_films(Path(zip_file))
    others = [title for film, title in films.items() if film not in set(catalog["item_id"])]
    rng = random.Random(0)
    quality(titles, others, rng)
    big = mix([*titles, *films.values()], rng)
    speed(big, rng)
    depth(titles, rng)
    depth(big, rng)


def read_films(path: Path) -> dict[str, str]:
    """Cleaned titles by id."""
    with zipfile.ZipFile(path) as archive, archive.open("ml-latest-small/movies.csv") as file:
        rows = csv.DictReader(io.TextIOWrapper(file, "utf-8"))
        return {row["movieId"]: clean_title(row["title"]) for row in rows}


def mix(titles: Texts, rng: random.Random) -> list[str]:
    """Distinct titles that begin like one and end like another."""
    words = [without_year(title).split() for title in titles]
    mixed: dict[str, None] = {}
    while len(mixed) < BIG:
        one, other = rng.choice(words), rng.choice(words)
        halves = one[: (len(one) + 1) // 2] + other[len(other) // 2 :]
        mixed[f"{' '.join(halves)} ({rng.randrange(1930, 2020)})"] = None
    return list(mixed)


def without_year(title: str) -> str:
    """A title up to its year."""
    return YEAR.sub("", title)


def misspell(title: str, errors: int, rng: random.Random) -> str:
    """A title with typing errors before its year."""
    text = without_year(title)
    year = title[len(text) :]
    for _ in range(errors):
        at, letter = rng.randrange(len(text)), rng.choice(string.ascii_lowercase)
        here, after = text[at], text[at + 1 :]
        swapped = after[:1] + here + after[1:]
        end = rng.choice([letter + after, letter + here + after, after, swapped])
        text = (text[:at] + end) or letter
    return text + year


def quality(titles: Texts, others: Texts, rng: random.Random) -> None:
    """Matches by cutoff and margin, then by confidence at those in use."""
    grounder = Grounder(titles)
    others = [film for film in others if is_unlike(grounder, film)]
    years = [found[0] for title in titles if (found := YEAR.search(title))]
    full = {
        "one error": [misspell(title, 1, rng) for title in titles],
        "two errors": [misspell(title, 2, rng) for title in titles],
        "films": others,
    }
    bare = {kind: [without_year(text) for text in texts] for kind, texts in full.items()}
    drawn = {"films, drawn": [film + rng.choice(years) for film in bare["films"]]}
    print(f"{len(titles)} titles, {len(others)} other films")
    for how, texts in (("without the year", bare), ("with it", full | drawn)):
        for cutoff in CUTOFFS:
            print(f"{how}, cutoff {cutoff}:", shares(Grounder(titles, cutoff=cutoff), texts))
        for margin in MARGINS:
            print(f"{how}, margin {margin}:", shares(Grounder(titles, margin=margin), texts))
    print("right by confidence, without the year:", reliability(grounder, bare))
    print("right by confidence, with it:", reliability(grounder, full))


def is_unlike(grounder: Grounder, film: str) -> bool:
    """Whether no title has a film's words."""
    matches = grounder.ground_all([film, without_year(film)])
    return all(match.how in ("fuzzy", "none") for match in matches)


def shares(grounder: Grounder, kinds: Mapping[str, Texts]) -> dict[str, str]:
    """Percent of the texts of each kind taken for the title at their place / for another."""
    shown = {}
    for kind, texts in kinds.items():
        hits = [right for right, _ in taken(grounder, kind, texts)]
        right, wrong = (100 * hits.count(which) / len(texts) for which in (True, False))
        shown[kind] = f"{right:.1f}/{wrong:.2f}"
    return shown


def reliability(grounder: Grounder, kinds: Mapping[str, Texts]) -> dict[int, str]:
    """Share of right fuzzy matches among those of a confidence, in steps of two percent."""
    bins: defaultdict[int, list[bool]] = defaultdict(list)
    for kind, texts in kinds.items():
        for right, confidence in taken(grounder, kind, texts):
            if confidence < 1:
                bins[int(50 * confidence) * 2].append(right)
    return {
        low: f"{sum(hits) / len(hits):.3f} of {len(hits)}" for low, hits in sorted(bins.items())
    }


def taken(grounder: Grounder, kind: str, texts: Texts) -> list[tuple[bool, float]]:
    """Of each text that was taken for a title: whether for its own, and the confidence."""
    return [
        (match.item == place and not kind.startswith("films"), match.confidence)
        for place, match in enumerate(grounder.ground_all(texts))
        if match.item is not None
    ]


def speed(titles: Texts, rng: random.Random) -> None:
    """Texts a second: many at once, one by one, and without an index."""
    start = time.process_time()
    grounder = Grounder(titles)
    middle = time.process_time()
    grounder.ground("no words of a title")
    end = time.process_time()
    print(f"{BIG} titles: {middle - start:.2f} s, and {end - middle:.2f} s for the first search")
    forms = all_forms(titles)
    sample = rng.sample(titles, TEXTS)
    for errors in (1, 7):
        texts = [without_year(misspell(title, errors, rng)) for title in sample]
        few = texts[:SLOW_TEXTS]
        words = [take_apart(text).plain for text in few]
        at_once = TEXTS / seconds(grounder.ground_all, [texts])
        single = SLOW_TEXTS / seconds(grounder.ground, few)
        brute = SLOW_TEXTS / seconds(lambda text: brute_force(text, forms), words)
        print(f"{errors} errors: {at_once:.0f}/s, {single:.0f}/s, {brute:.1f}/s")


def seconds(work: Callable[[Input], object], inputs: Sequence[Input]) -> float:
    """CPU seconds of some work on all inputs, one by one."""
    start = time.process_time()
    for one in inputs:
        work(one)
    return time.process_time() - start


def brute_force(words: str, forms: Texts) -> object:
    """The most similar forms, by comparing all."""
    found = process.extract(words, forms, scorer=fuzz.ratio, score_cutoff=CUTOFF, limit=10)
    return found or process.extract(words, forms, scorer=fuzz.WRatio, score_cutoff=1, limit=6)


def all_forms(titles: Texts) -> list[str]:
    """Distinct forms of some titles."""
    return list(dict.fromkeys(form for title in titles for form in take_apart(title).forms))


def depth(titles: Texts, rng: random.Random) -> None:
    """How often the first n of the index hold a form as similar as the best of all."""
    forms = all_forms(titles)
    texts = [misspell(title, 1, rng) for title in rng.sample(titles, 2_000)]
    words = [take_apart(text).plain for text in texts]
    best = [process.extractOne(text, forms, scorer=fuzz.ratio) for text in words]
    near = TrigramIndex(forms).nearest(words, max(DEPTHS))
    for n in DEPTHS:
        hits = [
            max((fuzz.ratio(text, forms[place]) for place in row[:n]), default=0) >= found[1]
            for text, row, found in zip(words, near, best, strict=True)
            if found[1] >= CUTOFF
        ]
        print(f"{len(titles)} titles, first {n}: {sum(hits) / len(hits):.4f} of {len(hits)} texts")


if __name__ == "__main__":
    main(*sys.argv[1:])
