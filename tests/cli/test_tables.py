from pathlib import Path

import pytest
from rich.console import Console

from genrec_cli.commands.predict import PredictReport
from genrec_cli.display.tables import predicted


def shown(report: PredictReport) -> str:
    console = Console(width=120, color_system=None)
    with console.capture() as capture:
        console.print(predicted(report))
    return capture.get()


def report_on(title: str, user_id: str = "7", output: Path | None = None) -> PredictReport:
    entry = {"rank": 1, "item_id": "1", "title": title, "score": -1.0}
    person = {"user_id": user_id, "history": [title], "exact": True, "recommendations": [entry]}
    return PredictReport("nano-1", 1, [person], output)


@pytest.mark.parametrize("text", ["[rec] (2007)", "Up [/b] (2009)", "[bold]", "Emma [f177]"])
def test_brackets_in_titles_and_ids_are_shown_as_they_are(text: str) -> None:
    assert shown(report_on(text)).count(text) == 2
    assert f"User {text}: 1 titles" in shown(report_on("Heat", user_id=text))


def test_what_was_written_to_a_file_is_not_shown_again() -> None:
    said = shown(report_on("Heat", output=Path("[recs].csv")))
    assert said == "1 users, k = 1, written to [recs].csv\n"


def test_it_is_said_when_free_text_names_nothing() -> None:
    person = {"user_id": "7", "history": ["Heat"], "exact": False, "recommendations": []}
    said = shown(PredictReport("nano-1", 1, [person], None))
    assert "Nothing that was written is a title that may be recommended." in said
    assert "another title" not in said
