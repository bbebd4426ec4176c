"""The plan of a run against the run itself."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from tiny import CPU, parameter_counts, save_tiny, settings_for, tiny_llama
from transformers import LlamaConfig

from genrec_cli.core.progress import SILENT
from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.data.dataset import Dataset
from genrec_cli.language.backbones.adapt import trainable_model
from genrec_cli.language.backbones.load import load_config, load_tokenizer
from genrec_cli.language.backbones.names import Source, find_source
from genrec_cli.language.corpus import make_corpus
from genrec_cli.language.metrics_log import MetricsLog
from genrec_cli.language.plan import Plan, make_plan
from genrec_cli.language.training import planned_steps, train


def plan_of(source: Source, dataset: Dataset, settings: FinetuneSettings) -> Plan:
    tokenizer = load_tokenizer(source, dataset.titles, settings.instruction)
    corpus = make_corpus(dataset, tokenizer, settings)
    return make_plan(corpus, load_config(source, tokenizer, settings.max_length), settings, CPU)


def counted(source: Source, dataset: Dataset, settings: FinetuneSettings) -> tuple[int, int]:
    """Trainable parameters and those of the base model, of the model that would be trained."""
    tokenizer = load_tokenizer(source, dataset.titles, settings.instruction)
    trainable, everything = parameter_counts(trainable_model(source, tokenizer, settings, CPU))
    return trainable, everything - (trainable if settings.train == "lora" else 0)


@pytest.mark.parametrize(
    "values",
    [
        {"train": "full"},
        {"train": "lora"},
        {"train": "lora", "lora_rank": 3, "lora_targets": ("q_proj", "v_proj")},
        {"train": "lora", "lora_targets": ("mlp.down_proj",)},
        {"train": "lora", "quantize": "nf4"},
        {"train": "lora", "quantize": "int8"},
    ],
)
def test_parameters_are_those_of_the_model_that_is_trained(
    base: Source, dataset: Dataset, values: dict[str, Any]
) -> None:
    settings = settings_for(**values)
    plan = plan_of(base, dataset, settings)
    assert (plan.trainable, plan.parameters) == counted(base, dataset, settings)


def test_parameters_of_nano_and_of_tied_weights_are_counted_once(
    dataset: Dataset, tmp_path: Path
) -> None:
    settings = settings_for(train="full")
    tied = save_tiny(tmp_path / "tied", dataset, tie_word_embeddings=True)
    for source in (find_source("nano"), tied):
        plan = plan_of(source, dataset, settings)
        assert (plan.trainable, plan.parameters) == counted(source, dataset, settings)
        assert plan.trainable == plan.parameters


@pytest.mark.parametrize(
    ("windows", "values", "steps"),
    [
        (24, {"epochs": 3}, 18),
        (25, {"epochs": 3}, 21),
        (25, {"epochs": 0.5}, 4),
        (1, {"epochs": 1}, 1),
        (24, {"epochs": 3, "max_steps": 5}, 5),
        (24, {"epochs": 3, "max_steps": 0}, 0),
    ],
)
def test_steps_follow_from_epochs_unless_they_are_given(
    windows: int, values: dict[str, Any], steps: int
) -> None:
    settings = settings_for(**{"max_steps": None, "batch_size": 4} | values)
    assert planned_steps(windows, settings) == steps


@pytest.mark.parametrize(
    "values", [{"epochs": 0.4}, {"epochs": 1, "batch_size": 16}, {"max_steps": 3}]
)
def test_the_run_takes_the_planned_steps(
    base: Source, dataset: Dataset, tmp_path: Path, values: dict[str, Any]
) -> None:
    settings = settings_for(**{"max_steps": None, "evaluations": 1} | values)
    tokenizer = load_tokenizer(base, dataset.titles, "")
    corpus = make_corpus(dataset, tokenizer, settings)
    plan = plan_of(base, dataset, settings)
    trained = train(tiny_llama(400), corpus, settings, CPU, tmp_path, SILENT)
    lines = MetricsLog(tmp_path / "metrics.jsonl").lines()
    assert plan.steps == trained.steps == lines[-1]["step"] == trained.best_step


def test_a_corpus_is_counted_as_it_is_read(base: Source, dataset: Dataset) -> None:
    settings = settings_for(max_length=2000)
    tokenizer = load_tokenizer(base, dataset.titles, "")
    corpus = make_corpus(dataset, tokenizer, settings)
    plan = plan_of(base, dataset, settings)
    lengths = [len(dataset.sequence(row)) - 2 for row in range(len(dataset.user_ids))]
    assert plan.windows == len(lengths)
    assert plan.targets == sum(lengths) - len(lengths)
    assert plan.tokens == sum(len(corpus.training[row].tokens) for row in range(len(lengths)))


LLAMA_7B = LlamaConfig(
    vocab_size=32000,
    hidden_size=4096,
    intermediate_size=11008,
    num_hidden_layers=32,
    num_attention_heads=32,
)
LINEAR, REST = 6_476_005_376, 262_410_240  # weights of linear layers; embeddings, head and norms


def plan_of_7b(base: Source, dataset: Dataset, **values: Any) -> Plan:
    settings = settings_for(**{"train": "lora", "quantize": "nf4", "lora_rank": 16} | values)
    corpus = make_corpus(dataset, load_tokenizer(base, dataset.titles, ""), settings)
    return make_plan(corpus, LLAMA_7B, settings, CPU)


def test_llama_7b_has_its_known_size(base: Source, dataset: Dataset) -> None:
    plan = plan_of_7b(base, dataset)
    assert plan.parameters == LINEAR + REST == 6_738_415_616  # Touvron et al. 2023
    assert plan.trainable == 39_976_960  # what PEFT prints for r=16 on all linear layers
    assert plan.hours > 0


@pytest.mark.parametrize(
    ("values", "weights"),
    [
        ({"quantize": "nf4"}, LINEAR * 0.52 + REST * 4),
        ({"quantize": "int8"}, LINEAR + REST * 4),
        ({"quantize": "none"}, (LINEAR + REST) * 4),
        ({"quantize": "none", "train": "full"}, (LINEAR + REST) * 4),
    ],
)
def test_memory_is_the_sum_of_its_parts(
    base: Source, dataset: Dataset, values: dict[str, Any], weights: float
) -> None:
    plan = plan_of_7b(base, dataset, **values)
    memory = dict(plan.memory_gb)
    total = memory.pop("total")
    assert sum(memory.values()) == pytest.approx(total, abs=0.0005 * (len(memory) + 1))
    assert memory["weights"] == pytest.approx(weights / 1e9, abs=0.001)
    assert memory["gradients"] == pytest.approx(plan.trainable * 4 / 1e9, abs=0.001)
    assert memory["optimiser"] == pytest.approx(plan.trainable * 8 / 1e9, abs=0.001)
    assert memory["adapter"] == (0 if values.get("train") else memory["gradients"])


def test_activations_grow_with_the_micro_batch(base: Source, dataset: Dataset) -> None:
    narrow, wide = (plan_of_7b(base, dataset, micro_batch_size=size) for size in (2, 4))
    assert wide.memory_gb["activations"] == pytest.approx(
        2 * narrow.memory_gb["activations"], abs=0.002
    )
    assert wide.memory_gb["weights"] == narrow.memory_gb["weights"]


@pytest.mark.parametrize(("free", "fits"), [(-0.1, False), (0.0, True), (1.0, True)])
def test_a_run_fits_if_its_total_is_free(
    base: Source, dataset: Dataset, free: float, fits: bool
) -> None:
    plan = plan_of(base, dataset, settings_for())
    assert plan.available_gb > 0
    total = plan.memory_gb["total"]
    assert dataclasses.replace(plan, available_gb=total + free).fits is fits
