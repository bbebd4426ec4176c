"""Encoder-decoders as base models: those that are built, and those that are loaded and adapted."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from bitsandbytes.nn.modules import Linear4bit
from safetensors.torch import load_file, save_file
from tiny import CPU, VOCABULARY, parameter_counts, settings_for, tiny_bart, tiny_llama, tiny_t5
from torch import Tensor

from genrec_cli.core.errors import ModelError
from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.language.backbones import nano_pairs
from genrec_cli.language.backbones.adapt import (
    load_trained,
    require_family,
    require_trainable,
    save_trained,
    trainable_model,
)
from genrec_cli.language.backbones.load import load_config, load_model, load_tokenizer
from genrec_cli.language.backbones.names import NANO_PAIRS, Source, find_source
from genrec_cli.language.backbones.wholewords import attach_whole_words, whole_words_of
from genrec_cli.language.prompt import Tokenizer, tokenise_titles

WORDS = [f"item_{number}" for number in range(1, 41)]
SPECIAL = ["<item_1>", "<item_2>", "<item_19>"]
IDS = torch.tensor([[5, 9, 30, 2, 17, 31, 4]])
PLACES = torch.tensor([[0, 1, 1, 2, 3, 3, 4]])
LOADED: dict[str, Callable[[], Any]] = {
    "t5": lambda: tiny_t5(d_model=64, d_kv=16, d_ff=128, tie_word_embeddings=True),
    "bart": tiny_bart,
}
# bitsandbytes wants 64 weights a row.
WIDE_BART = "wide-bart"


@pytest.fixture(scope="module")
def pieces() -> Tokenizer:
    """A tokenizer of few tokens."""
    return nano_pairs.train_pair_tokenizer([f" {word}" for word in WORDS])


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Source]:
    """Pretrained encoder-decoders in folders."""
    folder = tmp_path_factory.mktemp("bases")
    models = {name: make() for name, make in LOADED.items()}
    models[WIDE_BART] = nano_pairs.build_bart(VOCABULARY, 64, 0.0, 0)
    for name, model in models.items():
        model.save_pretrained(folder / name)
    return {name: Source(name, "folder", str(folder / name)) for name in models}


def pair_settings(**values: Any) -> FinetuneSettings:
    return settings_for(**{"method": "p5", "lora_dropout": 0.0} | values)


def built(name: str, tokens: Tokenizer, **values: Any) -> Any:
    return trainable_model(find_source(name), tokens, pair_settings(**values), CPU)


def logits(model: Any, words: bool = True) -> Tensor:
    """Logits of a model in evaluation mode, its whole words read if there are any."""
    table = whole_words_of(model.eval()) if words else None
    with torch.no_grad():
        embedded = model.get_input_embeddings()(IDS)
        if table is not None:
            embedded = embedded + table(PLACES)
        found: Tensor = model(inputs_embeds=embedded, decoder_input_ids=IDS[:, :3]).logits
    return found


def test_numbers_in_ids_are_cut_and_nothing_is_put_around_a_text(pieces: Tokenizer) -> None:
    tokens = pieces.convert_ids_to_tokens(pieces.encode("item_7391 item_12"))
    assert [token for token in tokens if token.isdigit()] == ["7", "39", "1", "12"]
    assert pieces.decode(pieces.encode("user_3 Amélie (1999) item_7391")) == (
        "user_3 Amélie (1999) item_7391"
    )
    numbers = [pieces.pad_token_id, pieces.eos_token_id, pieces.mask_token_id]
    assert numbers == [0, 1, 2]
    assert pieces.encode("") == []
    assert not {0, 1, 2} & set(pieces.encode("item_7391\n"))


def test_no_piece_of_a_number_is_longer_than_three_digits() -> None:
    often = nano_pairs.train_pair_tokenizer(["item_7391"] * 50)
    tokens = often.convert_ids_to_tokens(often.encode("item_7391"))
    assert tokens == ["item_", "739", "1"]


def test_a_built_tokenizer_is_equal_for_equal_texts_and_survives_being_saved(
    tmp_path: Path,
) -> None:
    source = find_source("nano-t5")
    first, again = (load_tokenizer(source, [*WORDS, *SPECIAL], SPECIAL) for _ in range(2))
    assert first.backend_tokenizer.to_str() == again.backend_tokenizer.to_str()
    first.save_pretrained(tmp_path)
    nano_pairs.build_t5(len(first), 0.0, 0).save_pretrained(tmp_path)
    loaded = load_tokenizer(Source("nano-t5", "folder", str(tmp_path)))
    texts = [*WORDS, *SPECIAL, "a <item_2> b <mask>", "x\ny"]
    assert [loaded.encode(text) for text in texts] == [first.encode(text) for text in texts]
    assert (loaded.mask_token_id, len(loaded)) == (2, len(first))


@pytest.mark.parametrize("name", ["nano", *NANO_PAIRS])
def test_an_added_word_is_one_token_wherever_it_stands(name: str) -> None:
    plain = load_tokenizer(find_source(name), WORDS)
    with_words = load_tokenizer(find_source(name), WORDS, SPECIAL)
    assert len(with_words) == len(plain) + len(SPECIAL)
    ids = [len(plain) + place for place in range(len(SPECIAL))]
    assert with_words.convert_tokens_to_ids(SPECIAL) == ids
    written = with_words.encode("after <item_19>,<item_1><item_2> comes")
    assert [token for token in written if token in ids] == [ids[2], ids[0], ids[1]]
    titles = tokenise_titles(with_words, SPECIAL)
    assert titles.lengths.tolist() == [2, 2, 2]


@pytest.mark.parametrize("name", NANO_PAIRS)
def test_a_built_pair_starts_near_the_loss_of_a_guess_and_forces_no_token(
    name: str, pieces: Tokenizer
) -> None:
    model = built(name, pieces).eval()
    ids = torch.randint(3, len(pieces), (16, 12), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        loss = float(model(input_ids=ids, labels=ids).loss)
    assert abs(loss - math.log(len(pieces))) < 1.5
    config = model.config
    assert (config.pad_token_id, config.eos_token_id) == (0, 1)
    assert config.decoder_start_token_id == (0 if name == "nano-t5" else 1)
    forced = model.generation_config
    assert (forced.forced_bos_token_id, forced.forced_eos_token_id) == (None, None)
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    planned = load_config(find_source(name), pieces, 96)
    assert planned.is_encoder_decoder
    assert planned.vocab_size == len(pieces)


@pytest.mark.parametrize("name", NANO_PAIRS)
def test_a_built_pair_is_equal_for_equal_seeds_and_takes_nothing_from_the_global_one(
    name: str, pieces: Tokenizer
) -> None:
    state = torch.random.get_rng_state()
    first, again, other = (built(name, pieces, seed=seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert [key for key in first if not torch.equal(first[key], again[key])] == []
    assert not torch.equal(first["lm_head.weight"], other["lm_head.weight"])


@pytest.mark.parametrize("name", NANO_PAIRS)
def test_a_built_pair_learns_which_id_comes_next(name: str, pieces: Tokenizer) -> None:
    """Forty ids in a circle of unknown order; a history of three says where it is."""
    draw = torch.Generator().manual_seed(1)
    circle = torch.randperm(len(WORDS), generator=draw).tolist()
    written = [pieces.encode(f" {WORDS[item]}") for item in circle]
    width = max(len(ids) for ids in written)
    table = torch.tensor([[*ids, *[0] * (width - len(ids))] for ids in written])
    model = built(name, pieces).train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    losses = []
    for _ in range(50):
        start = torch.randint(len(WORDS), (32, 1), generator=draw)
        read = table[(start + torch.arange(3)) % len(WORDS)].flatten(1)
        labels = table[(start[:, 0] + 3) % len(WORDS)]
        labels = labels.masked_fill(labels == 0, -100)
        loss = model(input_ids=read, attention_mask=(read != 0).long(), labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) / 5 < 0.4 * math.log(len(WORDS)), losses[::10]


@pytest.mark.parametrize("name", LOADED)
def test_dropout_of_the_settings_is_that_of_training(name: str, bases: dict[str, Source]) -> None:
    for dropout in (0.0, 0.3):
        model = load_model(bases[name], CPU, "none", dropout).train()
        first, again = (model(input_ids=IDS, decoder_input_ids=IDS).logits for _ in range(2))
        assert torch.equal(first, again) == (dropout == 0.0)


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("nano-t5", "full"),
        ("nano-bart", "full"),
        ("t5", "full"),
        ("bart", "full"),
        ("t5", "lora"),
        ("bart", "lora"),
        ("t5", "nf4"),
        (WIDE_BART, "nf4"),
    ],
)
def test_whole_words_are_trained_saved_and_loaded_with_the_model(
    name: str, way: str, bases: dict[str, Source], pieces: Tokenizer, tmp_path: Path
) -> None:
    source = find_source(name) if name in NANO_PAIRS else bases[name]
    settings = pair_settings(
        train="full" if way == "full" else "lora", quantize="nf4" if way == "nf4" else "none"
    )
    model = trainable_model(source, pieces if name in NANO_PAIRS else [], settings, CPU, 9)
    before = logits(model)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 1e-2)
    table = whole_words_of(model.train())
    assert table is not None
    model(
        inputs_embeds=model.get_input_embeddings()(IDS) + table(PLACES), labels=IDS
    ).loss.backward()
    assert table.weight.grad is not None
    assert table.weight.grad.any(1).tolist() == [False, *[True] * 4, *[False] * 4]
    optimizer.step()
    assert not table.weight[0].any()
    after = logits(model)
    assert not torch.equal(after, before)
    save_trained(model, pieces, tmp_path)
    loaded = load_trained(source, settings, CPU, tmp_path)
    assert not loaded.training
    again = whole_words_of(loaded)
    assert again is not None
    assert torch.equal(again.weight, table.weight)
    torch.testing.assert_close(logits(loaded), after, atol=1e-4, rtol=0)
    # The table says something.
    assert (logits(loaded, words=False) - after).abs().max() > 1e-3


def test_a_table_of_whole_words_is_small_beside_the_tokens_and_zero_for_no_word() -> None:
    model = tiny_t5()
    state = torch.random.get_rng_state()
    attach_whole_words(model, 500, seed=4)
    assert torch.equal(torch.random.get_rng_state(), state)
    table = whole_words_of(model)
    assert table is not None
    tokens = model.get_input_embeddings().weight.detach()
    assert float(table.weight.detach().std() / tokens.std()) == pytest.approx(0.1, rel=0.05)
    assert not table.weight[0].any()
    assert table.weight[1:].any(1).all()
    assert whole_words_of(tiny_t5()) is None


def test_a_model_without_whole_words_is_loaded_without(
    bases: dict[str, Source], pieces: Tokenizer, tmp_path: Path
) -> None:
    for train in ("full", "lora"):
        settings = pair_settings(train=train)
        model = trainable_model(bases["t5"], [], settings, CPU)
        save_trained(model, pieces, tmp_path / train)
        assert whole_words_of(load_trained(bases["t5"], settings, CPU, tmp_path / train)) is None


@pytest.mark.parametrize("name", LOADED)
def test_adapters_lie_in_both_halves_and_nothing_else_is_trained(
    name: str, bases: dict[str, Source]
) -> None:
    model = trainable_model(bases[name], [], pair_settings(train="lora"), CPU, 9)
    trained = [key for key, weight in model.named_parameters() if weight.requires_grad]
    halves = {half: [k for k in trained if f".{half}." in k] for half in ("encoder", "decoder")}
    assert all(halves.values())
    rest = [key for key in trained if key not in halves["encoder"] + halves["decoder"]]
    assert rest == ["base_model.model.whole_words.modules_to_save.default.weight"]
    assert model.peft_config["default"].task_type == "SEQ_2_SEQ_LM"


def test_nf4_packs_a_t5_but_for_what_it_needs_in_full(bases: dict[str, Source]) -> None:
    settings = pair_settings(train="lora", quantize="nf4")
    model = trainable_model(bases["t5"], [], settings, CPU)
    packed = [name for name, m in model.named_modules() if isinstance(m, Linear4bit)]
    # Two layers with four weights of attention in the encoder, twice four in the decoder, and wi.
    assert len(packed) == 2 * (4 + 1) + 2 * (8 + 1)
    full = {name: p.dtype for name, p in model.named_parameters() if ".wo.base_layer" in name}
    assert set(full.values()) == {torch.float32}
    assert len(full) == 4
    plain = trainable_model(bases["t5"], [], pair_settings(train="lora"), CPU)
    assert parameter_counts(model) == parameter_counts(plain)


def own_head(folder: Path) -> Source:
    """A Flan-T5 as the hub has it: a head of its own, and `tie_word_embeddings: false`."""
    model = tiny_t5(feed_forward_proj="gated-gelu", tie_word_embeddings=False)
    model.save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    draw = torch.Generator().manual_seed(5)
    weights["lm_head.weight"] = torch.randn(weights["shared.weight"].shape, generator=draw)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    config = folder / "config.json"
    text = config.read_text(encoding="utf-8")
    assert '"tie_word_embeddings": true' in text
    config.write_text(text.replace('"tie_word_embeddings": true', '"tie_word_embeddings": false'))
    return Source("flan", "folder", str(folder))


@pytest.mark.parametrize("train", ["full", "lora"])
def test_a_head_of_its_own_is_kept(train: str, pieces: Tokenizer, tmp_path: Path) -> None:
    source = own_head(tmp_path / "base")
    head = load_file(tmp_path / "base" / "model.safetensors")["lm_head.weight"]
    # A full run adds tokens: this tokenizer has more of them than the model has rows.
    settings = pair_settings(train=train)
    model = trainable_model(source, pieces if train == "full" else [], settings, CPU)
    expected = logits(model)
    save_trained(model, pieces, tmp_path / "model")
    loaded = load_trained(source, settings, CPU, tmp_path / "model")
    assert torch.equal(loaded.get_output_embeddings().weight[: len(head)], head)
    assert not torch.equal(loaded.get_input_embeddings().weight[: len(head)], head)
    assert not loaded.config.scale_decoder_outputs
    torch.testing.assert_close(logits(loaded), expected)


@pytest.mark.parametrize("name", LOADED)
def test_added_tokens_get_rows_that_differ_and_old_ones_stay(
    name: str, bases: dict[str, Source], pieces: Tokenizer
) -> None:
    old = load_model(bases[name], CPU, "none", 0.0)
    state = torch.random.get_rng_state()
    models = [trainable_model(bases[name], pieces, pair_settings(seed=s), CPU) for s in (0, 0, 1)]
    assert torch.equal(torch.random.get_rng_state(), state)
    first, again, other = (model.get_input_embeddings().weight.detach() for model in models)
    before = old.get_input_embeddings().weight.detach()
    assert len(first) == len(pieces) == models[0].config.vocab_size
    assert torch.equal(first[: len(before)], before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    new = first[len(before) :]
    assert float(new.std() / before.std()) == pytest.approx(1, rel=0.1)
    assert len(new.unique(dim=0)) == len(new)
    head, embeddings = models[0].get_output_embeddings(), models[0].get_input_embeddings()
    assert head.weight is embeddings.weight
    assert logits(models[0]).shape[-1] == len(pieces)


def test_a_model_with_spare_rows_keeps_them(bases: dict[str, Source]) -> None:
    model = trainable_model(bases["t5"], range(30), pair_settings(), CPU)
    assert model.get_input_embeddings().num_embeddings == 40


@pytest.mark.parametrize("name", LOADED)
def test_computing_activations_twice_changes_no_gradient(
    name: str, bases: dict[str, Source]
) -> None:
    found = []
    for checkpointing in ("off", "on"):
        settings = pair_settings(gradient_checkpointing=checkpointing)
        model = trainable_model(bases[name], [], settings, CPU).train()
        model(input_ids=IDS, labels=IDS, use_cache=False).loss.backward()
        found.append({key: p.grad for key, p in model.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    for key, gradient in found[0].items():
        torch.testing.assert_close(found[1][key], gradient)


@pytest.mark.parametrize(
    ("name", "values", "message", "fix"),
    [
        ("nano-t5", {"train": "lora"}, "nano-t5 has no pretrained weights", "preset nano-pairs"),
        ("nano-bart", {"quantize": "nf4"}, "nano-bart has no pretrained", "preset nano-pairs"),
        ("t5-small", {"train": "lora", "items": "independent"}, "a token for every item", "full"),
        (
            "t5-small",
            {"train": "lora", "quantize": "nf4", "items": "independent"},
            "a token for every item",
            "items: random",
        ),
        (
            "t5-small",
            {"train": "lora", "quantize": "nf4", "items": "hybrid"},
            "items: hybrid adds a token for every item",
            "items: random",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused(
    name: str, values: dict[str, Any], message: str, fix: str
) -> None:
    with pytest.raises(ModelError, match=message) as error:
        require_trainable(find_source(name), pair_settings(**values))
    assert fix in str(error.value.fix)


@pytest.mark.parametrize("method", ["genrec", "p5", "masked"])
def test_a_method_trains_models_of_its_family(method: str) -> None:
    settings = pair_settings(method=method)
    fitting, other = [tiny_llama()], [tiny_t5(), tiny_bart()]
    if method != "genrec":
        fitting, other = other, fitting
    for model in fitting:
        fits = settings.model_copy(update={"max_length": 64})
        require_family(Source("some", "hub", "some/model"), model.config, fits)
    for model in other:
        with pytest.raises(ModelError, match=f"'some' .*--method {method}") as error:
            require_family(Source("some", "hub", "some/model"), model.config, settings)
        assert "--base-model nano" in str(error.value.fix)


def test_a_bart_without_positions_for_max_length_is_refused() -> None:
    bart = Source("bart-base", "hub", "facebook/bart-base")
    config = tiny_bart().config
    require_family(bart, config, pair_settings(max_length=64))
    with pytest.raises(ModelError, match="at most 64 tokens, fewer than max_length 65"):
        require_family(bart, config, pair_settings(max_length=65))
    t5 = Source("t5-small", "hub", "google-t5/t5-small")
    require_family(t5, tiny_t5().config, pair_settings(max_length=4096))
