import itertools
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec_cli.evaluation.charts.dots import Mark, dot_plot
from genrec_cli.evaluation.charts.lines import Series, line_chart
from genrec_cli.evaluation.charts.scatter import Dot, scatter
from genrec_cli.evaluation.charts.svg import inline, squeezed, style

SVG = "{http://www.w3.org/2000/svg}"
COLOURS = ["grey", "blue", "purple", "orange"]
NAMES = st.text("abcdefghijklmnop-+0123456789", min_size=1, max_size=60)
SHARES = st.floats(0, 1)
MARKS = st.lists(
    st.builds(
        Mark,
        NAMES,
        SHARES,
        st.none() | st.tuples(SHARES, SHARES).map(lambda ends: (min(ends), max(ends))),
        st.sampled_from(COLOURS),
    ),
    min_size=1,
    max_size=20,
)
DOTS = st.lists(
    st.builds(Dot, NAMES, st.floats(1e-4, 1e5), SHARES, st.sampled_from(COLOURS)),
    min_size=1,
    max_size=15,
)
SERIES = st.lists(
    st.builds(
        Series,
        NAMES,
        st.dictionaries(st.integers(0, 4), SHARES, min_size=1),
        st.sampled_from(COLOURS),
        st.just({}),
    ),
    min_size=1,
    max_size=18,
)
GROUPS = {place: [f"{place}–{place + 9}", "1,234"] for place in range(5)}

Box = tuple[float, float, float, float]


def texts(svg: ET.Element) -> list[str]:
    return [element.text or "" for element in svg.iter(f"{SVG}text")]


def shapes(svg: ET.Element) -> Iterator[Box]:
    """Left, top, right and bottom of everything; text with letters that are wide."""
    for element in svg.iter():
        at = element.attrib
        if element.tag == f"{SVG}text":
            yield box(element)
        elif "cx" in at:
            x, y, r = float(at["cx"]), float(at["cy"]), float(at["r"])
            yield x - r, y - r, x + r, y + r
        elif "x1" in at:
            across, down = sorted([float(at["x1"]), float(at["x2"])]), [at["y1"], at["y2"]]
            yield across[0], min(map(float, down)), across[1], max(map(float, down))
        elif "points" in at:
            for pair in at["points"].split():
                x, y = map(float, pair.split(","))
                yield x, y, x, y


def box(element: ET.Element) -> Box:
    classes = element.get("class", "").split()
    width = len(element.text or "") * (8.2 if "strong" in classes else 6.8)
    before = width if "end" in classes else width / 2 if "middle" in classes else 0.0
    x, y = float(element.attrib["x"]) - before, float(element.attrib["y"])
    return x, y - 9, x + width, y + 3


def overlap(one: Box, other: Box) -> bool:
    across = one[0] < other[2] and other[0] < one[2]
    return across and one[1] < other[3] and other[1] < one[3]


def check_inside(svg: ET.Element) -> None:
    _, _, width, height = map(float, svg.attrib["viewBox"].split())
    for left, top, right, bottom in shapes(svg):
        assert left >= -0.01
        assert top >= -0.01
        assert right <= width + 0.01
        assert bottom <= height + 0.01


def check_apart(svg: ET.Element) -> None:
    for one, other in itertools.combinations(svg.iter(f"{SVG}text"), 2):
        assert not overlap(box(one), box(other)), (one.text, other.text)


@given(marks=MARKS)
def test_a_dot_plot_stays_inside_and_no_text_covers_another(marks: list[Mark]) -> None:
    svg = ET.fromstring(dot_plot("NDCG@10", marks))
    check_inside(svg)
    check_apart(svg)


@given(series=SERIES)
def test_lines_stay_inside_and_no_text_covers_another(series: list[Series]) -> None:
    svg = ET.fromstring(line_chart("NDCG@10 by history length", GROUPS, series))
    check_inside(svg)
    check_apart(svg)


@given(dots=DOTS)
def test_a_scatter_stays_inside_and_no_text_covers_another(dots: list[Dot]) -> None:
    svg = ET.fromstring(scatter("NDCG@10", "seconds", dots))
    check_inside(svg)
    check_apart(svg)


def test_names_in_one_spot_are_led_apart() -> None:
    dots = [Dot(f"system-{n}", 1.0, 0.1, "grey") for n in range(12)]
    svg = ET.fromstring(scatter("NDCG@10", "seconds", dots))
    check_apart(svg)
    assert {dot.name for dot in dots} <= set(texts(svg))
    assert [line for line in svg.iter(f"{SVG}polyline") if line.get("class") == "leader"]


def test_a_dot_plot_shows_each_figure_and_its_interval() -> None:
    marks = [Mark("sasrec", 0.2, (0.15, 0.25), "orange"), Mark("recent", 0.1, None, "grey")]
    svg = ET.fromstring(dot_plot("NDCG@10", marks))
    assert {"sasrec", "0.2000", "recent", "0.1000"} <= set(texts(svg))
    assert svg.findtext(f"{SVG}desc") == "sasrec 0.2000 (0.1500 to 0.2500); recent 0.1000."
    (whisker,) = [line for line in svg.iter(f"{SVG}line") if line.get("class") == "whisker"]
    dots = [float(dot.attrib["cx"]) for dot in svg.iter(f"{SVG}circle")]
    low, high = float(whisker.attrib["x1"]), float(whisker.attrib["x2"])
    assert dots[0] == pytest.approx((low + high) / 2)
    zero = 2 * dots[1] - dots[0]  # 0.1 stands half way between 0 and 0.2
    assert low == pytest.approx(zero + 0.75 * (dots[0] - zero))


def test_lines_have_whiskers_only_where_they_stand_out() -> None:
    ends = {0: (0.1, 0.3), 1: (0.2, 0.4)}
    series = [
        Series("recent", {0: 0.1, 1: 0.1}, "grey", ends),
        Series("sasrec", {0: 0.2, 1: 0.3}, "orange", ends),
    ]
    svg = ET.fromstring(line_chart("NDCG@10", {0: ["head"], 1: ["tail"]}, series))
    whiskers = [line for line in svg.iter(f"{SVG}line") if line.get("class") == "whisker"]
    assert len(whiskers) == 2
    assert {"head", "tail", "sasrec 0.3000", "recent 0.1000"} <= set(texts(svg))
    words = "From head to tail. sasrec: 0.2000 to 0.3000; recent: 0.1000."
    assert svg.findtext(f"{SVG}desc") == words


def test_costs_stand_at_their_powers_of_ten() -> None:
    dots = [Dot("cheap", 0.1, 0.1, "grey"), Dot("dear", 100.0, 0.2, "blue")]
    svg = ET.fromstring(scatter("NDCG@10", "seconds", dots))
    assert {"0.1", "1", "10", "100"} <= set(texts(svg))
    ticks = {
        e.text: e.attrib["x"] for e in svg.iter(f"{SVG}text") if e.get("class") == "soft middle"
    }
    places = sorted(float(dot.attrib["cx"]) for dot in svg.iter(f"{SVG}circle"))
    assert places == [float(ticks["0.1"]), float(ticks["100"])]


def test_an_inline_chart_leaves_its_rules_to_the_page() -> None:
    drawing = dot_plot("NDCG@10", [Mark("recent", 0.1, None, "grey")])
    assert style() in drawing
    assert "<style" not in inline(drawing)
    assert ET.fromstring(inline(drawing)).findtext(f"{SVG}title") == "NDCG@10"


@given(name=NAMES)
def test_squeezed_names_keep_both_ends(name: str) -> None:
    short = squeezed(name, 13)
    assert len(short) <= 13
    start, _, end = short.partition("…")
    assert name.startswith(start)
    assert name.endswith(end)
