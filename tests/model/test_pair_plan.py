"""The plan of an encoder-decoder's run against the run itself."""

from pathlib import Path
from typing import Any

import pytest
import torch
from test_plan import HALVES, require_as_planned
from tiny import CPU, VOCABULARY, Steps, parameter_counts, settings_for, tiny_t5
from transformers import BartConfig, BartForConditionalGeneration, T5Config

from genrec_cli.core.settings import FinetuneSettings, Layer, resolve
from genrec_cli.data.dataset import Dataset
from genrec_cli.language.backbones.adapt import prepared, trainable_model
from genrec_cli.language.backbones.load import load_config
from genrec_cli.language.backbones.names import Source, find_source
from genrec_cli.language.backbones.wholewords import attach_whole_words
from genrec_cli.language.corpus import Corpus, make_corpus, whole_words
from genrec_cli.language.hardware import Place
from genrec_cli.language.itemnames import names_of_items, tokenizer_for
from genrec_cli.language.job import Job
from genrec_cli.language.lesson import Lesson
from genrec_cli.language.packing import Counts, join, micro_batches, weighed
from genrec_cli.language.pairs.network import paired_hidden
from genrec_cli.language.pairs.pack import PairPack
from genrec_cli.language.planning.anatomy import Anatomy
from genrec_cli.language.planning.estimate import Estimate, anatomy_for
from genrec_cli.language.planning.levers import Need, cheapest_levers, flags
from genrec_cli.language.planning.pairbudget import PairBytes, Tokens
from genrec_cli.language.planning.plan import Plan, make_plan
from genrec_cli.language.planning.sample import sample_pack
from genrec_cli.language.planning.shortage import retry_command
from genrec_cli.language.prompt import Tokenizer
from genrec_cli.language.sampler import EndlessOrder
from genrec_cli.language.training import train

NANO = [("p5", "nano-t5"), ("masked", "nano-bart")]
# Numbers that no weight has for a size: weights are told from activations by their shapes.
B, L, N, WORDS = 8, 40, 7, 30


def pair_settings(**values: Any) -> FinetuneSettings:
    return settings_for(**{"method": "p5"} | values)


def read_by(
    source: Source, dataset: Dataset, settings: FinetuneSettings
) -> tuple[Tokenizer, Corpus]:
    names = names_of_items(dataset, settings, Path("nowhere"))
    tokenizer = tokenizer_for(source, dataset, settings, names)
    return tokenizer, make_corpus(dataset, tokenizer, settings, names)


def plan_of(source: Source, dataset: Dataset, settings: FinetuneSettings) -> tuple[Plan, Corpus]:
    tokenizer, corpus = read_by(source, dataset, settings)
    config = load_config(source, tokenizer, settings.max_length)
    return make_plan(corpus, config, settings, CPU, 8.0), corpus


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Source:
    """A T5 in a folder, with a tokenizer that knows ids in pieces."""
    folder = tmp_path_factory.mktemp("t5")
    tokenizer, _ = read_by(find_source("nano-t5"), dataset, pair_settings())
    tokenizer.save_pretrained(folder)
    tiny_t5(vocab_size=len(tokenizer), tie_word_embeddings=True).save_pretrained(folder)
    return Source("tiny-t5", "folder", str(folder))


# What is trained


@pytest.mark.parametrize(("method", "name"), NANO)
@pytest.mark.parametrize("with_words", [True, False])
def test_parameters_of_built_models_are_those_that_are_trained(
    dataset: Dataset, method: str, name: str, with_words: bool
) -> None:
    settings = pair_settings(method=method, whole_words=with_words)
    plan, _ = plan_of(find_source(name), dataset, settings)
    tokenizer, corpus = read_by(find_source(name), dataset, settings)
    rows = whole_words(corpus, settings)
    model = trainable_model(find_source(name), tokenizer, settings, CPU, rows)
    assert bool(rows) is with_words
    assert (plan.trainable, plan.parameters) == parameter_counts(model)


@pytest.mark.parametrize(
    "values",
    [
        {"train": "lora"},
        {"train": "lora", "lora_targets": ("q", "v"), "lora_rank": 3},
        {"items": "independent"},
    ],
)
def test_parameters_of_pretrained_models_are_those_that_are_trained(
    dataset: Dataset, pretrained: Source, values: dict[str, Any]
) -> None:
    settings = pair_settings(**values)
    tokenizer, corpus = read_by(pretrained, dataset, settings)
    config = load_config(pretrained, tokenizer, settings.max_length)
    anatomy = anatomy_for(corpus, config, settings)
    rows = whole_words(corpus, settings)
    model = trainable_model(pretrained, tokenizer, settings, CPU, rows)
    trainable, everything = parameter_counts(model)
    assert anatomy.trainable(settings) == trainable
    assert anatomy.parameters == everything - (trainable if settings.train == "lora" else 0)


def test_a_head_of_its_own_is_counted_where_only_the_scale_tells() -> None:
    sizes: dict[str, Any] = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 1, "num_heads": 4}
    sizes["feed_forward_proj"] = "gated-gelu"
    tied, own = (
        Anatomy.of(T5Config(**sizes | {"vocab_size": 100, "tie_word_embeddings": tie}))
        for tie in (True, False)
    )
    assert own.parameters - tied.parameters == own.embedded - tied.embedded == 100 * 32


# Memory


def t5_of(encoders: int, decoders: int, **config: Any) -> Any:
    return tiny_t5(
        d_model=64,
        d_kv=24,
        d_ff=160,
        num_layers=encoders,
        num_decoder_layers=decoders,
        decoder_start_token_id=0,
        **config,
    )


def gated_of(encoders: int, decoders: int) -> Any:
    return t5_of(encoders, decoders, feed_forward_proj="gated-gelu")


def bart_of(encoders: int, decoders: int, **config: Any) -> Any:
    sizes = BartConfig(
        vocab_size=VOCABULARY,
        d_model=64,
        encoder_layers=encoders,
        decoder_layers=decoders,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=160,
        decoder_ffn_dim=160,
        max_position_embeddings=64,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
        decoder_start_token_id=1,
        forced_eos_token_id=None,
        **config,
    )
    return BartForConditionalGeneration(sizes)


def dropping_of(encoders: int, decoders: int) -> Any:
    return bart_of(encoders, decoders, attention_dropout=0.1, activation_dropout=0.1)


@pytest.mark.parametrize(
    ("make", "place", "values"),
    [
        (t5_of, CPU, {}),
        (t5_of, HALVES, {}),
        (t5_of, CPU, {"train": "lora"}),
        (t5_of, HALVES, {"train": "lora"}),
        (gated_of, HALVES, {}),
        (bart_of, CPU, {}),
        (bart_of, HALVES, {}),
        (bart_of, CPU, {"train": "lora"}),
        (bart_of, HALVES, {"train": "lora"}),
        (dropping_of, CPU, {}),
        (dropping_of, HALVES, {}),
    ],
)
def test_layers_keep_as_many_bytes_as_the_formula_says(
    make: Any, place: Place, values: dict[str, Any]
) -> None:
    settings = pair_settings(**values)
    expected = PairBytes(Anatomy.of(make(1, 1).config), settings, place, Tokens(L, N))
    base, encoder, decoder = (
        bytes_kept(make(*stacks), settings, place) for stacks in ((1, 1), (2, 1), (1, 2))
    )
    assert encoder - base == pytest.approx(B * L * expected.encoder_layer, rel=0.03)
    more = B * N * expected.decoder_layer + B * L * expected.cross_attention
    assert decoder - base == pytest.approx(more, rel=0.03)


def bytes_kept(network: Any, settings: FinetuneSettings, place: Place) -> int:
    """Bytes that autograd keeps for the backward pass, weights and copies of them left out."""
    if settings.train == "lora":
        network = network.to(place.dtype)
    attach_whole_words(network, WORDS)
    model = prepared(network, settings).train()
    weights = {weight.shape[::step] for weight in model.parameters() for step in (1, -1)}
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.shape not in weights and tensor.numel() >= B:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=place.dtype == torch.bfloat16),
    ):
        alive = paired_hidden(model, pack())  # keeps what was noted, so that no place is used twice
    assert alive.requires_grad
    return sum(kept.values())


def pack() -> PairPack:
    read = torch.arange(B * L).reshape(B, L) % (VOCABULARY - 3) + 3
    seen = torch.ones((B, L), dtype=torch.bool)
    seen[-1, L // 2 :] = False  # else masks are left out
    written = read[:, :N].contiguous()
    nowhere = torch.zeros(B * N)
    return PairPack(read, read % WORDS, seen, written, nowhere.long(), nowhere)


def test_checkpoints_keep_less_and_change_no_gradient() -> None:
    found = []
    for checkpointing in ("off", "on"):
        settings = pair_settings(gradient_checkpointing=checkpointing)
        kept = bytes_kept(t5_of(6, 6), settings, CPU)
        model = prepared(t5_of(2, 2, dropout_rate=0.0), settings).train()
        paired_hidden(model, pack()).square().sum().backward()
        found.append((kept, {name: p.grad for name, p in model.named_parameters()}))
    (much, gradients), (little, others) = found
    assert little < much / 3
    for name, gradient in gradients.items():
        torch.testing.assert_close(others[name], gradient)


@pytest.mark.parametrize(("method", "name"), NANO)
def test_nothing_that_is_drawn_is_longer_than_planned(
    dataset: Dataset, method: str, name: str
) -> None:
    settings = pair_settings(method=method, max_length=64)
    _, corpus = read_by(find_source(name), dataset, settings)
    longest = Estimate(corpus, CPU).longest_pair(settings)
    assert longest is not None
    training = corpus.training
    drawn = [training[d][0] for d in EndlessOrder(len(training), 2 * len(training), 0)]
    read = max(len(e.reading) for e in drawn if e.reading is not None)
    assert read <= longest.read <= read + 24
    assert max(len(e.tokens) for e in drawn) == longest.written
    assert Estimate(corpus, CPU).longest(settings) == longest.read + longest.written


def test_a_t5_s_attention_grows_with_the_square_of_what_is_read(dataset: Dataset) -> None:
    anatomy = Anatomy.of(t5_of(3, 3).config)
    settings = pair_settings()

    def kept(read: int) -> float:
        longest = Tokens(read, N)
        return PairBytes(anatomy, settings, CPU, longest).kept(
            8 * (read + N), checkpointing=False, trains=True
        )

    # Of eight examples; what is no square grows with the tokens.
    assert kept(512) - 2 * kept(256) > kept(256) - 2 * kept(128) > 0


# Micro-batches and time


@pytest.mark.parametrize(("method", "name"), NANO)
def test_a_pack_stands_for_the_packs_of_a_step(dataset: Dataset, method: str, name: str) -> None:
    settings = pair_settings(method=method, batch_size=32)
    _, corpus = read_by(find_source(name), dataset, settings)
    sample = sample_pack(corpus, 256, settings)
    assert isinstance(sample.pack, PairPack)
    cells = sample.pack.read.numel() + sample.pack.written.numel()
    drawn = [corpus.training[draw] for draw in EndlessOrder(len(corpus.training), 32, 0)]
    batch = join(drawn)
    packs = [*micro_batches(weighed(batch, Counts.of(batch), 1.0), 256, packing=True)]
    assert all(isinstance(other, PairPack) for other in packs)
    assert len(packs) / 2 < sample.packs < 2 * len(packs)
    tokens = sum(sum(example.size) for examples in drawn for example in examples)
    assert tokens <= sample.packs * cells < 1.5 * tokens


def test_the_run_takes_the_planned_steps_and_about_the_planned_time(
    dataset: Dataset, tmp_path: Path
) -> None:
    source = find_source("nano-t5")
    settings = pair_settings(max_steps=3, batch_size=32, micro_batch_tokens=1024, evaluations=1)
    plan, corpus = plan_of(source, dataset, settings)
    tokenizer, _ = read_by(source, dataset, settings)
    model = trainable_model(source, tokenizer, settings, CPU, whole_words(corpus, settings))
    lesson = Lesson(corpus, settings, plan.micro_batch_tokens, lambda network, cases: {})
    trained = train(model, lesson, CPU, tmp_path / "run", Steps())
    require_as_planned(trained, plan)


def test_deep_models_are_timed_by_a_layer_of_each_kind(dataset: Dataset) -> None:
    settings = pair_settings(batch_size=32, micro_batch_tokens=1024)
    _, corpus = read_by(find_source("nano-t5"), dataset, settings)

    def seconds(layers: int) -> float:
        sizes: dict[str, Any] = {"d_model": 256, "d_ff": 1024, "num_heads": 4}
        config = T5Config(**sizes | {"num_layers": layers, "decoder_start_token_id": 0})
        plan = make_plan(corpus, config, settings, CPU, 8.0)
        assert plan.calibration == "layers"
        return plan.seconds_per_step

    assert seconds(200) > 4 * seconds(2)  # really some fifty times, and the machine is shared


# What is said where memory does not suffice


def need_of(
    source: Source, dataset: Dataset, config: Any, place: Place = HALVES, **values: Any
) -> Need:
    decided = {"micro_batch_tokens": 4096, "gradient_checkpointing": "off", "max_length": 512}
    settings = pair_settings(**decided | values)
    _, corpus = read_by(source, dataset, settings)
    anatomy = anatomy_for(corpus, config, settings)
    return Need(Source("big", "folder", ""), anatomy, settings, Estimate(corpus, place))


T5_LARGE = T5Config(vocab_size=32128, d_model=1024, d_kv=64, d_ff=4096, num_layers=24, num_heads=16)


@pytest.mark.parametrize(
    ("excess", "smaller"),
    [(0.5, {"base_model": "t5-base"}), (0.99, {"base_model": "nano-t5"})],
)
def test_a_smaller_t5_is_named_and_no_llama(
    dataset: Dataset, excess: float, smaller: dict[str, Any]
) -> None:
    need = need_of(find_source("nano-t5"), dataset, T5_LARGE, micro_batch_tokens=16)
    assert cheapest_levers(need, excess * need.gb({}))[-1].values == smaller


def test_a_model_without_weights_is_named_with_what_it_needs(dataset: Dataset) -> None:
    values: dict[str, Any] = {
        "train": "lora",
        "quantize": "nf4",
        "gradient_checkpointing": "on",
    }
    need = need_of(find_source("nano-t5"), dataset, T5_LARGE, micro_batch_tokens=16, **values)
    nano = cheapest_levers(need, 10.0)[-1]
    assert nano.values == {"base_model": "nano-t5", "train": "full", "quantize": "none"}
    assert 0 < nano.saves_gb < need.gb({})


def test_the_smaller_bart_is_a_bart(dataset: Dataset) -> None:
    sizes: dict[str, Any] = {"d_model": 1024, "encoder_layers": 12, "decoder_layers": 12}
    config = BartConfig(vocab_size=50265, **sizes)
    need = need_of(
        find_source("nano-bart"), dataset, config, method="masked", micro_batch_tokens=16
    )
    total = need.gb({})
    names = [cheapest_levers(need, share * total)[-1].values for share in (0.5, 0.99)]
    assert names == [{"base_model": "bart-base"}, {"base_model": "nano-bart"}]


def test_lora_is_offered_where_no_tokens_were_added_and_by_names_that_there_are(
    dataset: Dataset,
) -> None:
    def offered(**values: Any) -> dict[str, Any]:
        need = need_of(
            find_source("nano-t5"),
            dataset,
            T5_LARGE,
            micro_batch_tokens=16,
            gradient_checkpointing="on",
            **values,
        )
        found: dict[str, Any] = {}
        for lever in cheapest_levers(need, 0.0):
            found |= lever.values
        return found

    assert offered()["train"] == "lora"
    assert "train" not in offered(items="independent")
    quantised = {"train": "lora", "quantize": "nf4", "lora_rank": 512, "lora_dropout": 0.0}
    assert offered(**quantised)["lora_targets"] == ("q", "v")


def test_a_window_is_never_offered_too_short_for_what_stands_around_it(dataset: Dataset) -> None:
    for length in (72, 96, 128, 512):
        need = need_of(
            find_source("nano-t5"),
            dataset,
            T5_LARGE,
            items="titles",
            max_length=length,
            micro_batch_tokens=16,
            gradient_checkpointing="on",
        )
        for lever in cheapest_levers(need, 0.0):
            if "max_length" in lever.values:
                changed = need.settings.model_copy(update=dict(lever.values))
                read_by(find_source("nano-t5"), dataset, changed)  # refuses what is too short
    longest = need.estimate.longest_pair(need.settings)
    assert longest is not None
    assert longest.read < 512


def test_the_command_to_retry_names_the_method_and_the_small_model_s_preset(
    dataset: Dataset, tmp_path: Path
) -> None:
    given = {"method": "p5", "task_weights": {"direct": 0.5}}
    layers = [Layer("preset pairs", {"batch_size": 64}), Layer("flag", given)]
    resolved = resolve(FinetuneSettings, layers)
    job = Job(tmp_path / "run", dataset, Source("t5-small", "hub", ""), resolved)
    assert retry_command(job, {"base_model": "nano-t5"}) == (
        f"genrec finetune --dataset {dataset.name} --preset nano-pairs --base-model nano-t5 "
        "--method p5 --set 'task_weights={sequential: 1.0, direct: 0.5}'"
    )
    assert flags({"method": "masked"}) == ["--method masked"]
