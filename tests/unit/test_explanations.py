"""Explanations as people see them."""

from typing import Any

import pytest
from rich.console import Console, Group

from genrec_cli.display.explanations import explained

PINK: dict[str, Any] = {
    "rank": 1,
    "item_id": "1",
    "title": "Pretty in Pink (1986)",
    "score": -4.9123,
    "explanation": [
        {
            "text": "Pretty",
            "probability": 0.011,
            "others": [
                {"text": "The…", "probability": 0.18},
                {"text": "[rec] (2007)", "probability": 0.00003},
            ],
        },
        {
            "text": " in Pink (1986)",
            "probability": 0.65,
            "others": [
                {"text": " Woman: The Director's Cut and More (1990)", "probability": 0.2},
                {"text": "", "probability": 0.15},
            ],
        },
    ],
}


def shown(*entries: dict[str, Any], width: int = 80) -> list[str]:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(Group(*explained(entries)))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_a_title_is_shown_stretch_by_stretch() -> None:
    assert shown(PINK) == [
        "",
        "How each was chosen: stretch by stretch, beside it what was likely there, too.",
        "1  Pretty in Pink (1986)  log p -4.91",
        "├──   1.1%  Pretty…           The… 18%  [rec] (2007) <0.01%",
        "└──    65%  … in Pink (1986)  … Woman: The Director's Cut and… 20%  (end) 15%",
    ]


def test_what_has_no_explanation_is_not_shown() -> None:
    assert shown({key: PINK[key] for key in ("rank", "title", "score")}) == []


def test_a_catalog_of_one_title_leaves_no_choice() -> None:
    turn = {"text": "Heat (1995)", "probability": 1.0, "others": []}
    lines = shown({**PINK, "title": "Heat (1995)", "explanation": [turn]})
    assert lines[-1] == "└──   100%  Heat (1995)"


@pytest.mark.parametrize("title", ["A very long title of a product, " * 4, "千と千尋の神隠し" * 6])
def test_nothing_is_wider_than_the_terminal(title: str) -> None:
    turns = [
        {"text": title, "probability": 0.5, "others": [{"text": title, "probability": 0.5}] * 3},
        {"text": "", "probability": 0.5, "others": [{"text": "…", "probability": 0.5}]},
    ]
    lines = shown({**PINK, "title": title, "explanation": turns})
    console = Console(width=200)
    assert max(console.measure(line).maximum for line in lines) <= 80
    assert any("(end)" in line for line in lines)
