"""What in a dataset can fool a benchmark, in figures and in words."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrec_cli.core.settings import PrepareSettings
from genrec_cli.data.engine.kernel import Made
from genrec_cli.data.engine.tally import Tally
from genrec_cli.data.rawlog import PER_SECOND, TimeUnit

_DAY = 86_400
_SUSPICIOUS = 0.01  # of the guesses of the next id; by chance it is one item of thousands


@dataclass(frozen=True)
class Finding:
    """One thing to know.

    Attributes:
        name: in a few words.
        value: the figure, as people read it.
        meaning: a sentence on what it does to results.
        warns: whether it is bad enough to be pointed out.
    """

    name: str
    value: str
    meaning: str
    warns: bool = False


@dataclass(frozen=True)
class Audit:
    """Figures for programs, and findings for people."""

    figures: dict[str, Any]
    findings: list[Finding]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {**self.figures, "findings": [asdict(finding) for finding in self.findings]}


@dataclass(frozen=True)
class NextId:
    """How a recommender does that knows nothing but one rule: next comes the next number.

    Attributes:
        hits: HR@1 of guessing the item whose number is one above the history's highest.
        items: how many could be guessed.
    """

    hits: float
    items: int

    @property
    def chance(self) -> float:
        """HR@1 of any one guess."""
        return 1 / max(1, self.items)

    @property
    def leaks(self) -> bool:
        """Whether the rule is right too often for numbers that mean nothing."""
        return self.hits > max(_SUSPICIOUS, 10 * self.chance)

    @property
    def meaning(self) -> str:
        """A sentence on what it does to results."""
        guess = "HR@1 of guessing the item behind the history's highest id"
        verdict = (
            "ids give answers away, and a model that reads them can cheat."
            if self.leaks
            else "ids do not give answers away."
        )
        return f"{guess} ({self.chance:.3%} by chance): {verdict}"


def audit(made: Made, settings: PrepareSettings, unit: TimeUnit) -> Audit:
    """Look at a dataset through what was counted while it was made.

    What is looked at, and why, follows Hidasi & Czapp 2023 (Widespread Flaws in Offline Evaluation
    of Recommender Systems, RecSys) and Ji et al. 2023 (A Critical Study on Data Leakage in
    Recommender System Offline Evaluation, TOIS).
    """
    counted = made.tally
    parts = [
        _ties(counted, settings),
        *([] if made.cut is None else [_asked(counted)]),
        *([] if unit == "order" else [_future(made), _sittings(counted, PER_SECOND[unit])]),
        _repeats(counted),
        _next_id(counted),
        _titles(made),
        _cold(counted),
        _popularity(counted),
        _density(counted),
    ]
    figures = {name: figure for name, figure, _ in parts}
    return Audit(figures, [finding for _, _, finding in parts])


_Part = tuple[str, dict[str, Any], Finding]


def _ties(counted: Tally, settings: PrepareSettings) -> _Part:
    share, changed = _share(counted.tied, counted.tests), _share(counted.changed, counted.tests)
    rule = "a seeded hash" if settings.ties == "hash" else "the file's order"
    figure = {
        "rule": settings.ties,
        "users": counted.tied,
        "share": share,
        "changed": counted.changed,
        "changed_share": changed,
    }
    meaning = (
        f"Their test item shares its time with a neighbour, and {rule} decides: the other way "
        f"round {changed:.1%} of users would be asked for another item. Compare only figures with "
        "the same tie rule."
        if counted.tied
        else "No test item shares its time with a neighbour; no tie rule decides anything."
    )
    return (
        "ties",
        figure,
        Finding("users with tied test items", f"{share:.1%}", meaning, share > 0.1),
    )


def _asked(counted: Tally) -> _Part:
    users = len(counted.spans)
    share = _share(counted.tests, users)
    meaning = (
        "Users with a history before the test period and an event in it; the other "
        f"{users - counted.tests:,} only train."
    )
    figure = {"users": counted.tests, "share": share}
    return "asked", figure, Finding("users that are tested", f"{share:.1%}", meaning, share < 0.1)


def _future(made: Made) -> _Part:
    counted = made.tally
    train, tests = counted.train_times, counted.test_times
    later = train.sum() - np.cumsum(train) + train / 2  # in the test's own bin: half, on average
    pairs = float(train.sum()) * float(tests.sum())
    share = round(float(tests @ later) / pairs, 4) if pairs else 0.0
    meaning = (
        "Training events later than a user's test event, on average: a model can learn from the "
        "future. --split global-time rules that out."
        if made.cut is None
        else "No training event is later than a test event: no model can learn from the future."
    )
    finding = Finding("training after the test", f"{share:.1%}", meaning, share > 0.1)
    return "future", {"later_training_share": share}, finding


def _sittings(counted: Tally, per_second: int) -> _Part:
    seconds = counted.spans / per_second
    median = float(np.median(seconds))
    day = round(float(np.mean(seconds <= _DAY)), 4)
    meaning = (
        f"Median time from a user's first event to her last; {day:.1%} of users fit into a day. "
        "The order within one sitting says little about what people turn to next."
    )
    finding = Finding("span of a history", span(median), meaning, median <= _DAY)
    return "sittings", {"median_span_seconds": median, "one_day_share": day}, finding


def _repeats(counted: Tally) -> _Part:
    share = _share(counted.repeats, counted.rows)
    meaning = (
        "Events with an item that the user has touched before: a ranking without seen items "
        "cannot hit them."
        if counted.repeats
        else "No user has an item twice; a ranking can leave seen items out."
    )
    finding = Finding("repeated events", f"{share:.1%}", meaning, share > 0.05)
    return "repeats", {"events": counted.repeats, "share": share}, finding


def _next_id(counted: Tally) -> _Part:
    found = NextId(_share(counted.next_id, counted.tests), len(counted.total))
    finding = Finding("hits of the next id", f"{found.hits:.2%}", found.meaning, found.leaks)
    return "next_id", {"hr@1": found.hits, "chance": round(found.chance, 6)}, finding


def _titles(made: Made) -> _Part:
    catalog = made.catalog
    figure = {
        "missing": catalog.missing,
        "shared": catalog.shared,
        "retitled": catalog.retitled,
    }
    parts = [
        f"{catalog.missing:,} items have none and go by their id" * bool(catalog.missing),
        f"{catalog.shared:,} share another's and carry their id behind it" * bool(catalog.shared),
        f"{catalog.retitled:,} have several, of which the first by alphabet stands"
        * bool(catalog.retitled),
    ]
    said = "; ".join(part for part in parts if part) or "Every item has a title of its own"
    value = f"{catalog.missing + catalog.shared:,}"
    finding = Finding(
        "titles mended", value, f"{said}.", catalog.missing > catalog.table.num_rows / 10
    )
    return "titles", figure, finding


def _cold(counted: Tally) -> _Part:
    targets = int(counted.tested[counted.train == 0].sum())
    share = _share(targets, counted.tests)
    meaning = (
        "Test items that no training part holds; they stay in and count. Only a model that reads "
        "titles has a chance."
    )
    finding = Finding("cold test items", f"{share:.1%}", meaning, share > 0.1)
    return "cold", {"targets": targets, "share": share}, finding


def _popularity(counted: Tally) -> _Part:
    value = round(gini(counted.total), 4)
    top = np.sort(counted.total)[::-1][: max(1, len(counted.total) // 10)].sum()
    share = _share(int(top), counted.rows)
    meaning = (
        f"Gini coefficient of the items' events; a tenth of the items has {share:.0%} of them. "
        "The higher, the more a list of favourites hits."
    )
    return (
        "popularity",
        {"gini": value, "top_tenth": share},
        Finding("popularity skew", f"{value:.2f}", meaning),
    )


def _density(counted: Tally) -> _Part:
    users, items = len(counted.spans), len(counted.total)
    pairs = counted.rows - counted.repeats
    sparsity = round(1 - pairs / (users * items), 6)
    mean = counted.rows / users
    meaning = f"Of all pairs of user and item; a user has {mean:.1f} events on average."
    return (
        "sparsity",
        {"share": sparsity, "events_per_user": round(mean, 2)},
        Finding("empty pairs", f"{sparsity:.2%}", meaning),
    )


def gini(counts: NDArray[np.int64]) -> float:
    """Gini coefficient: 0 where all counts are equal, towards 1 where one has everything."""
    ordered = np.sort(counts).astype(np.float64)
    n = len(ordered)
    return float((2 * np.arange(1, n + 1) - n - 1) @ ordered / (n * ordered.sum()))


def span(seconds: float) -> str:
    """A length of time as people say it.

    Example:
        >>> span(90), span(5400), span(86400 * 3), span(86400 * 800)
        ('2 min', '1.5 hours', '3.0 days', '2.2 years')
    """
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    if seconds < _DAY:
        return f"{seconds / 3600:.1f} hours"
    days = seconds / _DAY
    return f"{days:.1f} days" if days < 365 else f"{days / 365.25:.1f} years"


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
