"""The table of a bench on terminals of any width."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from made_bench import MadeBench, Ranks
from rich.console import Console

from genrec_cli.commands.bench import BenchReport
from genrec_cli.display.results import benched

USERS = 40
RULES: Ranks = {f"u{user}": 1 + user % 12 for user in range(USERS)}
POPULAR: Ranks = {f"u{user}": 1 + user % 30 for user in range(USERS)}


def manifest_of(systems: Mapping[str, Ranks], **changed: Any) -> dict[str, Any]:
    """As a bench writes it, compared with the last of the systems."""
    manifest = MadeBench(systems).manifest()
    lists = {f"{name}@{k}": 1.0 for k in (5, 10) for name in ("valid", "unique")}
    for row in manifest["rows"]:
        row |= {"fit_seconds": 12.4, "rank_seconds": 0.2, **lists}
    *others, reference = systems
    figures = {row["system"]: row["NDCG@10"] for row in manifest["rows"]}
    compared = [
        {
            "system": system,
            "difference": figures[system] - figures[reference],
            "ci": [0.1, 0.2],
            "p": 0.001,
            "p_holm": 0.001,
        }
        for system in others
    ]
    manifest["comparisons"] = {
        "metric": "NDCG@10",
        "reference": reference,
        "rows": compared,
        "detectable": 0.0312 if compared else None,
    }
    return {**manifest, "seed_groups": [], **changed}


def shown(manifest: Mapping[str, Any], width: int = 140, *, color: bool = False) -> list[str]:
    console = Console(width=width, color_system="standard" if color else None, force_terminal=color)
    with console.capture() as capture:
        console.print(benched(BenchReport(Path("bench/[1]"), dict(manifest))))
    return capture.get().splitlines()


def cells(lines: Sequence[str], system: str) -> list[str]:
    [line] = [line for line in lines if system in line and "│" in line]
    return [cell.strip() for cell in line.strip("│").split("│")]


TWO = {"popularity": POPULAR, "rules": RULES}


def test_figures_stand_under_their_heads_the_best_system_first() -> None:
    manifest = manifest_of(TWO)
    lines = shown(manifest)
    assert "toys: 40 users, leave-one-out, test" in lines[0]
    heads = next(line for line in lines if "NDCG@5" in line).strip("┃").split("┃")
    assert [head.strip() for head in heads] == [
        "system",
        "HR@5",
        "NDCG@5",
        "HR@10",
        "NDCG@10",
        "95 % CI",
        "− rules",
        "seconds",
    ]
    rows = {row["system"]: row for row in manifest["rows"]}
    found = cells(lines, "popularity")
    expected = [rows["popularity"][name] for name in ("HR@5", "NDCG@5", "HR@10", "NDCG@10")]
    assert [float(cell) for cell in found[1:5]] == pytest.approx(expected, abs=5e-5)
    low, high = rows["popularity"]["NDCG@10_ci"]
    assert found[5] == f"{low:.4f}–{high:.4f}".replace("0.", ".")
    difference = rows["popularity"]["NDCG@10"] - rows["rules"]["NDCG@10"]
    assert found[6] == f"{difference:+.4f}*".replace("0.", ".")
    assert found[7] == "12+0"
    assert cells(lines, "rules")[6] == ""
    order = [line for line in lines if line.startswith("│")]
    assert "rules" in order[0]
    assert "popularity" in order[1]


@pytest.mark.parametrize("width", [80, 140])
def test_nothing_is_cut_off_on_any_width(width: int) -> None:
    lines = shown(manifest_of({**TWO, "a-run-of-mine+popularity": RULES}), width)
    assert all(len(line) <= width for line in lines)
    text = "\n".join(lines)
    assert "…" not in text
    for row in manifest_of(TWO)["rows"]:
        for name in ("HR@5", "NDCG@5", "HR@10", "NDCG@10"):
            assert f"{row[name]:.4f}".removeprefix("0") in text
        low, high = row["NDCG@10_ci"]
        assert f"{low:.4f}–{high:.4f}".replace("0.", ".") in text


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("name", ["[bold]", "x[/b]", "[red]run[/red]", "run [link=x]"])
def test_brackets_in_names_are_shown_as_they_are(name: str, width: int) -> None:
    lines = shown(manifest_of({"popularity": POPULAR, name: RULES}, dataset="[toys]"), width)
    assert any(line.strip().startswith("[toys]: 40 users") for line in lines)
    first = [line.strip("│").split("│")[0].strip() for line in lines if line.startswith("│")]
    assert name.replace(" ", "") in "".join(first).replace(" ", "")
    heads = "".join(line for line in lines if line.startswith("┃"))
    assert width == 80 or f"− {name}" in heads
    assert f"differs from {name}" in " ".join(" ".join(lines).split())
    assert "written to bench/[1]" in " ".join(lines)


def test_a_single_system_has_no_reference_and_no_stars() -> None:
    lines = shown(manifest_of({"rules": RULES}))
    text = "\n".join(lines)
    assert "−" not in text
    assert "*" not in text
    assert "differs from" not in text
    assert len(cells(lines, "rules")) == 7


def test_only_significant_differences_have_a_star_and_a_colour() -> None:
    manifest = manifest_of({"better": RULES, "worse": POPULAR, "same": POPULAR, "ref": POPULAR})
    by_name = {row["system"]: row for row in manifest["comparisons"]["rows"]}
    by_name["worse"] |= {"difference": -0.2}
    by_name["same"] |= {"difference": -0.0123, "p_holm": 0.05}
    lines = shown(manifest)
    assert cells(lines, "better")[6].endswith("*")
    assert cells(lines, "worse")[6] == "-.2000*"
    assert cells(lines, "same")[6] == "-.0123"
    coloured = shown(manifest, color=True)
    assert "\x1b[32m+" in next(line for line in coloured if "better" in line)
    assert "\x1b[31m-.2000*" in next(line for line in coloured if "worse" in line)
    assert "\x1b[3" not in next(line for line in coloured if "same" in line)


def test_the_notes_say_what_the_figures_rest_on() -> None:
    text = " ".join(" ".join(shown(manifest_of(TWO))).split())
    for part in (
        "Full ranking of 427 items, whole catalog minus the user's history",
        "score ties by expected value; interval: of NDCG@10, bootstrap",
        "Time ties by hash: they decide the test item of 42.1% of users.",
        "* differs from rules (paired randomisation test, Holm, p < .05).",
        "So many users show a true difference of .0312 8 times in 10.",
        "written to bench/[1]; look at its report.html",
    ):
        assert part in text


def test_shares_of_a_list_are_shown_where_they_are_not_whole() -> None:
    manifest = manifest_of(TWO)
    assert "valid@" not in "\n".join(shown(manifest))
    manifest["rows"][0] |= {"valid@5": 0.75, "unique@10": 0.5}
    lines = shown(manifest)
    assert cells(lines, "popularity")[-3:] == [".7500", ".5000", "12+0"]
    heads = next(line for line in lines if "NDCG@5" in line)
    assert "valid@5" in heads
    assert "unique@10" in heads
    assert "valid@10" not in heads


def test_leaky_ids_are_marked_behind_the_name_and_explained_below() -> None:
    manifest = manifest_of(TWO)
    assert "‡" not in "\n".join(shown(manifest))
    manifest["rows"][0]["leaky_ids"] = True
    lines = shown(manifest)
    assert cells(lines, "popularity")[0] == "popularity‡"
    assert cells(lines, "rules")[0] == "rules"
    assert "‡ reads item ids that give answers away" in "\n".join(lines)


def test_runs_of_several_seeds_are_told_together() -> None:
    group = {"systems": ["nano-1", "nano-2"], "NDCG@10": 0.0642, "NDCG@10_sd": 0.0011}
    text = " ".join(" ".join(shown(manifest_of(TWO, seed_groups=[group]))).split())
    assert "nano-1, nano-2 over seeds: NDCG@10 .0642 ± .0011." in text
