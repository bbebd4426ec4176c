from collections import Counter
from dataclasses import replace
from statistics import mean, median
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from preparing import Prepared, prepare
from small_data import KEEP_ALL, Row, raw_log

from genrec_cli.data.audit import Audit, audit, gini
from genrec_cli.data.rawlog import TimeUnit

ROWS = st.lists(
    st.tuples(st.sampled_from("uvwx"), st.sampled_from("abcde"), st.integers(0, 5)),
    min_size=12,
    max_size=60,
)


def audit_of(prepared: Prepared, unit: TimeUnit = "s") -> Audit:
    return audit(prepared.made, KEEP_ALL, unit)


def share(flags: list[bool]) -> float:
    return round(mean(flags), 4)


@given(ROWS, st.integers(1, 300))
def test_the_audit_counts_what_a_plain_look_finds(rows: list[Row], partition_bytes: int) -> None:
    assume(max(Counter(user for user, _, _ in rows).values()) >= 3)
    prepared = prepare(raw_log(rows), KEEP_ALL, partition_bytes=partition_bytes)
    users = list(prepared.sequences().values())
    numbers = {item: number for number, item in enumerate(prepared.dataset.item_ids)}
    trained = Counter(item for events in users for item, _ in events[:-2])
    training = [time for events in users for _, time in events[:-2]]
    figures = audit_of(prepared).figures

    ties = [events[-1][1] == events[-2][1] for events in users]
    firsts = [next(i for i, t in events if t == events[-1][1]) for events in users]
    changed = [first != events[-1][0] for first, events in zip(firsts, users, strict=True)]
    assert figures["ties"]["users"] == sum(ties)
    assert figures["ties"]["changed_share"] == share(changed)

    # All times here fall into bins of their own, so those of the same time count half.
    later = [mean((t > e[-1][1]) + (t == e[-1][1]) / 2 for t in training) for e in users]
    assert figures["future"]["later_training_share"] == pytest.approx(mean(later), abs=1e-4)

    highest = [max(numbers[item] for item, _ in events[:-1]) for events in users]
    next_id = [h + 1 == numbers[e[-1][0]] for h, e in zip(highest, users, strict=True)]
    assert figures["next_id"]["hr@1"] == share(next_id)

    assert figures["repeats"]["events"] == sum(
        len(events) - len({item for item, _ in events}) for events in users
    )
    assert figures["cold"]["share"] == share([trained[e[-1][0]] == 0 for e in users])
    spans = [events[-1][1] - events[0][1] for events in users]
    assert figures["sittings"]["median_span_seconds"] == median(spans)
    pairs = {(user, item) for user, e in prepared.sequences().items() for item, _ in e}
    cells = len(users) * len(numbers)
    assert figures["sparsity"]["share"] == pytest.approx(1 - len(pairs) / cells, abs=1e-6)


@given(st.lists(st.integers(0, 50), min_size=1).filter(any))
def test_gini_is_the_mean_difference_over_twice_the_mean(counts: list[int]) -> None:
    values = np.array(counts)
    differences = np.abs(values[:, None] - values[None, :]).mean()
    assert gini(values) == pytest.approx(differences / (2 * values.mean()))


def test_a_log_without_dates_is_not_asked_for_spans_and_futures() -> None:
    rows = [(user, item, place) for user in "uv" for place, item in enumerate("abcd")]
    log = replace(raw_log(rows), time_unit="order")
    figures = audit_of(prepare(log, KEEP_ALL), "order").figures
    assert not {"future", "sittings"} & figures.keys()


def finding(rows: list[Row], name: str, **titles: Any) -> Any:
    found = audit_of(prepare(raw_log(rows, **titles), KEEP_ALL)).findings
    return next(f for f in found if f.name == name)


def test_ids_that_follow_the_clock_are_pointed_out() -> None:
    ids = [f"{number:02d}" for number in range(12)]
    leaking = [(f"u{u}", ids[u + t], t) for u in range(8) for t in range(4)]
    found = finding(leaking, "hits of the next id")
    assert (found.value, found.warns) == ("100.00%", True)
    assert "give answers away" in found.meaning
    backwards = [(user, ids[-1 - ids.index(item)], time) for user, item, time in leaking]
    found = finding(backwards, "hits of the next id")
    assert (found.value, found.warns) == ("0.00%", False)


def test_one_sitting_is_pointed_out_and_a_year_is_not() -> None:
    rows = [("u", item, 60 * place) for place, item in enumerate("abcd")]
    assert finding(rows, "span of a history").value == "3 min"
    assert finding(rows, "span of a history").warns
    slow = [(user, item, 5000 * time) for user, item, time in rows]
    assert finding(slow, "span of a history").value == "10.4 days"
    assert not finding(slow, "span of a history").warns


def test_mended_titles_are_told() -> None:
    rows = [("u", item, place) for place, item in enumerate("abc")]
    found = finding(rows, "titles mended", titles={"a": "Emma", "b": "Emma", "c": ""})
    assert found.value == "2"
    assert found.meaning == (
        "1 items have none and go by their id; 1 share another's and carry their id behind it."
    )
