"""A plan is shown, refused where memory does not suffice, and compared with the run in the end."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console as Terminal
from transformers import LlamaConfig

from genrec_cli.commands.finetune import FinetuneReport
from genrec_cli.display.plans import finetuned as shown
from genrec_cli.language.backbones.nano import train_tokenizer

from .console import Console


@pytest.fixture(scope="module")
def huge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The config of a LLaMA of 1.7 trillion parameters and a tokenizer; no weights."""
    folder = tmp_path_factory.mktemp("huge") / "llama"
    config = LlamaConfig(
        vocab_size=128256,
        hidden_size=32768,
        intermediate_size=131072,
        num_hidden_layers=100,
        num_attention_heads=256,
        num_key_value_heads=256,
    )
    config.architectures = ["LlamaForCausalLM"]
    config.save_pretrained(folder)
    train_tokenizer(["Heat (1995)", "Titles that one person chose, in order:\n"]).save_pretrained(
        folder
    )
    return folder


def test_a_model_that_cannot_fit_is_refused_with_advice(changeable: Console, huge: Path) -> None:
    outcome = changeable("finetune", "--base-model", huge)
    assert outcome.code == 1
    assert "error: this run would not fit: it needs " in outcome.err
    assert "weights 3" in outcome.err
    assert "--quantize nf4 saves 2" in outcome.err
    assert "--base-model llama-3.2-3b saves 3" in outcome.err
    assert [path.name for path in (changeable.workspace / "runs" / "sample").iterdir()] == [
        "nano-1"
    ]


def test_a_dry_run_shows_the_plan_of_what_would_be_refused(changeable: Console, huge: Path) -> None:
    said = changeable.done("finetune", "--base-model", huge, "--dry-run").out
    assert "This does not fit the memory. What would help:" in said
    assert "--quantize nf4 saves" in said
    document = changeable.done("finetune", "--base-model", huge, "--dry-run", "--json").json
    assert document["plan"]["fits"] is False
    assert document["plan"]["calibration"] == "matmul"
    assert {"quantize": "nf4"} in [lever["values"] for lever in document["levers"]]


def test_a_finished_run_says_what_was_planned_and_measured(
    finetuned: tuple[Console, dict[str, Any]],
) -> None:
    manifest = finetuned[1]
    printed = Terminal(width=120, color_system=None)
    with printed.capture() as said:
        printed.print(shown(FinetuneReport(Path(manifest["folder"]), manifest)))
    planned, measured = manifest["plan"]["memory_gb"]["total"], manifest["peak_gb"]
    assert f"planned {planned:.1f} GB, measured {measured:.1f} GB" in said.get()
    assert "took" in said.get()
    assert manifest["trained"]["seconds_per_step"] > 0
