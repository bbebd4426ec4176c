import copy
import html
import math
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from made_report import NDCG, bench, card

from genrec_cli.evaluation.report.contents import Contents, Witness
from genrec_cli.evaluation.report.makings import leaks, systems
from genrec_cli.evaluation.report.page import report_html
from genrec_cli.evaluation.report.people import people
from genrec_cli.evaluation.report.summary import findings, remarks
from genrec_cli.evaluation.report.tables import beyond_accuracy, comparisons, results

VOID = {"meta", "link", "br", "img", "circle", "line", "polyline", "rect"}
CURVE = [{"step": step, "loss": 7 - step / 10, "validation_loss": 6.5} for step in range(9)]


class Page(HTMLParser):
    """The structure of a page: its elements and their texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.starts: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[tuple[str, str]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.starts.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.starts.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style" and data.strip():
            self.words.append((self.open[-1], " ".join(data.split())))

    @property
    def text(self) -> str:
        return " ".join(words for _, words in self.words)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.starts if name == tag]


def witness(target: str = "Heat (1995)", **lists: list[str]) -> Witness:
    return Witness("42", [f"Film {n}" for n in range(1, 14)], target, lists)


def contents(**changes: Any) -> Contents:
    given = {"manifest": bench(NDCG), "card": card(), "witnesses": [witness(rules=["Alien"])]}
    return Contents(**{**given, "curves": {"nano-1": CURVE}, **changes})


def page(**changes: Any) -> Page:
    return Page(report_html(contents(**changes)))


def sentences(manifest: dict[str, Any]) -> str:
    found = contents(manifest=manifest)
    tagged = " ".join([*findings(found), *remarks(found)])
    return html.unescape(re.sub("<.*?>", "", tagged)).replace("\xa0", " ")


def test_the_page_is_whole_and_every_element_is_closed() -> None:
    found = page()
    assert found.open == []
    assert found.all("html") == [{"lang": "en"}]
    assert len(found.all("h1")) == 1


def test_nothing_runs_and_nothing_is_fetched() -> None:
    page_text = report_html(contents())
    found = Page(page_text)
    tags = {tag for tag, _ in found.starts}
    assert not tags & {"script", "iframe", "object", "embed", "img", "form", "base"}
    for tag, attributes in found.starts:
        assert not [key for key in attributes if key.startswith("on")], tag
        for key in ("href", "src", "srcset", "action", "xlink:href"):
            place = attributes.get(key)
            assert place is None or place == "data:," or place.startswith("#"), (tag, place)
    assert not re.search(r"url\(|@import", page_text)
    (policy,) = [m for m in found.all("meta") if m.get("http-equiv")]
    assert (policy["content"] or "").startswith("default-src 'none'")


def test_every_link_leads_to_a_section() -> None:
    found = page()
    ids = [attributes["id"] for _, attributes in found.starts if "id" in attributes]
    links = [(a["href"] or "")[1:] for a in found.all("a")]
    assert set(links) <= set(ids)
    assert len(set(ids)) == len(ids)


def test_tables_have_captions_and_scopes_and_can_be_scrolled_by_keyboard() -> None:
    found = page()
    assert len(found.all("caption")) == len(found.all("table")) > 5
    assert {th.get("scope") for th in found.all("th")} == {"row", "col"}
    scrolled = [a for _, a in found.starts if "scroll" in (a.get("class") or "").split()]
    assert all(a.get("tabindex") == "0" for a in scrolled)
    assert len(scrolled) >= len(found.all("table"))


def test_charts_are_images_with_words_and_their_style_stands_once() -> None:
    page_text = report_html(contents())
    found = Page(page_text)
    charts = found.all("svg")
    assert len(charts) == 8  # 2 standings, cost, 2 by k, 2 by group, 1 training
    assert all(chart["role"] == "img" for chart in charts)
    assert len([tag for tag, _ in found.words if tag == "desc"]) == len(charts)
    assert len(found.all("style")) == 1
    assert page_text.count(".genrec-chart text {") == 1


def test_every_system_stands_with_every_figure() -> None:
    found = page()
    for row in bench(NDCG)["rows"]:
        for key, value in row.items():
            if re.fullmatch(r"(HR|NDCG|MRR)@\d+", key):
                assert ("td", f"{value:.4f}") in found.words or ("strong", f"{value:.4f}") in (
                    found.words
                )
                low, high = row[f"{key}_ci"]
                assert ("small", f"{low:.4f}–{high:.4f}") in found.words
        assert ("th", row["system"]) in found.words


def test_every_kind_of_system_says_how_it_was_made() -> None:
    made = {system.name: system for system in systems(contents())}
    assert made["rules"] == (
        "rules",
        "Paper of rules",
        {"decay": "0.85"},
        {"decay 0.5": "NDCG@10 0.1000", "decay 0.85": "NDCG@10 0.1700"},
    )
    assert made["nano-1"] == (
        "nano-1",
        "nano-base, fine-tuned.",
        {"lora_rank": "16", "lora_targets": "all-linear", "search": "method best-first"},
        {"validation_loss": "5.1290", "NDCG@10": "0.1888"},
    )
    assert made["nano-1+rules"] == (
        "nano-1+rules",
        "nano-1, with rules as its prior.",
        {"weight": "0.3"},
        {"0.3": "0.1777"},
    )
    words = page().text
    assert all(system.source in words for system in made.values())


def test_a_reranked_system_and_one_that_says_nothing_are_described_too() -> None:
    manifest = bench({"rules:ease": 0.2, "rules": 0.1})
    first, second = {"name": "rules"}, {"name": "ease"}
    manifest["systems"] = {"rules:ease": {"first": first, "second": second, "candidates": 100}}
    described, unknown = systems(contents(manifest=manifest))
    assert described.source == "The 100 best of rules in the order of ease."
    assert unknown == ("rules", "–", {}, {})


LEAK = "Ids are numbered <in order>."


def with_leak(*systems: str, **ndcg: float) -> dict[str, Any]:
    """A bench in which `nano-1`, and what is made of it, has leaky ids."""
    manifest = bench({**NDCG, **ndcg})
    for row in manifest["rows"]:
        if row["system"] in systems:
            row["leaky_ids"] = True
    run = manifest["systems"]["nano-1"]
    run |= {"item_ids": {"kind": "random", "leaks": True, "meaning": LEAK}}
    run["settings"] |= {"method": "p5", "items": "random"}
    manifest["systems"]["nano-1+rules"]["main"] = {"name": "nano-1", **run}
    return manifest


def test_leaky_ids_are_told_of_each_system_that_reads_them() -> None:
    manifest = with_leak("nano-1", "nano-1+rules")
    found = contents(manifest=manifest)
    assert leaks(found) == {"nano-1": LEAK, "nano-1+rules": LEAK}
    assert leaks(contents()) == {}
    made = {system.name: system.source for system in systems(found)}
    assert made["nano-1"] == "nano-base, fine-tuned as p5 on random ids."
    notes = {row.name: row.note for row in results(found).rows}
    assert notes["nano-1"] == "fine-tuned run, ⚠ leaky ids"
    assert notes["nano-1+rules"] == "hybrid, ⚠ leaky ids"
    assert notes["rules"] == ""
    compared = comparisons(found)
    assert compared is not None
    assert [row.name for row in compared.rows if row.note] == ["nano-1+rules", "nano-1"]
    words = page(manifest=manifest).text
    assert words.count(LEAK) == 2
    assert "leaky" not in page().text


def test_the_summary_names_leaky_systems_and_the_best_of_the_others_behind_one() -> None:
    below = sentences(with_leak("nano-1"))
    assert "⚠ The item ids of nano-1 give answers away: such figures are not to be" in below
    assert "best of the others" not in below
    names = ("nano-1", "nano-1+rules")
    best = sentences(with_leak(*names, **{"nano-1": 0.5}))
    assert "⚠ The item ids of nano-1 and nano-1+rules give answers away" in best
    assert "The best of the others is sasrec, with NDCG@10 0.1668." in best
    alone = sentences(with_leak(*NDCG))
    assert "best of the others" not in alone


def test_what_a_reader_must_know_to_repeat_is_there() -> None:
    words = page().text
    for said in (
        "sha256:716ca08b", "whole catalog minus the user's history", "6,040 of 6,040",
        "by hash; decides for 42.1", "2.4.6", "Harper & Konstan 2015",
        "21 November 2026, 12:40 UTC",
        "genrec bench --dataset ml-1m --systems sasrec,nano-1+rules,rules,nano-1,recent "
        "--k 5 10 --seed 7",
    ):  # fmt: skip
        assert said in words


def test_a_sample_of_users_and_validation_are_repeated_as_such() -> None:
    manifest = bench(NDCG, users=100)
    manifest["protocol"]["split"] = "leave-one-out, validation"
    assert "--users 100 --split validation --seed 7" in page(manifest=manifest).text


def test_warnings_stand_apart_from_other_findings() -> None:
    words = page().text
    assert words.index("can mislead") < words.index("tied test items 42.1%")
    assert words.index("tied test items 42.1%") < words.index("What was asked")
    assert words.index("further findings") < words.index("repeated events 0.0%")
    calm = card()
    calm["audit"]["findings"] = calm["audit"]["findings"][1:]
    assert "can mislead" in words
    assert "can mislead" not in page(card=calm).text


def test_the_best_of_each_metric_is_marked_in_words_too() -> None:
    table = results(contents())
    assert [[cell.best for cell in row.cells] for row in table.rows] == [
        [True] * 6 + [False] * 3,
        *[[False] * 9] * 4,
    ]
    assert [row.name for row in table.rows] == list(NDCG)
    assert page().text.count("(best)") == 6


def test_the_summary_names_the_best_and_how_it_differs_from_the_reference() -> None:
    assert sentences(bench(NDCG)) == (
        "sasrec ranks best of 5 systems: NDCG@10 0.1668 (95 % interval 0.1585 to 0.1751) over "
        "6,040 users. What came next is among its first 10 for 30.0 % of them. It is better than "
        "the reference rules by 0.0257 (0.0207 to 0.0307), p < 0.001 after Holm’s correction. The "
        "best fine-tuned run, nano-1, comes 4th with NDCG@10 0.1312. It cannot be told apart from "
        "the reference rules: the difference is −0.0099 (−0.0149 to −0.0049), p = 0.200. With "
        "this many users, a true difference in NDCG@10 of 0.0043 is found 8 times in 10; smaller "
        "ones may go unseen."
    )


def test_a_reference_that_is_best_says_who_may_be_as_good() -> None:
    near = sentences(bench({"rules": 0.15, "ease": 0.145, "als": 0.149, "recent": 0.02}))
    assert "cannot be told apart from als and ease." in near or (
        "cannot be told apart from ease and als." in near
    )
    far = sentences(bench({"rules": 0.15, "recent": 0.02}))
    assert "every other system is worse" in far


def test_verdicts_are_words() -> None:
    table = comparisons(contents())
    assert table is not None
    assert {row.name: row.cells[1].text for row in table.rows} == {
        "sasrec": "better", "nano-1+rules": "better", "nano-1": "not told apart", "recent": "worse",
    }  # fmt: skip


def test_hybrids_stand_beside_both_parents() -> None:
    words = page().text
    part = words[words.index("Hybrids and their parts") :]
    assert "nano-1 and rules 0.1312 0.1411 0.1523 0.1447–0.1599 +0.0112" in part


def test_shares_stand_only_where_something_is_below_one() -> None:
    table = beyond_accuracy(contents())
    assert table is not None
    assert "Exact" in table.head
    assert "Valid" not in table.head
    manifest = bench({"rules": 0.1})
    assert "Exact" not in (beyond_accuracy(contents(manifest=manifest)) or table).head


def test_one_system_has_nothing_to_be_compared_with() -> None:
    manifest = bench({"popularity": 0.012}, users=1)
    manifest |= {"comparisons": None, "slices": [], "seed_groups": [], "by_k": {}}
    rows = manifest["rows"][0]
    for key in [key for key in rows if key.endswith("_ci")]:
        del rows[key]
    found = page(manifest=manifest, witnesses=[], curves={})
    assert found.open == []
    assert "popularity reaches NDCG@10 0.0120 over 1 user." in found.text
    assert "Compared with the reference" not in found.text
    assert "Users side by side" not in found.text
    assert "(best)" not in found.text


def test_a_bench_without_a_single_hit_is_written() -> None:
    found = page(manifest=bench({"rules": 0.0, "recent": 0.0}))
    assert "0.0000" in found.text
    assert "(best)" not in found.text


def test_many_systems_with_long_names_are_all_there() -> None:
    ndcg = {f"a-run-with-a-very-long-name-number-{n}": 0.1 + n / 1000 for n in range(14)}
    found = page(manifest=bench({**ndcg, "rules": 0.1}))
    assert all(("th", name) in found.words for name in ndcg)
    assert found.open == []


def test_what_is_missing_or_not_finite_is_a_dash() -> None:
    manifest = copy.deepcopy(bench(NDCG))
    manifest["rows"][0] |= {"novelty@10": math.nan, "popularity_lift@10": None}
    del manifest["rows"][1]["diversity@10"]
    words = page(manifest=manifest).text
    assert not re.search(r"\b(nan|None|inf)\b", words)
    assert "–" in words


@pytest.mark.parametrize(
    "title",
    [
        "<script>alert(1)</script>",
        "</style><b onclick='x'>",
        "a & b",
        "🎬 العربية",
        "W" * 400,
        "{{ 7*7 }}",
    ],
)
def test_any_title_is_shown_as_it_is(title: str) -> None:
    shown = Witness(title, [title], title, {"rules": [title, "Alien"]})
    found = page(witnesses=[shown])
    assert found.open == []
    # the user, the summary's and the story's target, the history, and the hit in the list
    assert [words for tag, words in found.words if tag == "bdi"].count(title) == 5
    assert "script" not in {tag for tag, _ in found.starts}


def test_a_character_that_no_page_may_hold_is_replaced() -> None:
    text = report_html(contents(witnesses=[witness("a\x00b\ud800")]))
    text.encode()
    assert "a\ufffdb\ufffd" in text
    assert "\x00" not in text


def test_any_name_of_a_system_is_escaped() -> None:
    found = page(manifest=bench({"<b>&": 0.2, "rules": 0.1}))
    assert ("th", "<b>&") in found.words


def test_a_user_is_shown_with_her_last_ten_titles_and_each_hit() -> None:
    titles = [f"Other {n}" for n in range(1, 11)]
    low = [*titles[:7], "Heat (1995)", *titles[8:]]
    (person,) = people(contents(witnesses=[witness(rules=low, sasrec=titles)]))
    assert person.earlier == 3
    assert person.history == [f"Film {n}" for n in range(4, 14)]
    assert [answer.system for answer in person.answers] == ["sasrec", "rules"]
    sasrec, rules = person.answers
    assert [said.rank for said in sasrec.titles] == [1, 2, 3, 4, 5]
    assert [(said.rank, said.hit) for said in rules.titles][-2:] == [(5, False), (8, True)]
    assert [(hit.system, hit.rank) for hit in person.hits] == [("rules", 8)]
    words = page(witnesses=[witness(rules=low)]).text
    assert "Heat (1995) ✓ came next" in words


def test_of_many_systems_the_best_and_the_runs_are_shown_first() -> None:
    ndcg = {f"b{n}": 0.2 - n / 100 for n in range(9)} | {"nano-1": 0.01}
    lists = {name: ["Alien"] for name in ndcg}
    shown = Witness("42", ["Film"], "Heat (1995)", lists)
    (person,) = people(contents(manifest=bench(ndcg), witnesses=[shown]))
    assert [answer.system for answer in person.answers] == ["b0", "b1", "b2", "b3", "b4", "nano-1"]
    assert [answer.system for answer in person.further] == ["b5", "b6", "b7", "b8"]


def test_a_system_without_a_list_says_so() -> None:
    assert "Nothing." in page(witnesses=[witness(rules=[])]).text


def test_the_page_is_the_same_each_time() -> None:
    assert report_html(contents()) == report_html(contents())
