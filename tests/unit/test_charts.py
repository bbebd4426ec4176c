import itertools
import math
import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec_cli.evaluation.charts.axes import (
    figure,
    round_ticks,
    step_axis,
    tick_labels,
    value_axis,
    whole,
)
from genrec_cli.evaluation.charts.curves import Point, smoothed, thinned
from genrec_cli.evaluation.charts.panel import spread
from genrec_cli.evaluation.charts.svg import DARK, LIGHT
from genrec_cli.evaluation.charts.training import training_curve

Line = dict[str, Any]
SVG = "{http://www.w3.org/2000/svg}"
VALUES = st.floats(-1e12, 1e12, allow_subnormal=False)
STEPS = st.integers(0, 3_000_000)
LOSSES = st.floats(0, 1e9)
RATES = st.floats(0, 1)
LINES = st.lists(
    st.one_of(
        st.fixed_dictionaries({"step": STEPS, "loss": LOSSES, "learning_rate": RATES}),
        st.fixed_dictionaries(
            {"step": STEPS, "validation_loss": LOSSES},
            optional={"NDCG@10": RATES, "HR@10": RATES},
        ),
    ),
    max_size=40,
)


RANKING = {"NDCG@10": 0.1, "HR@10": 0.2}


def run(steps: int, every: int = 40, ranking: Line | None = None) -> list[Line]:
    """A run that logs each step and validates now and then, the untrained model first."""
    lines: list[Line] = []
    for step in range(steps + 1):
        if step:
            lines.append({"step": step, "loss": 6 + 3 / step + 0.1 * math.sin(step)})
        if step % every == 0:
            lines.append({"step": step, "validation_loss": 6 + 3 / (step + 1), **(ranking or {})})
    return lines


def draw(lines: list[Line], title: str = "a run") -> ET.Element:
    return ET.fromstring(training_curve(lines, title))


def texts(svg: ET.Element) -> list[str]:
    return [element.text or "" for element in svg.iter(f"{SVG}text")]


def part(svg: ET.Element, name: str) -> str:
    return svg.findtext(f"{SVG}{name}") or ""


def polylines(svg: ET.Element, weight: str) -> list[list[tuple[float, float]]]:
    return [
        [
            (float(x), float(y))
            for x, y in (pair.split(",") for pair in line.get("points", "").split())
        ]
        for line in svg.iter(f"{SVG}polyline")
        if weight in line.get("class", "").split()
    ]


def places(svg: ET.Element) -> list[tuple[float, float]]:
    """Everything that stands somewhere; text as a box with letters that are wide."""
    found = [
        place
        for weight in ["grey", "blue", "orange", "purple"]
        for place in itertools.chain.from_iterable(polylines(svg, weight))
    ]
    for element in svg.iter():
        for x, y in (("x", "y"), ("cx", "cy"), ("x1", "y1"), ("x2", "y2")):
            if x in element.attrib:
                found.append((float(element.attrib[x]), float(element.attrib[y])))
    for element in svg.iter(f"{SVG}text"):
        found += box(element)
    return found


def box(element: ET.Element) -> list[tuple[float, float]]:
    classes = element.get("class", "").split()
    bold = "title" in classes
    width = len(element.text or "") * (9.5 if bold else 7.0)
    before = width if "end" in classes else width / 2 if "middle" in classes else 0.0
    x, y = float(element.attrib["x"]) - before, float(element.attrib["y"])
    return [(x, y - 11), (x + width, y + 3)]


def overlap(one: ET.Element, other: ET.Element) -> bool:
    (left, top), (right, bottom) = box(one)
    (other_left, other_top), (other_right, other_bottom) = box(other)
    return left < other_right and other_left < right and top < other_bottom and other_top < bottom


@given(lines=LINES)
def test_everything_stands_inside_the_view_box(lines: list[Line]) -> None:
    svg = draw(lines)
    _, _, width, height = map(float, svg.attrib["viewBox"].split())
    for x, y in places(svg):
        assert 0 <= x <= width
        assert 0 <= y <= height


@given(lines=LINES)
def test_no_text_covers_another(lines: list[Line]) -> None:
    for one, other in itertools.combinations(draw(lines).iter(f"{SVG}text"), 2):
        assert not overlap(one, other), (one.text, other.text)


def test_the_document_needs_nothing_else_and_runs_nothing() -> None:
    svg = training_curve(run(100, ranking=RANKING), "a run")
    root = ET.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert root.attrib["role"] == "img"
    assert not list(root.iter(f"{SVG}script"))
    assert re.findall(r"https?:[^\"']*", svg) == [
        "http://www.w3.org/2000/svg"
    ]  # a name, not a place
    assert not re.search(r"url\(|@import|href", svg)


@pytest.mark.parametrize("title", ["<b> & </b>", "a \x00 b \ud800", "]]>", "Ελλάδα 映画 🎬"])
def test_any_title_leaves_the_document_valid(title: str) -> None:
    svg = draw(run(10), title)
    legal = title.replace("\x00", "\ufffd").replace("\ud800", "\ufffd")
    assert part(svg, "title") == legal
    assert legal in texts(svg)


def test_a_long_title_is_cut_on_the_drawing_only() -> None:
    title = "映画" * 100
    svg = draw([], title)
    assert part(svg, "title") == title
    (shown,) = [words for words in texts(svg) if "映" in words]
    assert shown.endswith("…")
    assert title.startswith(shown[:-1])


@pytest.mark.parametrize("lines", [[], [{"step": 1, "loss": math.nan}]])
def test_a_run_without_measurements_says_so(lines: list[Line]) -> None:
    svg = draw(lines)
    assert "Nothing was measured yet." in texts(svg)
    assert part(svg, "desc") == "Nothing was measured yet."


def test_one_measurement_is_a_dot_with_its_value_and_no_best() -> None:
    svg = draw([{"step": 0, "validation_loss": 9.0842}])
    assert len(list(svg.iter(f"{SVG}circle"))) == 1
    assert "validation 9.084" in texts(svg)
    assert part(svg, "desc").endswith("validation: 9.084 at step 0.")


def test_the_best_validation_is_the_largest_ndcg() -> None:
    ndcg = {0: 0.001, 40: 0.043, 80: 0.0432, 120: 0.0432, 160: 0.04}  # at 80 the loss is smaller
    lines = [
        {
            "step": step,
            "validation_loss": 6 + abs(step - 80) / 100,
            "NDCG@10": value,
            "HR@10": 2 * value,
        }
        for step, value in ndcg.items()
    ]
    svg = draw(lines)
    assert "best NDCG@10: 0.0432 at step 80" in texts(svg)
    assert part(svg, "desc").endswith("Best NDCG@10: 0.0432 at step 80.")
    (ring,) = [c for c in svg.iter(f"{SVG}circle") if c.get("class") == "ring"]
    curve = next(line for line in polylines(svg, "orange") if len(line) == len(ndcg))
    assert (float(ring.attrib["cx"]), float(ring.attrib["cy"])) == curve[2]
    assert curve[2][1] == min(y for _, y in curve)
    marks = [line.attrib for line in svg.iter(f"{SVG}line") if "mark" in line.get("class", "")]
    assert [(float(mark["x1"]), float(mark["x2"])) for mark in marks] == [curve[2][:1] * 2] * 2


@pytest.mark.parametrize("falling", [True, False])
def test_of_equal_ndcg_the_smaller_loss_is_better(falling: bool) -> None:
    losses = [9.0, 7.0, 6.0] if falling else [6.0, 7.0, 9.0]
    lines = [
        {"step": step, "validation_loss": loss, "NDCG@10": 0.0}
        for step, loss in zip((0, 10, 20), losses, strict=True)
    ]
    assert f"best NDCG@10: 0.0000 at step {20 if falling else 0}" in texts(draw(lines))


def test_metrics_of_ranking_are_drawn_from_zero() -> None:
    lines = [{"step": step, "NDCG@10": 0.10 + step / 1000} for step in range(3)]
    assert "0.00" in texts(draw(lines))


def test_without_ndcg_the_best_validation_is_the_smallest_loss_and_there_is_one_panel() -> None:
    losses = {0: 9.5, 100: 6.5, 200: 6.02, 300: 6.1}
    svg = draw([{"step": step, "validation_loss": loss} for step, loss in losses.items()])
    assert "best validation: 6.020 at step 200" in texts(svg)
    assert "Ranking on validation" not in texts(svg)
    both = draw(run(80, ranking=RANKING))
    assert "Ranking on validation" in texts(both)
    assert float(both.attrib["viewBox"].split()[3]) > float(svg.attrib["viewBox"].split()[3])


def test_training_alone_has_no_best() -> None:
    svg = draw([{"step": step, "loss": 10 - step} for step in (1, 2, 3)])
    assert "training 7.000" in texts(svg)
    assert not any("best" in words.lower() for words in [*texts(svg), part(svg, "desc")])


def test_of_a_resumed_run_s_steps_the_later_line_counts() -> None:
    lines = [{"step": step, "loss": 9.0} for step in (10, 20, 30)]
    again = [{"step": step, "loss": float(step)} for step in (20, 30, 40)]
    kept = [*lines[:1], *again]
    assert training_curve(lines + again, "") == training_curve(kept, "")


def test_what_is_not_finite_is_passed_over() -> None:
    lines = run(100)
    broken = [{"step": 41, "loss": math.nan}, {"step": 42, "validation_loss": math.inf}]
    kept = [line for line in lines if line["step"] not in {41, 42}]
    assert training_curve(kept + broken, "") == training_curve(kept, "")


def test_thousands_of_losses_are_a_mean_before_a_few_hundred_of_them() -> None:
    lines = [
        line | {"loss": 50.0} if line.get("loss") and line["step"] == 2345 else line
        for line in run(5000, every=1000)
    ]
    svg = draw(lines)
    (faint,) = polylines(svg, "faint")
    assert len(faint) <= 400
    assert faint[0][0] < faint[-1][0]
    top = min(y for _, y in faint)
    assert top == min(y for _, y in places(svg) if y >= top)  # the one peak is still there
    bold = [line for line in polylines(svg, "bold") if len(line) > 10]
    assert [len(line) <= 400 for line in bold] == [True]
    assert any(words.startswith("training, mean ") for words in texts(svg))
    assert len(training_curve(lines, "")) < 30_000


def test_the_drawing_is_the_same_each_time() -> None:
    assert training_curve(run(300), "a run") == training_curve(run(300), "a run")


@given(ends=st.tuples(VALUES, VALUES), most=st.integers(3, 12))
def test_ticks_cover_the_range_evenly_and_no_wider_than_they_must(
    ends: tuple[float, float], most: int
) -> None:
    low, high = min(ends), max(ends)
    if low == high:
        high = low + max(1.0, abs(low))
    ticks = round_ticks(low, high, most)
    assert 2 <= len(ticks) <= most
    assert ticks[0] <= low <= ticks[1]
    assert ticks[-2] <= high <= ticks[-1]
    step = (ticks[-1] - ticks[0]) / (len(ticks) - 1)
    assert f"{step:.6e}"[:8] in {"1.000000", "2.000000", "5.000000"}
    for before, after in itertools.pairwise(ticks):
        assert after - before == pytest.approx(step, rel=1e-6)


@given(values=st.lists(VALUES, min_size=1))
def test_an_axis_holds_all_its_values_and_labels_tell_its_ticks_apart(values: list[float]) -> None:
    axis = value_axis(values, start=300, end=100)
    assert all(100 <= axis.place(value) <= 300 for value in values)
    assert len(axis.ticks) <= 6
    labels = tick_labels(axis)
    assert len(set(labels)) == len(labels)
    assert max(map(len, labels)) <= 11
    for tick, label in zip(axis.ticks, labels, strict=True):
        assert float(label.replace(",", "")) == pytest.approx(tick)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([5.9, 9.5], ["5", "6", "7", "8", "9", "10"]),
        ([0.0, 0.139], ["0.00", "0.05", "0.10", "0.15"]),
        ([0.3, 0.7], ["0.3", "0.4", "0.5", "0.6", "0.7"]),
        ([0.0], ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ([0.0, 2.3e6], ["0", "5e5", "1e6", "1.5e6", "2e6", "2.5e6"]),
    ],
)
def test_ticks_read_as_a_person_would_write_them(values: list[float], labels: list[str]) -> None:
    assert tick_labels(value_axis(values, 0, 1)) == labels


@given(last=STEPS)
def test_steps_are_whole_and_end_with_the_last(last: int) -> None:
    axis = step_axis(last, 60, 600)
    assert axis.place(0) == 60
    assert axis.place(last) == (600 if last else 60)
    assert axis.ticks[0] == 0
    assert axis.ticks[-1] <= last
    assert all(tick == int(tick) for tick in axis.ticks)
    assert len(axis.ticks) <= 7


def test_numbers_are_written_to_the_digits_that_matter() -> None:
    assert [figure(v) for v in (0.0, 0.08, 9.9996, 123.4, 1234567.0)] == [
        "0.0000", "0.0800", "10.000", "123", "1.235e6",
    ]  # fmt: skip
    assert [whole(v) for v in (0, 1128, 123_456_789)] == ["0", "1,128", "1.235e8"]


@given(values=st.lists(st.floats(-10, 10), min_size=1, max_size=300), most=st.integers(4, 60))
def test_thinning_keeps_ends_and_extremes(values: list[float], most: int) -> None:
    points = [Point(step, value) for step, value in enumerate(values)]
    kept = thinned(points, most)
    assert len(kept) <= most
    assert set(kept) <= set(points)
    assert kept == sorted(kept)
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert {min(values), max(values)} <= {point.value for point in kept}


def test_smoothing_means_over_neighbours() -> None:
    points = [Point(step, value) for step, value in zip((1, 2, 5, 9), (0, 3, 6, 30), strict=True)]
    assert smoothed(points, 3) == [(1, 1.5), (2, 3.0), (5, 13.0), (9, 18.0)]


@given(heights=st.lists(st.floats(100, 300), max_size=12))
def test_names_are_moved_apart_in_their_order(heights: list[float]) -> None:
    moved = spread(heights, 16, top=100, bottom=300)
    assert all(100 <= height <= 300 for height in moved)
    assert all(b - a >= 16 - 1e-9 for a, b in itertools.pairwise(sorted(moved)))
    for (one, new), (other, newer) in itertools.combinations(zip(heights, moved, strict=True), 2):
        assert one >= other or new < newer


def test_names_that_have_room_stay() -> None:
    assert spread([150, 120, 300], 16, top=100, bottom=300) == [150, 120, 300]


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_lines_stand_out_from_the_paper(palette: dict[str, str]) -> None:
    for name in palette.keys() - {"paper", "grid"}:
        assert contrast(palette[name], palette["paper"]) >= 4.5, name  # WCAG 2.2, 1.4.3


def test_both_palettes_stand_in_the_document() -> None:
    light, dark = training_curve(run(10), "").split("@media (prefers-color-scheme: dark)")
    assert LIGHT.keys() == DARK.keys()
    assert all(colour in light for colour in LIGHT.values())
    assert all(colour in dark for colour in DARK.values())


def contrast(one: str, other: str) -> float:
    """Contrast of two colours (WCAG 2.2)."""
    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
