"""Quantised and plain base models train, are saved as safetensors, and load to equal logits."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from bitsandbytes.nn.modules import Linear4bit, Params4bit
from lessons import assert_equal, assert_same_run, checkpoints, learn, lesson
from safetensors.torch import load_file
from tiny import CPU, Steps, parameter_counts, settings_for

from genrec_cli.core.errors import ModelError
from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.data.dataset import Dataset
from genrec_cli.language.backbones.adapt import (
    load_trained,
    save_trained,
    trainable_model,
)
from genrec_cli.language.backbones.load import load_model, load_tokenizer
from genrec_cli.language.backbones.names import Source
from genrec_cli.language.corpus import make_corpus
from genrec_cli.language.prompt import Tokenizer, tokenise_titles

IDS = torch.tensor([[5, 9, 30, 2, 77, 101, 4]])
WAYS = {
    "nf4": settings_for(quantize="nf4", train="lora"),
    "int8": settings_for(quantize="int8", train="lora"),
    "lora": settings_for(train="lora"),
    "full": settings_for(train="full"),
}


class Done(NamedTuple):
    """A trained and saved model."""

    settings: FinetuneSettings
    model: Any
    losses: list[float]
    untrained: torch.Tensor
    folder: Path


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(input_ids=IDS).logits
    return found


@pytest.fixture(scope="module", params=WAYS)
def done(
    request: pytest.FixtureRequest,
    base: Source,
    tokenizer: Tokenizer,
    dataset: Dataset,
    tmp_path_factory: pytest.TempPathFactory,
) -> Done:
    settings = WAYS[request.param].model_copy(
        update={"learning_rate": 1e-2, "max_steps": 24, "evaluations": 2, "lora_dropout": 0.0}
    )
    folder = tmp_path_factory.mktemp(request.param)
    model = trainable_model(base, tokenizer, settings, CPU)
    untrained = logits(model)
    corpus = make_corpus(dataset, tokenizer, settings)
    run = learn(lesson(corpus, settings), folder, model=lambda: model)
    save_trained(model, tokenizer, folder / "model")
    return Done(settings, model, run.losses, untrained, folder / "model")


def test_the_loss_falls(done: Done) -> None:
    assert sum(done.losses[-4:]) < 0.8 * sum(done.losses[:4])


def test_the_saved_model_loads_to_equal_logits(done: Done, base: Source) -> None:
    loaded = load_trained(base, done.settings, CPU, done.folder)
    assert not loaded.training
    # Adapters are merged into weights that are not quantised; the sums are then rounded otherwise.
    merged = done.settings.train == "lora" and done.settings.quantize == "none"
    near = 1e-4 if merged else 1e-6
    torch.testing.assert_close(logits(loaded), logits(done.model), atol=near, rtol=0)
    assert (logits(loaded) - done.untrained).abs().max() > 0.01


def test_only_safetensors_are_saved_and_an_adapter_without_its_base(done: Done) -> None:
    files = {path.name: path.stat().st_size for path in done.folder.iterdir()}
    name, other = "model.safetensors", "adapter_model.safetensors"
    if done.settings.train == "lora":
        name, other = other, name
    assert files[name] > 1000
    assert other not in files
    assert not [f for f in files if Path(f).suffix in {".bin", ".pt", ".pth", ".pkl"}]


def test_the_saved_tokenizer_writes_titles_with_equal_ids(
    done: Done, dataset: Dataset, tokenizer: Tokenizer
) -> None:
    saved = load_tokenizer(Source("run", "folder", str(done.folder)))
    found, expected = (tokenise_titles(each, dataset.titles) for each in (saved, tokenizer))
    assert found.flat.tolist() == expected.flat.tolist()


def test_nf4_weights_are_packed_in_four_bits_and_frozen(base: Source, tokenizer: Tokenizer) -> None:
    model = trainable_model(base, tokenizer, WAYS["nf4"], CPU)
    packed = {n: m.weight for n, m in model.named_modules() if isinstance(m, Linear4bit)}
    assert len(packed) == 2 * 7
    for weight in packed.values():
        assert isinstance(weight, Params4bit)
        assert weight.dtype == torch.uint8
        assert weight.quant_state.quant_type == "nf4"
        assert weight.quant_state.nested
        assert weight.numel() * 2 == weight.quant_state.shape.numel()
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)


def test_training_changes_the_adapter_and_no_quantised_weight(done: Done, base: Source) -> None:
    if done.settings.train == "full":
        assert all(p.requires_grad for p in done.model.parameters())
        return
    before = load_model(base, CPU, done.settings.quantize, 0.0).state_dict()
    after = {
        name.removeprefix("base_model.model.").replace(".base_layer", ""): weight
        for name, weight in done.model.state_dict().items()
    }
    same = [name for name in before if name in after and torch.is_tensor(before[name])]
    assert len(same) >= 2 * 7
    assert [name for name in same if not torch.equal(before[name], after[name])] == []
    added = [weight for name, weight in after.items() if "lora_B" in name]
    assert added
    assert all(weight.any() for weight in added)


def gradients(model: Any) -> dict[str, torch.Tensor]:
    model.zero_grad()
    model.train()(input_ids=IDS).logits.square().sum().backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("way", ["nf4", "lora"])
def test_an_evaluation_leaves_the_gradients_as_they_were(
    base: Source, tokenizer: Tokenizer, way: str
) -> None:
    settings = WAYS[way].model_copy(update={"lora_dropout": 0.0})
    model = trainable_model(base, tokenizer, settings, CPU)
    before = gradients(model)
    logits(model)
    after = gradients(model)
    assert before["base_model.model.model.layers.0.self_attn.q_proj.lora_B.default.weight"].any()
    assert after.keys() == before.keys()
    for name, gradient in before.items():
        torch.testing.assert_close(after[name], gradient, rtol=1e-5, atol=1e-6)


def adapter(model: Any) -> dict[str, torch.Tensor]:
    return {
        name.replace(".default", ""): weight.detach()
        for name, weight in model.named_parameters()
        if weight.requires_grad
    }


@pytest.mark.parametrize("way", ["nf4", "int8", "lora"])
def test_an_adapter_resumes_exactly_and_keeps_its_best_checkpoint(
    base: Source, tokenizer: Tokenizer, dataset: Dataset, tmp_path: Path, way: str
) -> None:
    settings = WAYS[way].model_copy(
        update={"learning_rate": 0.1, "max_steps": 7, "evaluations": 3, "lora_dropout": 0.1}
    )
    taught = lesson(make_corpus(dataset, tokenizer, settings), settings)

    def model() -> Any:
        return trainable_model(base, tokenizer, settings, CPU)

    whole = learn(taught, tmp_path / "whole", model=model)
    with pytest.raises(KeyboardInterrupt):
        learn(taught, tmp_path / "stopped", Steps(5), model)
    assert checkpoints(tmp_path / "stopped") == [3]
    resumed = learn(taught, tmp_path / "stopped", model=model)
    assert_same_run(resumed, whole)
    best = tmp_path / "stopped" / "checkpoints" / f"checkpoint-{resumed.trained.best_step}"
    assert_equal(load_file(best / "adapter_model.safetensors"), adapter(resumed.model))


def test_packed_weights_count_as_the_weights_they_hold(base: Source, tokenizer: Tokenizer) -> None:
    counts = {
        way: parameter_counts(trainable_model(base, tokenizer, WAYS[way], CPU)) for way in WAYS
    }
    assert counts["nf4"] == counts["int8"] == counts["lora"]
    assert counts["full"] == (counts["full"][1], counts["lora"][1] - counts["lora"][0])


def test_a_first_adapter_changes_nothing_and_depends_on_the_seed(
    base: Source, tokenizer: Tokenizer
) -> None:
    plain = logits(load_model(base, CPU, "none", 0.0))
    models = [
        trainable_model(base, tokenizer, settings_for(train="lora", seed=seed), CPU)
        for seed in (0, 0, 1)
    ]
    first, again, other = (
        next(p for name, p in model.named_parameters() if "lora_A" in name) for model in models
    )
    assert torch.equal(logits(models[0]), plain)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("targets", "adapted"), [(("q_proj",), 2), (("q_proj", "v_proj"), 4), (("all-linear",), 14)]
)
def test_adapters_go_where_the_settings_say(
    base: Source, tokenizer: Tokenizer, targets: tuple[str, ...], adapted: int
) -> None:
    settings = settings_for(train="lora", lora_targets=targets)
    model = trainable_model(base, tokenizer, settings, CPU)
    names = [name for name, _ in model.named_parameters() if "lora_A" in name]
    assert len(names) == adapted
    assert targets == ("all-linear",) or all(name.split(".")[-4] in targets for name in names)


NANO = Source("nano", "nano", "")


@pytest.mark.parametrize(
    ("source", "values", "message"),
    [
        (
            None,
            {"train": "full", "quantize": "nf4"},
            "quantised weights (nf4) cannot be trained themselves",
        ),
        (
            NANO,
            {"train": "lora"},
            "nano has no pretrained weights, so there is nothing to adapt or quantise",
        ),
        (
            None,
            {"train": "lora", "lora_targets": ("nonsense",)},
            "no module of the base model can take a LoRA adapter by lora_targets ['nonsense']",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused(
    base: Source, tokenizer: Tokenizer, source: Source | None, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError) as error:
        trainable_model(source or base, tokenizer, settings_for(**values), CPU)
    assert error.value.message == message
    assert error.value.fix


def test_a_damaged_adapter_is_named(base: Source, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the adapter in .* cannot be loaded"):
        load_trained(base, settings_for(train="lora"), CPU, tmp_path)
