"""`genrec export` of a run: formats, what is written, what is refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from genrec_cli.core.workspace import read_json

from .console import TINY_RUN, Console, rows_of


def test_a_run_is_handed_over_whole_and_only_by_force_again(
    trained: Console, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    options = ("export", "--format", "merged", "--output", folder, "--json")
    said = trained.done(*options).json
    assert list(said) == ["run", "dataset", "format", "folder", "files", "notes"]
    assert (said["run"], said["dataset"], said["format"]) == ("nano-1", "sample", "merged")
    manifest = read_json(folder / "export.json")
    assert sorted([*said["files"], "export.json"]) == sorted(path.name for path in folder.iterdir())
    assert said["files"] == manifest["files"]
    assert (manifest["run"], manifest["base"]["kind"]) == ("nano-1", "nano")

    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    catalog = trained.workspace / "data" / "sample" / "catalog.parquet"
    titles = [row["title"] for row in rows_of(catalog)]
    assert [row["title"] for row in rows_of(folder / "catalog.parquet")] == titles
    assert model.config.vocab_size == len(tokenizer)

    refused = trained(*options)
    assert refused.code == 1
    assert f"{folder} is finished already" in refused.err
    assert "--run nano-1 --format merged --force" in refused.err
    assert trained.done(*options, "--force").json == said
    assert read_json(folder / "export.json")["created"] > manifest["created"]


def test_an_export_lies_in_the_workspace_unless_it_is_told_where(changeable: Console) -> None:
    said = changeable.done("export", "sample", "--run", "nano-1", "--format", "merged").out
    folder = changeable.workspace / "export" / "sample" / "nano-1-merged"
    assert f"written to {folder}" in said.replace("\n", "")
    assert (folder / "README.md").read_text().startswith("---\nlibrary_name: transformers\n")


@pytest.mark.parametrize(
    ("options", "code", "message", "fix"),
    [
        (
            ("--format", "adapter"),
            2,
            "run 'nano-1' has no adapter: all its weights were trained",
            "genrec export sample --run nano-1 --format merged",
        ),
        (
            ("--format", "gguf-ready"),
            1,
            "run 'nano-1' cannot become a GGUF file: llama.cpp knows tokenizers by name",
            "genrec export sample --run nano-1 --format merged",
        ),
        (("--format", "merged", "--run", "other"), 1, "no run 'other' in", "genrec finetune"),
        (("other", "--format", "merged"), 1, "no finished run on dataset 'other'", "finetune"),
        (
            ("--format", "csv", "--run", "nano-1"),
            2,
            "--run names a run, and --format csv writes a dataset",
            "--format merged, adapter or gguf-ready",
        ),
    ],
)
def test_what_cannot_be_handed_over_is_refused_and_nothing_is_written(
    trained: Console, tmp_path: Path, options: tuple[str, ...], code: int, message: str, fix: str
) -> None:
    outcome = trained("export", *options, "--output", tmp_path / "out")
    assert outcome.code == code
    assert message in outcome.err
    assert fix in outcome.err.split("fix:")[1]
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--method", "p5", "--base-model", "nano-t5"), "a model of the method p5 reads texts"),
        (("--base-model", "nano", "--set", "items=random"), "it reads and writes ids of items"),
    ],
)
def test_a_run_that_only_genrec_can_ask_is_not_handed_over(
    changeable: Console, tmp_path: Path, options: tuple[str, ...], why: str
) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY_RUN)
    untrained = ("--config", tmp_path / "tiny.yaml", "--max-steps", "0", "--name", "ids")
    changeable.done("finetune", *options, *untrained)
    for kind in ("merged", "adapter", "gguf-ready"):
        output = tmp_path / "out"
        refused = changeable("export", "--run", "ids", "--format", kind, "--output", output)
        assert refused.code == 2
        assert f"run 'ids' cannot be exported: {why}" in refused.err
        assert "genrec predict --run ids" in refused.err.split("fix:")[1]
        assert not output.exists()


def test_a_folder_with_other_files_is_left_alone(trained: Console, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    refused = trained("export", "--format", "merged", "--output", tmp_path, "--force")
    assert refused.code == 2
    assert f"{tmp_path} holds other files" in refused.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_exporting_a_dataset_does_not_wait_for_torch(prepared: Console, tmp_path: Path) -> None:
    program = (
        "import sys; from genrec_cli.cli import main; "
        f"code = main(['export', '--format', 'csv', '--output', {str(tmp_path / 'out')!r}]); "
        "sys.exit(code or 'torch' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | prepared.environment, capture_output=True
    )
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "out" / "train.csv").exists()
