"""What was found, in plain sentences that are made from the figures."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from markupsafe import Markup

from genrec_cli.evaluation.report.contents import Contents
from genrec_cli.evaluation.report.wording import (
    SIGNIFICANT,
    counted,
    interval,
    listed,
    number,
    probability,
    share,
    signed,
    signed_interval,
)

Verdict = Literal["better", "worse", "not told apart"]

_NAME: Final = Markup("<b>{}</b>")


def verdict(comparison: Mapping[str, Any]) -> Verdict:
    """Whether a system differs from the reference, at the level 0.05 after Holm's correction."""
    if comparison["p_holm"] >= SIGNIFICANT:
        return "not told apart"
    return "better" if comparison["difference"] > 0 else "worse"


def findings(contents: Contents) -> list[Markup]:
    """The main result, a sentence each, as HTML."""
    return [*_best(contents), *_against_reference(contents), *_leaks(contents)]


def remarks(contents: Contents) -> list[Markup]:
    """What else to know, a sentence each, as HTML."""
    return [*_best_run(contents), *_detectable(contents)]


def _best(contents: Contents) -> list[Markup]:
    best, primary = contents.rows[0], contents.primary
    ends = interval(best.get(f"{primary}_ci"), " to ")
    alone = len(contents.rows) == 1
    found = _NAME.format(best["system"]) + Markup(
        " reaches {metric} {value}{ends} over {users}."
        if alone
        else " ranks best of {systems} systems: {metric} {value}{ends} over {users}."
    ).format(
        systems=len(contents.rows),
        metric=primary,
        value=number(best[primary]),
        ends=f" (95 % interval {ends})" if ends else "",
        users=counted(best["users"], "user"),
    )
    hits = f"HR@{contents.cutoff}"
    if hits not in best:
        return [found]
    words = "What came next is among its first {} for {} of them."
    return [found, Markup(words).format(contents.cutoff, share(best[hits]))]


def _leaks(contents: Contents) -> list[Markup]:
    """Which systems read item ids that give answers away, and the best of the others."""
    leaky = [row["system"] for row in contents.rows if row.get("leaky_ids")]
    if not leaky:
        return []
    words = Markup(
        "⚠ The item ids of <b>{}</b> give answers away: such figures are not to be compared with "
        "those of other systems."
    ).format(listed(leaky))
    others = [row for row in contents.rows if not row.get("leaky_ids")]
    if not others or contents.rows[0] is others[0]:
        return [words]
    figure = number(others[0][contents.primary])
    best = _NAME.format(others[0]["system"])
    return [
        words,
        Markup("The best of the others is {}, with {} {}.").format(best, contents.primary, figure),
    ]


def _against_reference(contents: Contents) -> list[Markup]:
    """How the best system stands to the reference, or the others if it is the reference."""
    comparisons = contents.comparisons
    if not comparisons:
        return []
    best, reference = contents.rows[0]["system"], comparisons["reference"]
    if best == reference:
        return [_reference_first(comparisons["rows"])]
    found = [row for row in comparisons["rows"] if row["system"] == best]
    return [_difference("It", found[0], reference)] if found else []


def _reference_first(rows: Sequence[Mapping[str, Any]]) -> Markup:
    near = [row["system"] for row in rows if verdict(row) == "not told apart"]
    start = Markup("It is the reference that the others are compared with; ")
    if not near:
        return start + "after Holm’s correction every other system is worse."
    return start + Markup("after Holm’s correction it cannot be told apart from {}.").format(
        listed(near)
    )


def _difference(subject: str, row: Mapping[str, Any], reference: str) -> Markup:
    found = verdict(row)
    if found == "not told apart":
        words = "{} cannot be told apart from the reference {}: the difference is {}{}, {}."
        difference, ends = signed(row["difference"]), signed_interval(row.get("ci"))
    else:
        words = (
            f"{{}} is {found} than the reference {{}} by {{}}{{}}, {{}} after Holm’s correction."
        )
        difference = number(abs(row["difference"]))
        ends = interval(sorted(map(abs, row.get("ci") or [])), " to ")
    within = f" ({ends})" if ends else ""
    return Markup(words).format(
        subject, _NAME.format(reference), difference, within, _p(row["p_holm"])
    )


def _p(value: float) -> str:
    """Example: 0.0123 -> "p = 0.012", 0.0002 -> "p < 0.001"."""
    words = probability(value)
    return f"p {words}" if words.startswith("<") else f"p = {words}"


def _best_run(contents: Contents) -> list[Markup]:
    """The best run, where the best system is none: what genrec itself reaches."""
    place, run = next(
        ((i, row) for i, row in enumerate(contents.rows, 1) if row["kind"] == "run"), (1, None)
    )
    if run is None or place == 1:
        return []
    words = Markup("The best fine-tuned run, {}, comes {} with {} {}.").format(
        _NAME.format(run["system"]),
        _ordinal(place),
        contents.primary,
        number(run[contents.primary]),
    )
    against = [
        row for row in contents.comparisons.get("rows", []) if row["system"] == run["system"]
    ]
    reference = contents.comparisons.get("reference", "")
    return [words, *(_difference("It", row, reference) for row in against)]


def _ordinal(place: int) -> str:
    """Example: 2 -> "2nd", 11 -> "11th"."""
    last = {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{'th' if 10 < place % 100 < 20 else last}"


def _detectable(contents: Contents) -> list[Markup]:
    value = contents.comparisons.get("detectable")
    if value is None:
        return []
    words = (
        "With this many users, a true difference in {} of {} is found 8 times in 10; "
        "smaller ones may go unseen."
    )
    return [Markup(words).format(contents.comparisons["metric"], number(value))]
