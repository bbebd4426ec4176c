"""`genrec inspect`: examples as text and as JSON, of runs and of none, and what is refused."""

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console as Terminal

from genrec_cli.commands.inspect import InspectReport, InspectRequest, inspect
from genrec_cli.core.progress import SILENT
from genrec_cli.core.workspace import RUN_MANIFEST, Workspace, now, write_json
from genrec_cli.display.examples import inspected
from genrec_cli.language.backbones.load import load_tokenizer
from genrec_cli.language.job import Job, Request, begun, identity, new_job
from genrec_cli.language.run import MODEL_FOLDER, RUN_FORMAT
from genrec_cli.language.templates import texts_of

from .console import Console, rows_of

NANO = ("inspect", "--base-model", "nano")
FLAGS: Mapping[str, Any] = {"base_model": "nano"}
TITLES = ["[bold]Red[/bold] (1994)", "Amélie (2001)", "千と千尋の神隠し", "Heat", "Heat 2", "[rec]"]


@pytest.fixture
def marked(console: Console, tmp_path: Path) -> Console:
    """A workspace with a dataset whose titles are hard to show."""
    rows = [f"u{user},{(user + place) % 6},{place}" for user in range(6) for place in range(6)]
    (tmp_path / "log.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]))
    items = [f'{item},"{title}"' for item, title in enumerate(TITLES)]
    (tmp_path / "items.csv").write_text("\n".join(["item_id,title", *items]))
    files = ("--source", tmp_path / "log.csv", "--items", tmp_path / "items.csv")
    console.done("prepare", "table", *files, "--name", "hard")
    return console


def begin(console: Console, **flags: Any) -> Job:
    """Begin a run as finetune does, and train nothing."""
    job = new_job(Workspace(console.workspace), Request(flags={**FLAGS, **flags}), SILENT)
    with begun(job, anew=True):
        return job


def finish(job: Job) -> None:
    """Leave what finetune leaves, but for the weights."""
    tokenizer = load_tokenizer(job.source, [*job.dataset.titles, *texts_of(job.settings)])
    tokenizer.save_pretrained(job.folder / MODEL_FOLDER)
    manifest = {"format": RUN_FORMAT, "created": now(), **identity(job)}
    write_json(job.folder / RUN_MANIFEST, manifest)


def report_on(console: Console, examples: int = 1, **flags: Any) -> InspectReport:
    request = InspectRequest(new=Request(flags={**FLAGS, **flags}), examples=examples)
    return inspect(Workspace(console.workspace), request)


def shown(report: InspectReport, *, ids: bool = False, **options: Any) -> str:
    """What a terminal is sent."""
    screen = io.StringIO()
    Terminal(file=screen, width=200, **options).print(inspected(report, ids=ids))
    return screen.getvalue()


def test_the_json_holds_the_text_of_windows_token_by_token(prepared: Console) -> None:
    said = prepared.done(*NANO, "--examples", "2", "--json").json
    assert said["run"] is None
    assert (said["dataset"], said["base"], said["epoch"]) == ("sample", "nano", 1)
    assert len(said["examples"]) == 2
    catalog = prepared.workspace / "data" / "sample" / "catalog.parquet"
    titles = {f"{row['title']}\n" for row in rows_of(catalog)}
    for example in said["examples"]:
        tokens = example["tokens"]
        lines = "".join(token["text"] for token in tokens).splitlines(keepends=True)
        assert lines[0] == "\n"  # the preset nano has no instruction
        assert set(lines[1:]) <= titles
        assert len(lines) - 1 == example["titles"] == example["targets"] + 1
        choices = [token["choices"] for token in tokens]
        roles = [token["role"] for token in tokens]
        assert sorted(set(roles)) == ["history", "prompt", "target"]
        assert [role == "target" for role in roles] == [among is not None for among in choices]
        assert example["forced"] == choices.count(1)
        assert example["decisions"] == sum((among or 0) > 1 for among in choices)
        assert example["loss_share"] == example["decisions"] / len(tokens)
    assert said["corpus"]["users"] == 600
    first = said["first_target"]
    assert "".join(stretch["text"] for stretch in first["stretches"]) == f"{first['title']}\n"


def test_users_are_shown_window_by_window(prepared: Console) -> None:
    options = ("--user", "v003", "--user", "v001", "--set", "max_length=40", "--json")
    said = prepared.done(*NANO, *options, "--examples", "2").json
    windows = [(e["user_id"], e["window"]) for e in said["examples"]]
    assert windows == [("v003", 1), ("v003", 2), ("v001", 1), ("v001", 2)]
    assert all(e["windows"] > 2 and len(e["tokens"]) <= 40 for e in said["examples"])
    assert said["corpus"]["users_with_longer_history"] > 0


def test_epochs_and_seeds_draw_other_windows_and_the_same_ones_again(prepared: Console) -> None:
    def drawn(*options: str) -> list[str]:
        said = prepared.done(*NANO, *options, "--json").json
        return [example["user_id"] for example in said["examples"]]

    assert len(drawn()) == 3
    assert drawn() == drawn("--epoch", "1") == drawn("--seed", "0")
    assert drawn() != drawn("--epoch", "2") != drawn("--seed", "1") != drawn()


def test_a_run_is_shown_as_it_was_begun_whether_it_was_finished_or_not(changed: Console) -> None:
    job = begin(changed, mask_weight=0.5, seed=4)
    names = ("inspect", "--run", job.folder.name, "--json")
    unfinished = changed.done(*names).json
    assert unfinished["run"] == "nano-1"
    assert unfinished["settings"]["mask_weight"] == 0.5
    assert [e["masked"] for e in unfinished["examples"]] == [False, True] * 3
    finish(job)
    assert changed.done(*names).json == unfinished
    options = ("--set", "mask_weight=0.5", "--seed", "4", "--json")
    assert changed.done(*NANO, *options).json == {**unfinished, "run": None}
    other = changed.done(*names, "--seed", "5").json
    assert other["settings"]["seed"] == 5
    assert other["examples"] != unfinished["examples"]


@pytest.fixture
def changed(console: Console) -> Console:
    """A workspace with the dataset `sample`, to be changed."""
    console.done("prepare", "sample")
    return console


def test_nothing_is_begun(prepared: Console) -> None:
    prepared.done(*NANO, "--quiet")
    assert not (prepared.workspace / "runs").exists()


def test_without_colours_words_and_brackets_say_what_colours_do(prepared: Console) -> None:
    said = prepared.done(*NANO, "--set", "mask_weight=1", "--examples", "1").out
    assert "\x1b" not in said
    report = report_on(prepared, mask_weight=1)
    for shown_text in report.shown:
        for line in shown_text.example.lines:
            cells = [
                f"⟦{token.text}⟧" if (token.choices or 0) > 1 else token.text
                for token in line.tokens
            ]
            text = "│".join(cells).replace("\n", "↵")
            assert any(
                re.match(rf"{line.role} +{re.escape(text)}", row) for row in said.splitlines()
            )
    plain = shown(report, color_system="truecolor", force_terminal=True, no_color=True)
    assert "⟦" in plain


def test_on_a_terminal_colours_tell_what_is_chosen_from_what_is_forced(prepared: Console) -> None:
    report = report_on(prepared, mask_weight=1)
    said = shown(report, color_system="standard", force_terminal=True)
    assert "⟦" not in said
    chosen = {"target": "\x1b[1;32m", "answer": "\x1b[1;35m"}
    forced = {"target": "\x1b[32m", "answer": "\x1b[35m"}
    for shown_text in report.shown:
        for line in shown_text.example.targets:
            for token in line.tokens:
                style = (forced if token.choices == 1 else chosen)[token.role]
                text = token.text.replace("\n", "↵")
                assert f"{style}{text}\x1b[0m" in said
    assert "\x1b[35m[hidden]↵\x1b[0m" in said


def test_titles_are_shown_as_they_are(marked: Console) -> None:
    said = shown(report_on(marked, 6), color_system=None)
    text = said.replace("│", "").replace("⟦", "").replace("⟧", "")
    for title in TITLES:
        assert f"{title}↵" in text
    assert "\ufffd" not in said
    assert "\ufffd" not in marked.done(*NANO, "--json").out


def test_ids_stand_behind_their_tokens(prepared: Console) -> None:
    report = report_on(prepared)
    said = shown(report, ids=True, color_system=None)
    digits = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
    for line in report.shown[0].example.lines[:2]:
        cells = [f"{token.text}{token.id}".translate(digits) for token in line.tokens]
        assert any(
            "│".join(cells).replace("\n", "↵") in row.translate(digits) for row in said.splitlines()
        )


def test_a_loss_over_the_vocabulary_has_nothing_forced(prepared: Console) -> None:
    said = prepared.done(*NANO, "--set", "normaliser=vocabulary").out
    assert "among the whole vocabulary" in said
    assert "This loss does not see the trie" in said
    assert "forced, free" not in said


PAIRS = ("inspect", "--method", "p5", "--base-model", "nano-t5")


def test_what_an_encoder_reads_stands_above_what_the_decoder_writes(prepared: Console) -> None:
    said = prepared.done(*PAIRS, "--user", "v003", "--examples", "2", "--json").json
    assert (said["settings"]["method"], said["settings"]["items"]) == ("p5", "random")
    assert said["corpus"]["windows"] == said["corpus"]["targets"] > 2
    for example in said["examples"]:
        roles = [token["role"] for token in example["tokens"]]
        assert roles == sorted(roles, key="target".__eq__)
        assert example["targets"] == 1
        assert example["titles"] == len(example["items"])
    text = prepared.done(*PAIRS, "--user", "v003", "--examples", "2").out
    assert "the encoder reads all lines but the last, which the decoder writes" in text
    windows = said["examples"][0]["windows"]
    assert f"User v003, target 1 of {windows}: the next item" in text
    for example in said["examples"]:
        written = [token for token in example["tokens"] if token["role"] == "target"]
        told = len(example["tokens"]) - len(written)
        assert f"{told} tokens read, {len(written)} written" in text


@pytest.mark.parametrize("options", [PAIRS, (*NANO, "--set", "items=random")])
def test_titles_stand_beside_the_ids_that_are_read_for_them(
    prepared: Console, options: tuple[str, ...]
) -> None:
    said = prepared.done(*options, "--examples", "2", "--json").json
    catalog = prepared.workspace / "data" / "sample" / "catalog.parquet"
    titles = {row["title"] for row in rows_of(catalog)}
    text = prepared.done(*options, "--examples", "2").out
    rows = iter(text.splitlines())
    for example in said["examples"]:
        assert {item["title"] for item in example["items"]} <= titles
        for item in example["items"]:
            row = rf"{item['role']} .*item_.*  {re.escape(item['title'])}  "
            assert any(re.match(row, shown_row) for shown_row in rows), item
    first = said["first_target"]
    assert re.fullmatch(r"item_\d+", first["id"])
    assert f"through the trie: {first['id']} ({first['title']})" in text
    longest = said["corpus"]["longest_titles"][0]
    assert f"{longest['tokens']} tokens  {longest['id']} ({longest['title']})" in text


def test_hidden_items_are_drawn_first_of_named_users_too(prepared: Console) -> None:
    masked = ("inspect", "--method", "masked", "--base-model", "nano-bart")
    for options in (masked, (*NANO, "--set", "objective=masked")):
        for more in ((), ("--user", "v003")):
            first = prepared.done(*options, *more, "--json").json
            assert [example["masked"] for example in first["examples"]] == [True] * (
                len(first["examples"])
            )
            last = prepared.done(*options, *more, "--epoch", "9", "--json").json
            assert not any(example["masked"] for example in last["examples"])
    text = prepared.done(*masked, "--examples", "1").out
    assert re.search(r"^hidden +<mask>", text, flags=re.MULTILINE)
    assert re.search(r"^answer .*⟦", text, flags=re.MULTILINE)


def test_another_seed_leaves_a_run_its_users(changed: Console) -> None:
    job = begin(changed, method="p5", base_model="nano-t5", max_length=64)
    options = ("inspect", "--run", job.folder.name, "--user", "v003", "--examples", "9", "--json")

    def users(*more: str) -> set[str]:
        examples = changed.done(*options, *more).json["examples"]
        texts = ["".join(token["text"] for token in e["tokens"]) for e in examples]
        return {word for text in texts for word in re.findall(r"user_\d+", text)}

    assert len(users()) == 1
    assert users() == users("--seed", "5")


@pytest.mark.parametrize(
    ("options", "code", "message", "fix"),
    [
        (("--method", "p5"), 1, "base model 'nano' is no encoder-decoder", "nano-t5"),
        (("--user", "v0010"), 1, "unknown user 'v0010' in dataset 'sample'", "nearest ids: v001"),
        (("--run", "other"), 1, "no run 'other' in", "genrec inspect"),
        (("--dataset", "other"), 1, "no dataset 'other'", "genrec prepare"),
        (("--set", "context_title=3"), 2, "unknown option 'context_title'", "context_titles"),
        (("--set", "train=lora"), 1, "nano has no pretrained weights", "preset nano"),
        (("--set", "seed=1", "--seed", "2"), 2, "'seed' is given twice", "leave one out"),
    ],
)
def test_what_cannot_be_shown_is_refused(
    prepared: Console, options: tuple[str, ...], code: int, message: str, fix: str
) -> None:
    base = () if "--run" in options else ("--base-model", "nano")
    refused = prepared("inspect", *base, *options)
    assert refused.code == code
    assert message in refused.err
    assert fix in refused.err.split("fix:")[1]


def test_a_user_with_nothing_to_train_on_is_named(prepared: Console) -> None:
    sequences = rows_of(prepared.workspace / "data" / "sample" / "sequences.parquet")
    shortest = min(sequences, key=lambda row: len(row["items"]))
    context = len(shortest["items"]) - 2
    refused = prepared(*NANO, "--user", shortest["user_id"], "--set", f"context_titles={context}")
    assert refused.code == 1
    assert f"user '{shortest['user_id']}' has nothing to train on" in refused.err
    assert f"context_titles = {context}" in refused.err


def test_a_run_has_its_own_settings_and_its_own_data(changed: Console) -> None:
    name = begin(changed).folder.name
    for option in (("--preset", "demo"), ("--set", "max_length=64"), ("--base-model", "nano")):
        refused = changed("inspect", "--run", name, *option)
        assert refused.code == 2
        assert "takes no others but --seed" in refused.err
    unknown = changed("inspect", "--run", "nano-7")
    assert "no run 'nano-7' in" in unknown.err
    assert "there are: nano-1" in unknown.err
    changed.done("prepare", "sample", "--max-history", "9", "--force")
    other = changed("inspect", "--run", name)
    assert other.code == 1
    assert "was trained on another version of dataset 'sample'" in other.err
