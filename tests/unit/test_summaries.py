import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from made_bench import MadeBench
from markdown_it import MarkdownIt

from genrec_cli.evaluation.summaries.latex import latex_table
from genrec_cli.evaluation.summaries.markdown import markdown_table

SPECIAL = r"R&D_50%#1|a\b$x^2~{y}[z]<u>`v`*w*--q"
RANKS = {
    "popularity": {"u1": 3, "u2": 30},
    "rules": {"u1": 2, "u2": 4},
    "nano-1": {"u1": 1, "u2": 40},
    "nano-1+rules": {"u1": 1, "u2": 2},
}
PARENTS = {"nano-1+rules": ["nano-1", "rules"]}
HEADS = ["system", "HR@5", "NDCG@5", "MRR@5", "HR@10", "NDCG@10"]


def against_rules(*p_values: tuple[str, float]) -> dict[str, Any]:
    rows = [{"system": system, "p_holm": p} for system, p in p_values]
    return {"metric": "NDCG@10", "reference": "rules", "rows": rows}


def usual(**changes: Any) -> dict[str, Any]:
    return MadeBench(RANKS, parents=PARENTS, **changes).manifest()


def read_back(markdown: str) -> tuple[str, list[list[str]]]:
    """The caption, and cells as they are seen; bold ones in stars."""
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    caption, *cells = [shown(token.children) for token in tokens if token.type == "inline"]
    width = sum(token.type == "th_open" for token in tokens)
    return caption, [cells[i : i + width] for i in range(0, len(cells), width)]


def shown(parts: Any) -> str:
    return "".join("*" if part.type.startswith("strong") else part.content for part in parts)


def test_markdown_has_every_metric_and_the_interval_behind_the_primary_one() -> None:
    _, (heads, first, *_) = read_back(markdown_table(usual()))
    assert heads == [*HEADS, "95 % interval", "MRR@10"]
    # Rank 3 of one of two users: NDCG = 1/2 / 2, MRR = 1/3 / 2.
    figures = [".5000", ".2500", ".1667", ".5000", ".2500", ".2400–.2600", ".1667"]
    assert first == ["popularity", *figures]


def test_a_hybrid_stands_below_its_first_parent() -> None:
    parents = {"nano-1+rules": ["nano-1", "rules"], "rules+popularity": ["rules", "popularity"]}
    ranks = {"rules+popularity": RANKS["rules"], **RANKS}
    _, (_, *rows) = read_back(markdown_table(MadeBench(ranks, parents=parents).manifest()))
    assert [row[0] for row in rows] == [
        "popularity",
        "rules",
        "↳ rules+popularity",
        "nano-1",
        "↳ nano-1+rules",
    ]


def test_a_hybrid_without_a_measured_parent_stands_by_itself() -> None:
    ranks = {name: RANKS[name] for name in ("popularity", "nano-1+rules")}
    _, (_, *rows) = read_back(markdown_table(MadeBench(ranks, parents=PARENTS).manifest()))
    assert [row[0] for row in rows] == ["popularity", "nano-1+rules"]


def test_the_best_of_each_column_is_bold_also_where_only_digits_that_are_not_shown_differ() -> None:
    manifest = usual()
    manifest["rows"][0]["HR@5"] = 0.99999
    _, (_, *rows) = read_back(markdown_table(manifest))
    by_system = {row[0]: row[1:] for row in rows}
    assert by_system["↳ nano-1+rules"][0] == "*1.0000*"
    assert by_system["popularity"][0] == "*1.0000*"
    assert by_system["nano-1"][0] == ".5000"
    assert not any("*" in row[6] for row in rows)  # an interval is never the best


def test_a_dagger_marks_what_differs_after_holm_in_the_tested_metric_alone() -> None:
    comparisons = against_rules(("popularity", 0.049), ("nano-1", 0.05))
    caption, (heads, *rows) = read_back(markdown_table(usual(comparisons=comparisons)))
    marked = [(row[0], head) for row in rows for head, cell in zip(heads, row, strict=True)
              if "†" in cell]  # fmt: skip
    assert marked == [("popularity", "NDCG@10")]
    assert "† differs from rules in NDCG@10" in caption
    assert "p < .05" in caption


def test_a_double_dagger_marks_leaky_ids_behind_the_name() -> None:
    manifest = usual()
    assert "‡" not in markdown_table(manifest)
    assert "ddagger" not in latex_table(manifest)
    for row in manifest["rows"][2:]:
        row["leaky_ids"] = True
    caption, (_, *rows) = read_back(markdown_table(manifest))
    assert [row[0] for row in rows] == ["popularity", "rules", "nano-1‡", "↳ nano-1+rules‡"]
    assert "‡ reads item ids that give answers away" in caption
    said = latex_table(manifest)
    assert r"nano-1$^\ddagger$ & " in said
    assert r"\quad nano-1+rules$^\ddagger$ & " in said
    assert r"$^\ddagger$ reads item ids" in said


@pytest.mark.parametrize("comparisons", [None, against_rules(), against_rules(("nano-1", 1.0))])
def test_without_a_difference_no_dagger_is_spoken_of(comparisons: dict[str, Any] | None) -> None:
    manifest = usual(comparisons=comparisons)
    assert "†" not in markdown_table(manifest)
    assert "dagger" not in latex_table(manifest)


def test_the_caption_has_all_that_one_must_know_to_read_the_figures() -> None:
    caption, _ = read_back(markdown_table(usual()))
    for part in (
        "toys: 2 of 600 users; leave-one-out, test",
        "full ranking of 427 items, whole catalog minus the user's history",
        "Time ties by hash, which decides the target of 42.1% of users",
        "score ties by expected value",
        "Interval of NDCG@10: 95 % percentile bootstrap over users, 1000 resamples",
    ):
        assert part in caption


def test_means_over_seeds_are_said_to_be_so() -> None:
    manifest = usual(protocol={"seeds": 3})
    manifest["rows"][1]["seeds"] = [0, 1, 2]
    assert "Mean of 3 seeds: rules." in read_back(markdown_table(manifest))[0]


def test_names_survive_markdown() -> None:
    manifest = MadeBench({SPECIAL: {"u": 1}}, dataset=SPECIAL).manifest()
    caption, (_, row) = read_back(markdown_table(manifest))
    assert row[0] == SPECIAL
    assert caption.startswith(f"{SPECIAL}: 1 of 600 users")


def test_latex_has_the_same_figures() -> None:
    manifest = usual(comparisons=against_rules(("popularity", 0.01)))
    rows = [line.strip() for line in latex_table(manifest).splitlines() if "&" in line]
    assert rows[0] == r" & \multicolumn{3}{c}{@5} & \multicolumn{4}{c}{@10} \\".strip()
    assert rows[1].startswith("System & HR & NDCG & MRR & HR & NDCG & 95\\,\\% interval & MRR")
    figures = r".5000 & .2500 & .1667 & .5000 & .2500\rlap{$^\dagger$} & .2400--.2600 & .1667 \\"
    assert rows[2] == f"popularity & {figures}"
    assert rows[5].startswith(r"\quad nano-1+rules & \textbf{1.0000} & ")


@pytest.mark.parametrize("name", ["toys", SPECIAL])
def test_latex_is_well_formed_whatever_things_are_called(name: str) -> None:
    said = latex_table(MadeBench({name: {"u": 1}}, dataset=name).manifest())
    without_pairs = re.sub(r"\\[{}%&#$_\\]", "", said.split("\n", 1)[1])
    depth = 0
    for sign in without_pairs:
        depth += (sign == "{") - (sign == "}")
        assert depth >= 0
    assert depth == 0
    assert not set(without_pairs.replace(r"$^\dagger$", "")) & set("%#_^~$")
    rows = [line for line in said.splitlines() if line.endswith(r"\\")]
    [columns] = re.findall(r"\\begin\{tabular\}\{l(r+)\}", said)
    last = re.findall(r"(?<!\\)&", rows[-1])
    assert len(last) == len(columns)
    opened, closed = (re.findall(rf"\\{word}\{{(\w+)\}}", said) for word in ("begin", "end"))
    assert opened == closed[::-1] == ["table", "tabular"]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this machine")
def test_latex_compiles(tmp_path: Path) -> None:
    ranks = {SPECIAL: {"u": 2}, "[bracket]": {"u": 1}, **{n: {"u": 3} for n in RANKS}}
    manifest = MadeBench(
        ranks,
        dataset=SPECIAL,
        parents=PARENTS,
        comparisons=against_rules(("popularity", 0.01)),
    ).manifest()
    preamble = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n"
    text = f"{preamble}{latex_table(manifest)}\\end{{document}}\n"
    (tmp_path / "table.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "table.pdf").stat().st_size > 1000
