"""The plan of a run against the run itself."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import CPU, Steps, parameter_counts, save_tiny, settings_for, tiny_llama
from transformers import LlamaConfig

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.data.dataset import Dataset
from genrec_cli.language.arguments import planned_steps
from genrec_cli.language.backbones.adapt import prepared, trainable_model
from genrec_cli.language.backbones.load import load_config, load_tokenizer
from genrec_cli.language.backbones.names import Source, find_source
from genrec_cli.language.corpus import Corpus, make_corpus
from genrec_cli.language.hardware import Place
from genrec_cli.language.lesson import Lesson
from genrec_cli.language.objective import LossModel, TitleLoss
from genrec_cli.language.packing import Counts, Pack, join, title_packs, weighed
from genrec_cli.language.planning.anatomy import Anatomy
from genrec_cli.language.planning.budget import Load, layer_bytes, memory_parts
from genrec_cli.language.planning.estimate import Estimate
from genrec_cli.language.planning.microbatch import choose_checkpointing, choose_micro_batch
from genrec_cli.language.planning.plan import Plan, make_plan
from genrec_cli.language.sampler import Draw
from genrec_cli.language.seeding import seeded
from genrec_cli.language.templates import texts_of
from genrec_cli.language.training import Trained, train

HALVES = Place(torch.device("cpu"), torch.bfloat16)
GPU = Place(torch.device("cuda"), torch.bfloat16)
LLAMA_7B = LlamaConfig(
    vocab_size=32000,
    hidden_size=4096,
    intermediate_size=11008,
    num_hidden_layers=32,
    num_attention_heads=32,
)
LINEAR, REST = 6_476_005_376, 262_410_240  # weights of linear layers; embeddings, head and norms
LORA_7B = settings_for(train="lora", quantize="nf4", lora_rank=16)


@pytest.fixture(scope="session")
def anatomy_7b() -> Anatomy:
    return Anatomy.of(LLAMA_7B)


def corpus_of(source: Source, dataset: Dataset, settings: FinetuneSettings) -> Corpus:
    tokenizer = load_tokenizer(source, [*dataset.titles, *texts_of(settings)])
    return make_corpus(dataset, tokenizer, settings)


def plan_of(
    source: Source, dataset: Dataset, settings: FinetuneSettings, free_gb: float = 8.0
) -> Plan:
    tokenizer = load_tokenizer(source, [*dataset.titles, *texts_of(settings)])
    config = load_config(source, tokenizer, settings.max_length)
    return make_plan(make_corpus(dataset, tokenizer, settings), config, settings, CPU, free_gb)


def pack_of(corpus: Corpus, windows: int) -> Pack:
    batch = join([corpus.training[Draw(0, window)] for window in range(windows)])
    return next(title_packs(weighed(batch, Counts.of(batch), 0.0), 10**6, packing=True))


# What is trained


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
    assert_counts_agree(base, dataset, settings_for(**values))


def test_parameters_of_nano_and_of_tied_weights_are_counted_once(
    dataset: Dataset, tmp_path: Path
) -> None:
    tied = save_tiny(tmp_path / "tied", dataset, tie_word_embeddings=True)
    for source in (find_source("nano"), tied):
        assert_counts_agree(source, dataset, settings_for(train="full"))


def assert_counts_agree(source: Source, dataset: Dataset, settings: FinetuneSettings) -> None:
    tokenizer = load_tokenizer(source, [*dataset.titles, *texts_of(settings)])
    anatomy = Anatomy.of(load_config(source, tokenizer, settings.max_length))
    trainable, everything = parameter_counts(trainable_model(source, tokenizer, settings, CPU))
    assert anatomy.trainable(settings) == trainable
    assert anatomy.parameters == everything - (trainable if settings.train == "lora" else 0)


@pytest.mark.parametrize(
    ("windows", "values", "steps"),
    [
        (24, {"epochs": 3}, 18),
        (25, {"epochs": 3}, 19),
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


def test_a_corpus_is_counted_as_it_is_read(base: Source, dataset: Dataset) -> None:
    settings = settings_for(max_length=2000)
    corpus, plan = corpus_of(base, dataset, settings), plan_of(base, dataset, settings)
    lengths = [len(dataset.sequence(row)) - 2 for row in range(len(dataset.user_ids))]
    assert plan.windows == len(lengths)
    assert plan.targets == sum(lengths) - len(lengths)
    read = [corpus.training[Draw(0, row)][0] for row in range(len(lengths))]
    assert plan.tokens == sum(len(example.tokens) for example in read)


# Memory


def test_llama_7b_has_its_known_size(anatomy_7b: Anatomy) -> None:
    assert anatomy_7b.parameters == LINEAR + REST == 6_738_415_616  # Touvron et al. 2023
    assert anatomy_7b.weights == LINEAR
    # What PEFT prints for r=16 on all linear layers.
    assert anatomy_7b.trainable(LORA_7B) == 39_976_960


@pytest.mark.parametrize(
    ("values", "weights"),
    [
        ({"quantize": "nf4"}, LINEAR * 0.52 + REST * 4),
        ({"quantize": "int8"}, LINEAR + REST * 4),
        ({"quantize": "none"}, (LINEAR + REST) * 2),
        ({"quantize": "none", "train": "full"}, (LINEAR + REST) * 4),
    ],
)
def test_weights_take_what_they_are_loaded_as(
    anatomy_7b: Anatomy, values: dict[str, Any], weights: float
) -> None:
    settings = settings_for(**{"train": "lora"} | values)
    parts = memory_parts(anatomy_7b, settings, HALVES, Load(512, False, 100))
    assert parts["weights"] == weights
    trained = anatomy_7b.trainable(settings)
    assert parts["gradients"] == trained * 4
    assert parts["optimiser"] == trained * 8
    assert parts["adapter"] == (0 if settings.train == "full" else trained * 4)


def test_a_gpu_that_trains_every_weight_quantises_the_moments(anatomy_7b: Anatomy) -> None:
    settings = settings_for(train="full")
    moments = memory_parts(anatomy_7b, settings, GPU, Load(512, False, 100))["optimiser"]
    embedded = 2 * 32000 * 4096
    assert moments == 8 * embedded + 2 * (anatomy_7b.parameters - embedded)
    plain = settings.model_copy(update={"optimizer": "adamw"})
    moments = memory_parts(anatomy_7b, plain, GPU, Load(512, False, 100))["optimiser"]
    assert moments == 8 * anatomy_7b.parameters


def test_several_processes_keep_gradients_twice_and_nothing_is_kept_to_train_nothing(
    anatomy_7b: Anatomy,
) -> None:
    one, two, none = (
        memory_parts(anatomy_7b, LORA_7B, GPU, load)
        for load in (
            Load(512, False, 100),
            Load(512, False, 100, devices=2),
            Load(512, False, 100, trains=False),
        )
    )
    assert two["gradients"] == 2 * one["gradients"]
    assert none["gradients"] == none["optimiser"] == 0
    assert none["activations"] < one["activations"] / 10


@pytest.mark.parametrize("train_what", ["full", "lora"])
def test_activations_grow_with_tokens_and_shrink_with_checkpoints(
    anatomy_7b: Anatomy, train_what: str
) -> None:
    settings = settings_for(train=train_what)

    def activations(tokens: int, checkpointing: bool) -> float:
        load = Load(tokens, checkpointing, 100)
        return memory_parts(anatomy_7b, settings, HALVES, load)["activations"]

    sizes = [activations(tokens, False) for tokens in (512, 1024, 2048)]
    assert sizes[2] - sizes[1] == pytest.approx(2 * (sizes[1] - sizes[0]))
    assert sizes[1] > sizes[0] > activations(512, True)
    assert activations(2048, True) < sizes[2] / 2


@pytest.mark.parametrize(
    ("place", "values"),
    [
        (HALVES, {"train": "full"}),
        (CPU, {"train": "full"}),
        (HALVES, {"train": "lora"}),
        (HALVES, {"train": "lora", "lora_dropout": 0.0}),
        (HALVES, {"train": "lora", "lora_targets": ("q_proj", "v_proj")}),
        (CPU, {"train": "lora"}),
    ],
)
def test_a_layer_keeps_as_many_bytes_as_the_formula_says(
    base: Source, dataset: Dataset, place: Place, values: dict[str, Any]
) -> None:
    settings = settings_for(**values)
    corpus = corpus_of(base, dataset, settings)
    pack = pack_of(corpus, 8)
    shape = {"hidden_size": 64, "intermediate_size": 160, "num_attention_heads": 4}

    def kept(layers: int) -> int:
        model = tiny_llama(400, **shape, num_hidden_layers=layers).to(place.dtype)
        return bytes_kept(prepared(model, settings), corpus, pack, place)

    anatomy = Anatomy.of(tiny_llama(400, **shape).config)
    expected = layer_bytes(anatomy, settings, place)
    assert (kept(3) - kept(2)) / len(pack.tokens) == pytest.approx(expected, rel=0.02)


def bytes_kept(model: Any, corpus: Corpus, pack: Pack, place: Place) -> int:
    """Bytes that autograd keeps for the backward pass, weights and copies of them left out."""
    weights = {weight.shape[::step] for weight in model.parameters() for step in (1, -1)}
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.shape not in weights and tensor.numel() >= len(pack.lengths):
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    loss = LossModel(model.train(), TitleLoss(corpus.trie))
    with (
        torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=place.dtype == torch.bfloat16),
    ):
        alive = loss(pack)  # keeps what was noted, so that no place is taken twice
    assert alive.requires_grad
    return sum(kept.values())


@pytest.mark.parametrize(("free", "fits"), [(-0.1, False), (0.0, True), (1.0, True)])
def test_a_run_fits_if_its_total_is_free(
    base: Source, dataset: Dataset, free: float, fits: bool
) -> None:
    plan = plan_of(base, dataset, settings_for())
    total = plan.memory_gb["total"]
    assert sum(plan.memory_gb.values()) == pytest.approx(2 * total, abs=0.01)
    assert dataclasses.replace(plan, available_gb=total + free).fits is fits


# Micro-batches and checkpoints


@pytest.mark.parametrize(
    ("free_gb", "place", "expected"),
    [
        (1.0, HALVES, 95),  # the longest window
        (36.0, HALVES, pytest.approx(1200, rel=0.3)),
        (300.0, HALVES, 4096),
        (600.0, GPU, 16384),
    ],
)
def test_a_micro_batch_fills_what_is_free_and_no_more(
    base: Source, dataset: Dataset, anatomy_7b: Anatomy, free_gb: float, place: Place, expected: int
) -> None:
    settings = settings_for(
        train="lora", micro_batch_tokens=None, batch_size=4096, gradient_checkpointing="off"
    )
    estimate = Estimate(corpus_of(base, dataset, settings), place)
    assert estimate.longest(settings) == 95
    tokens, _ = choose_micro_batch(estimate, anatomy_7b, settings, free_gb)
    assert tokens == expected
    total = estimate.parts(anatomy_7b, settings, tokens, False)["total"]
    assert (total <= free_gb) is (free_gb > 1.0)


@pytest.mark.parametrize(("free_gb", "checkpointing"), [(1.0, True), (36.0, True), (90.0, False)])
def test_checkpoints_depend_on_what_is_free(
    base: Source, dataset: Dataset, anatomy_7b: Anatomy, free_gb: float, checkpointing: bool
) -> None:
    settings = settings_for(train="lora", micro_batch_tokens=None, batch_size=4096)
    estimate = Estimate(corpus_of(base, dataset, settings), HALVES)
    assert choose_micro_batch(estimate, anatomy_7b, settings, free_gb)[1] is checkpointing


def test_a_micro_batch_is_no_larger_than_a_batch(base: Source, dataset: Dataset) -> None:
    settings = settings_for(micro_batch_tokens=None, batch_size=3)
    plan = plan_of(base, dataset, settings)
    longest = int(corpus_of(base, dataset, settings).training.token_counts.max())
    assert plan.micro_batch_tokens == 3 * longest


def test_what_is_given_is_kept(base: Source, dataset: Dataset) -> None:
    settings = settings_for(micro_batch_tokens=777, gradient_checkpointing="on")
    plan = plan_of(base, dataset, settings)
    assert (plan.micro_batch_tokens, plan.gradient_checkpointing) == (777, True)


@pytest.mark.parametrize(
    ("without", "with_", "chosen"),
    [
        (5000, 50000, False),  # all that is wanted fits as it is
        (1000, 50000, True),  # checkpoints make room for what is wanted
        (1000, 1500, False),  # they would not, and one window fits as it is
        (100, 1500, True),  # one window fits with them alone
        (100, 200, True),  # nothing fits
    ],
)
def test_checkpoints_are_taken_where_they_make_room(without: int, with_: int, chosen: bool) -> None:
    def fits(tokens: int, checkpointing: bool) -> bool:
        return tokens <= (with_ if checkpointing else without)

    assert choose_checkpointing(fits, 512, 2048) is chosen


@pytest.mark.parametrize("train_what", ["full", "lora"])
def test_checkpoints_change_no_loss_and_no_gradient(
    base: Source, dataset: Dataset, train_what: str
) -> None:
    corpus = corpus_of(base, dataset, settings_for())
    pack = pack_of(corpus, 4)
    found = []
    for checkpointing in ("off", "on"):
        settings = settings_for(
            train=train_what, gradient_checkpointing=checkpointing, lora_dropout=0.1
        )
        tokenizer = load_tokenizer(base)
        model = trainable_model(base, tokenizer, settings, CPU).train()
        with seeded(1):
            loss = LossModel(model, TitleLoss(corpus.trie))(pack)
            loss.backward()
        gradients = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
        found.append((loss.item(), gradients))
    (loss, gradients), (again, others) = found
    assert again == pytest.approx(loss, rel=1e-6)
    assert gradients.keys() == others.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(others[name], gradient)


def test_checkpoints_keep_less(base: Source, dataset: Dataset) -> None:
    corpus = corpus_of(base, dataset, settings_for())
    pack = pack_of(corpus, 8)

    def kept(checkpointing: str) -> int:
        settings = settings_for(gradient_checkpointing=checkpointing)
        model = prepared(tiny_llama(400, num_hidden_layers=6), settings)
        return bytes_kept(model, corpus, pack, CPU)

    assert kept("on") < kept("off") / 3


# Time


def require_as_planned(trained: Trained | None, plan: Plan) -> None:
    """Assert that a run took the planned steps, each about as long as planned."""
    assert trained is not None
    assert plan.steps == trained.steps == trained.last_step
    assert plan.calibration == "layers"
    assert trained.seconds_per_step is not None
    assert 1 / 3 < plan.seconds_per_step / trained.seconds_per_step < 3


def test_the_run_takes_the_planned_steps_and_about_the_planned_time(
    base: Source, dataset: Dataset, tmp_path: Path
) -> None:
    # Wide enough that passes take longer than the Trainer around them.
    source = save_tiny(
        tmp_path / "base", dataset, hidden_size=128, intermediate_size=384, num_hidden_layers=6
    )
    settings = settings_for(max_steps=3, batch_size=16, micro_batch_tokens=1024, evaluations=1)
    plan = plan_of(source, dataset, settings)
    corpus = corpus_of(source, dataset, settings)
    model = trainable_model(source, load_tokenizer(source), settings, CPU)
    lesson = Lesson(corpus, settings, plan.micro_batch_tokens, lambda network, cases: {})
    trained = train(model, lesson, CPU, tmp_path / "run", Steps())
    require_as_planned(trained, plan)
    assert plan.hours == pytest.approx(plan.seconds_per_step * plan.steps / 3600, abs=1e-4)


def test_where_layers_do_not_fit_a_matrix_product_is_timed(base: Source, dataset: Dataset) -> None:
    corpus = corpus_of(base, dataset, LORA_7B)
    plan = make_plan(corpus, LLAMA_7B, LORA_7B, CPU, free_gb=0.5)
    assert plan.calibration == "matmul"
    assert plan.hours > 0


def test_planning_moves_no_generator(base: Source, dataset: Dataset) -> None:
    state = torch.get_rng_state()
    assert plan_of(base, dataset, settings_for()).calibration == "layers"
    assert torch.equal(torch.get_rng_state(), state)
