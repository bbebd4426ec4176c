"""What is said where memory does not suffice."""

from pathlib import Path
from typing import Any

import pytest
import torch
from test_plan import HALVES, LLAMA_7B, corpus_of
from tiny import settings_for

from genrec_cli.core.errors import ModelError
from genrec_cli.core.settings import FinetuneSettings, Layer, resolve
from genrec_cli.data.dataset import Dataset
from genrec_cli.language.backbones.load import load_tokenizer
from genrec_cli.language.backbones.names import Source
from genrec_cli.language.hardware import Place
from genrec_cli.language.job import Job
from genrec_cli.language.planning.anatomy import Anatomy
from genrec_cli.language.planning.estimate import Estimate
from genrec_cli.language.planning.levers import Lever, Need, cheapest_levers, flags
from genrec_cli.language.planning.plan import make_plan
from genrec_cli.language.planning.shortage import Shortage, refuse_unfitting, retry_command

GPU = Place(torch.device("cuda"), torch.bfloat16)
DECIDED: dict[str, Any] = {
    "train": "lora",
    "max_length": 512,
    "micro_batch_tokens": 4096,
    "gradient_checkpointing": "off",
}


def need_of(base: Source, dataset: Dataset, place: Place = HALVES, **values: Any) -> Need:
    settings = settings_for(**DECIDED | values)
    estimate = Estimate(corpus_of(base, dataset, settings), place)
    return Need(Source("big", "folder", ""), Anatomy.of(LLAMA_7B), settings, estimate)


@pytest.mark.parametrize(
    ("place", "values", "named"),
    [
        (HALVES, {}, {"micro_batch_tokens", "gradient_checkpointing", "quantize"}),
        (HALVES, {"gradient_checkpointing": "on"}, {"micro_batch_tokens", "quantize"}),
        (GPU, {"train": "full", "optimizer": "adamw"}, {"optimizer"}),
        (GPU, {"train": "full", "micro_batch_tokens": 16, "max_length": 96}, {"train"}),
    ],
)
def test_levers_save_what_the_estimate_saves(
    base: Source, dataset: Dataset, place: Place, values: dict[str, Any], named: set[str]
) -> None:
    need = need_of(base, dataset, place, **values)
    levers = cheapest_levers(need, 0.0)
    assert named <= {key for lever in levers for key in lever.values}
    assert 1 <= len(levers) <= 3
    for lever in levers:
        if "base_model" not in lever.values:
            assert lever.saves_gb == pytest.approx(need.gb({}) - need.gb(lever.values))
        assert lever.saves_gb > 0.05 * need.gb({})


def test_a_shorter_window_is_a_lever_where_one_window_is_the_micro_batch(
    base: Source, dataset: Dataset
) -> None:
    need = need_of(
        base, dataset, quantize="nf4", max_length=2000, micro_batch_tokens=16, lora_rank=512
    )
    longest = need.estimate.longest(need.settings)
    assert need.gb({"max_length": longest // 2}) < need.gb({})


def test_a_smaller_base_model_is_named_if_nothing_else_suffices(
    base: Source, dataset: Dataset
) -> None:
    need = need_of(base, dataset, micro_batch_tokens=16, gradient_checkpointing="on")
    total = need.gb({})
    little, much = (cheapest_levers(need, excess) for excess in (0.3 * total, 0.97 * total))
    assert little[0].values == {"quantize": "nf4"}
    assert little[-1].values == {"base_model": "llama-3.2-3b"}
    assert much[-1].values == {"base_model": "smollm2"}


def test_while_weights_are_loaded_only_weights_count(base: Source, dataset: Dataset) -> None:
    need = need_of(base, dataset)._replace(loading=True)
    levers = cheapest_levers(need, 1.0)
    assert [set(lever.values) for lever in levers] == [{"quantize"}, {"base_model"}]
    # NF4 makes the embeddings float32.
    assert levers[0].saves_gb == pytest.approx(13.477 - 4.417, abs=0.01)


def test_a_lever_is_said_as_it_is_typed() -> None:
    assert str(Lever({"quantize": "nf4"}, 9.84)) == "--quantize nf4 saves 9.8 GB"
    assert str(Lever({"max_length": 256}, 2.1)) == "--set max_length=256 saves 2.1 GB"
    assert flags({"base_model": "a b", "lora_targets": ("q_proj", "v_proj"), "packing": False}) == [
        "--base-model 'a b'",
        "--set 'lora_targets=[q_proj, v_proj]'",
        "--set packing=false",
    ]


def shortage_of(base: Source, dataset: Dataset, folder: Path, free_gb: float) -> Shortage:
    layers = [
        Layer("preset cpu", {"batch_size": 4, "validation_users": 10}),
        Layer("my.yaml", {"lora_targets": ["q_proj", "v_proj"]}),
        Layer("flag", {"base_model": "./big", "max_length": 96, "epochs": 2}),
    ]
    resolved = resolve(FinetuneSettings, layers)
    corpus = corpus_of(base, dataset, resolved.settings)
    tokenizer = load_tokenizer(base)
    plan = make_plan(corpus, LLAMA_7B, resolved.settings, HALVES, free_gb)
    chosen = {"micro_batch_tokens": plan.micro_batch_tokens, "gradient_checkpointing": "off"}
    LLAMA_7B.save_pretrained(folder / "big")
    source = Source("./big", "folder", str(folder / "big"))
    job = Job(folder / "run", dataset, source, resolved.decided(chosen))
    return Shortage(job, plan, tokenizer, corpus, HALVES)


def test_a_run_that_cannot_fit_is_refused_with_its_budget_and_levers(
    base: Source, dataset: Dataset, tmp_path: Path
) -> None:
    shortage = shortage_of(base, dataset, tmp_path, free_gb=1.0)
    levers = [Lever({"quantize": "nf4"}, 9.06), Lever({"base_model": "smollm2"}, 13.2)]
    with pytest.raises(ModelError, match=r"would not fit: it needs 1\d\.\d GB, and \d\.\d GB") as e:
        refuse_unfitting(shortage.plan, levers)
    assert "(weights 13.5, " in e.value.message
    assert e.value.fix == "--quantize nf4 saves 9.1 GB; --base-model smollm2 saves 13.2 GB"


def test_a_run_that_fits_is_not_refused(base: Source, dataset: Dataset, tmp_path: Path) -> None:
    shortage = shortage_of(base, dataset, tmp_path, free_gb=100.0)
    refuse_unfitting(shortage.plan, [])
    assert shortage.levers() == ()


def test_the_command_to_retry_is_the_run_s_own_with_changes(
    base: Source, dataset: Dataset, tmp_path: Path
) -> None:
    job = shortage_of(base, dataset, tmp_path, free_gb=100.0).job
    assert retry_command(job, {"max_length": 48, "quantize": "nf4"}) == (
        f"genrec finetune --dataset {dataset.name} --preset cpu --base-model ./big "
        "--set 'lora_targets=[q_proj, v_proj]' --set max_length=48 --set epochs=2.0 "
        "--quantize nf4"
    )


def test_memory_that_runs_out_becomes_advice(
    base: Source, dataset: Dataset, tmp_path: Path
) -> None:
    shortage = shortage_of(base, dataset, tmp_path, free_gb=100.0)
    with pytest.raises(ModelError) as said, shortage.explained(loading=False):
        torch.empty(1 << 62, dtype=torch.uint8)
    assert said.value.message.startswith("out of memory while training; planned: ")
    assert said.value.fix is not None
    assert f"genrec finetune --dataset {dataset.name} " in said.value.fix
    assert "saves" in said.value.fix
    assert "micro_batch_tokens" not in said.value.fix  # the Trainer has tried that by itself


def test_other_errors_stay_what_they_are(base: Source, dataset: Dataset, tmp_path: Path) -> None:
    shortage = shortage_of(base, dataset, tmp_path, free_gb=100.0)
    with pytest.raises(RuntimeError, match="mat1 and mat2"), shortage.explained(loading=False):
        torch.ones(2, 3) @ torch.ones(2, 3)
