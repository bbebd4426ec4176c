"""What a run is handed over as loads without genrec, and is the same model."""

import json
import re
from collections.abc import Sequence
from contextlib import chdir, redirect_stdout
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from peft import PeftModel
from tiny import CPU, naive_scores, save_tiny, settings_for, tiny_llama
from tokenizers import Tokenizer as Rules
from tokenizers import decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedTokenizerFast,
)

from genrec_cli.core.errors import ModelError, UsageError
from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.core.workspace import RUN_MANIFEST, read_json, write_json
from genrec_cli.data.dataset import Dataset
from genrec_cli.language.backbones.adapt import load_trained, save_trained, trainable_model
from genrec_cli.language.backbones.load import load_model
from genrec_cli.language.backbones.names import Source
from genrec_cli.language.handover.card import write_card
from genrec_cli.language.handover.prompting import prompting_of, write_prompting
from genrec_cli.language.handover.trained import (
    ModelFormat,
    Trained,
    notes_on,
    open_trained,
    require_format,
)
from genrec_cli.language.handover.weights import write_weights
from genrec_cli.language.prompt import Prompt, Tokenizer
from genrec_cli.language.run import MODEL_FOLDER, RUN_FORMAT

IDS = torch.tensor([[5, 9, 30, 2, 77, 101, 4]])
LORA = settings_for(train="lora")


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(input_ids=IDS).logits.float()
    return found


@dataclass(frozen=True)
class Runs:
    """Makes finished runs without training them: their adapters are random, not zero."""

    folder: Path
    dataset: Dataset

    def make(self, source: Source, tokenizer: Tokenizer, settings: FinetuneSettings) -> Trained:
        model = trainable_model(source, tokenizer, settings, CPU)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if "lora_B" in name:
                    weight.normal_(0, 0.1, generator=generator)
        return self.save(model, source, tokenizer, settings)

    def save(
        self, model: Any, source: Source, tokenizer: Tokenizer, settings: FinetuneSettings
    ) -> Trained:
        folder = self.folder / f"run-{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        save_trained(model, tokenizer, folder / MODEL_FOLDER)
        Prompt("Titles:\n").save(folder)
        manifest = {
            "format": RUN_FORMAT,
            "created": "2026-01-01",
            "dataset": self.dataset.name,
            "dataset_hash": self.dataset.hash,
            "base": asdict(source),
            "settings": settings.model_dump(mode="json"),
            "versions": {"genrec": "0"},
        }
        write_json(folder / RUN_MANIFEST, manifest)
        return open_trained(folder, self.dataset)


@pytest.fixture
def runs(tmp_path: Path, dataset: Dataset) -> Runs:
    (tmp_path / "runs").mkdir()
    return Runs(tmp_path / "runs", dataset)


def handed_over(run: Trained, kind: ModelFormat, folder: Path) -> Path:
    folder.mkdir()
    prompting = prompting_of(run)
    write_weights(run, kind, prompting.longest, folder)
    prompt = write_prompting(run, prompting, folder)
    write_card(run, kind, prompt, notes_on(run, kind), folder)
    return folder


def weights_of(model: Any) -> dict[str, torch.Tensor]:
    return {name: weight.float() for name, weight in model.state_dict().items()}


def added_to(base: Any, adapter: Path) -> dict[str, torch.Tensor]:
    """A base model's weights with an adapter's product added, by PEFT's own arithmetic."""
    merged = PeftModel.from_pretrained(base, adapter).merge_and_unload()
    return weights_of(merged)


def test_an_adapter_loads_in_plain_peft_and_is_the_run(
    runs: Runs, base: Source, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    run = runs.make(base, tokenizer, LORA)
    folder = handed_over(run, "adapter", tmp_path / "out")
    named = read_json(folder / "adapter_config.json")["base_model_name_or_path"]
    plain = AutoModelForCausalLM.from_pretrained(named)
    untouched = logits(plain)
    adapted = logits(PeftModel.from_pretrained(plain, folder))
    network = load_trained(base, run.settings, CPU, run.folder)
    torch.testing.assert_close(adapted, logits(network), atol=1e-4, rtol=0)
    assert (adapted - untouched).abs().max() > 0.1
    assert "model.safetensors" not in {path.name for path in folder.iterdir()}


def test_an_adapter_names_the_hub_s_base_and_its_commit(
    runs: Runs, base: Source, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = trainable_model(base, tokenizer, LORA, CPU)
    source = Source("someone/model", "hub", "someone/model", "abc")
    folder = handed_over(runs.save(model, source, tokenizer, LORA), "adapter", tmp_path / "out")
    config = read_json(folder / "adapter_config.json")
    assert (config["base_model_name_or_path"], config["revision"]) == ("someone/model", "abc")
    card = (folder / "README.md").read_text()
    assert "base_model: someone/model\n" in card
    assert 'revision="abc"' in card


@pytest.mark.parametrize(
    ("kind", "dtype", "steps"),
    [("merged", torch.bfloat16, 2**8), ("gguf-ready", torch.float16, 2**11)],
)
def test_merged_weights_load_in_plain_transformers_rounded_once(
    runs: Runs,
    dataset: Dataset,
    tmp_path: Path,
    kind: ModelFormat,
    dtype: torch.dtype,
    steps: int,
) -> None:
    tokenizer = gpt2_tokenizer(dataset.titles)
    source = save_with(tmp_path / "base", tokenizer)
    run = runs.make(source, tokenizer, LORA)
    require_format(run, kind)
    folder = handed_over(run, kind, tmp_path / "out")
    loaded = AutoModelForCausalLM.from_pretrained(folder)
    assert {weight.dtype for weight in loaded.parameters()} == {dtype}
    rounded = load_model(source, CPU, "none", 0.0).to(dtype).float()
    expected = added_to(rounded, run.folder)
    for name, weight in weights_of(loaded).items():
        torch.testing.assert_close(weight, expected[name], rtol=1 / steps, atol=1e-6)
    network = load_trained(source, run.settings, CPU, run.folder)
    whole, merged = logits(network), logits(loaded.float())
    assert (merged - whole).abs().max() < 32 / steps * whole.abs().max()
    saved = AutoTokenizer.from_pretrained(folder)
    assert [saved.encode(t) for t in dataset.titles] == [
        tokenizer.encode(t) for t in dataset.titles
    ]


@pytest.mark.parametrize("quantize", ["nf4", "int8"])
def test_a_quantised_run_is_merged_into_the_base_s_own_weights(
    runs: Runs, base: Source, tokenizer: Tokenizer, tmp_path: Path, quantize: str
) -> None:
    run = runs.make(base, tokenizer, settings_for(train="lora", quantize=quantize))
    folder = handed_over(run, "merged", tmp_path / "out")
    assert "quantization_config" not in read_json(folder / "config.json")
    loaded = AutoModelForCausalLM.from_pretrained(folder)
    assert {weight.dtype for weight in loaded.parameters()} == {torch.bfloat16}
    expected = added_to(load_model(base, CPU, "none", 0.0), run.folder)
    for name, weight in weights_of(loaded).items():
        torch.testing.assert_close(weight, expected[name], rtol=2**-6, atol=2**-8)
    (note,) = notes_on(run, "merged")
    assert f"on its base model in {quantize}" in note
    assert note in (folder / "README.md").read_text()


def test_a_run_of_full_weights_is_handed_over_in_16_bits_and_has_no_adapter(
    runs: Runs, base: Source, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    run = runs.make(base, tokenizer, settings_for(train="full"))
    loaded = AutoModelForCausalLM.from_pretrained(handed_over(run, "merged", tmp_path / "out"))
    own = AutoModelForCausalLM.from_pretrained(run.folder, dtype=torch.float32).state_dict()
    for name, weight in loaded.state_dict().items():
        assert torch.equal(weight, own[name].bfloat16())
    with pytest.raises(UsageError, match="has no adapter") as error:
        require_format(run, "adapter")
    assert error.value.fix == f"genrec export tiny --run {run.name} --format merged"


def test_a_tokenizer_of_one_s_own_cannot_become_gguf(
    runs: Runs, base: Source, tokenizer: Tokenizer
) -> None:
    run = runs.make(base, tokenizer, LORA)
    with pytest.raises(ModelError, match="cannot become a GGUF file: llama.cpp knows tokenizers"):
        require_format(run, "gguf-ready")


def test_generation_is_greedy_writes_one_title_and_inherits_nothing(
    runs: Runs, dataset: Dataset, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    source = save_tiny(tmp_path / "base", dataset)
    sampling = GenerationConfig(do_sample=True, temperature=0.3, top_p=0.5)
    sampling.save_pretrained(tmp_path / "base")
    tokenizer.chat_template = "{{ messages }}"
    run = runs.make(source, tokenizer, LORA)
    tokenizer.chat_template = None
    folder = handed_over(run, "merged", tmp_path / "out")
    config = GenerationConfig.from_pretrained(folder)
    assert (config.do_sample, config.temperature, config.top_p) == (False, None, None)
    assert (config.eos_token_id, config.max_new_tokens) == (
        read_json(folder / "prompt.json")["end_of_title_id"],
        int(prompting_of(run).encoder.titles.lengths.max()),
    )
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "catalog.parquet",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "prompt.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    modes = {path.stat().st_mode for path in folder.glob("*.*[ns]")}
    assert len(modes) == 1


def test_prompt_and_catalog_hold_the_ids_that_the_run_reads(
    runs: Runs, base: Source, tokenizer: Tokenizer, dataset: Dataset, tmp_path: Path
) -> None:
    run = runs.make(base, tokenizer, LORA)
    folder = handed_over(run, "adapter", tmp_path / "out")
    prompt, encoder = read_json(folder / "prompt.json"), prompting_of(run).encoder
    rows = pq.read_table(folder / "catalog.parquet").to_pylist()
    assert [row["item_id"] for row in rows] == dataset.item_ids
    assert [row["title"] for row in rows] == dataset.titles
    assert [row["token_ids"] for row in rows] == [
        encoder.titles[item].tolist() for item in range(len(rows))
    ]
    example = prompt["example"]
    items = [dataset.titles.index(title) for title in example["titles"]]
    assert example["ids"] == encoder.prompt(items)
    assert example["text"] == "".join(["Titles:\n", *(f"{t}\n" for t in example["titles"])])
    assert tokenizer.encode(example["text"]) == example["ids"]
    assert prompt["text_gives_same_ids"]
    assert Prompt.load(run.folder.parent).before == prompt["before"]
    counts = [int(dataset.train_counts[item]) for item in items]
    assert counts == sorted(dataset.train_counts.tolist(), reverse=True)[: len(counts)]


def test_it_is_said_when_a_prompt_as_text_has_other_ids(
    runs: Runs, dataset: Dataset, tmp_path: Path
) -> None:
    whole = "".join(f"{title}\n" for title in dataset.titles)
    rules = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer = byte_level_bpe([whole], rules)  # learns tokens that hold a line break and more
    run = runs.make(save_with(tmp_path / "base", tokenizer), tokenizer, LORA)
    folder = handed_over(run, "adapter", tmp_path / "out")
    prompt = read_json(folder / "prompt.json")
    assert tokenizer.encode(prompt["example"]["text"]) != prompt["example"]["ids"]
    assert not prompt["text_gives_same_ids"]
    assert "Send ids, not text" in (folder / "README.md").read_text()


@pytest.mark.parametrize("kind", ["adapter", "merged"])
def test_the_card_s_code_writes_titles_with_genrec_s_scores(
    runs: Runs, base: Source, tokenizer: Tokenizer, tmp_path: Path, kind: ModelFormat
) -> None:
    run = runs.make(base, tokenizer, LORA)
    folder = handed_over(run, kind, tmp_path / "out")
    blocks = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    said, names = StringIO(), dict[str, Any]()
    with chdir(folder), redirect_stdout(said):
        for block in blocks:
            exec(block, names)
    answers = [line.split(" ", 1) for line in said.getvalue().splitlines()]
    prompt = json.loads((folder / "prompt.json").read_text())
    catalog = pq.read_table(folder / "catalog.parquet").to_pydict()
    titles = [tuple(ids) for ids in catalog["token_ids"]]
    scores = naive_scores(names["model"], titles, prompt["example"]["ids"])
    expected = dict(zip(catalog["title"], scores, strict=True))
    assert len(answers) >= 5
    assert not {title for _, title in answers} & set(prompt["example"]["titles"])
    for score, title in answers:
        assert float(score) == pytest.approx(expected[title], abs=0.15)  # sums of bfloat16


def byte_level_bpe(texts: Sequence[str], rules: Any) -> Tokenizer:
    tokenizer = Rules(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = rules, decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<pad>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>")


def gpt2_tokenizer(titles: Sequence[str]) -> Tokenizer:
    return byte_level_bpe(titles, pre_tokenizers.ByteLevel(add_prefix_space=False))


def save_with(folder: Path, tokenizer: Tokenizer) -> Source:
    tiny_llama(len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Source("tiny", "folder", str(folder))
