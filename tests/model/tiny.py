"""Small real models, tokenizers and data for the model tests, and naive scoring to compare."""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from peft import LoraConfig, get_peft_model
from preparing import prepare_with
from torch import Tensor
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    LlamaConfig,
    LlamaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from genrec_cli.core.progress import Task
from genrec_cli.core.schema import INTERACTIONS, RAW_ITEMS
from genrec_cli.core.settings import FinetuneSettings, Normaliser, PrepareSettings
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.engine.local import LocalEngine
from genrec_cli.data.rawlog import RawLog, TableBlock
from genrec_cli.language.backbones.names import Source
from genrec_cli.language.backbones.nano import train_tokenizer
from genrec_cli.language.hardware import Place
from genrec_cli.language.seeding import seeded

VOCABULARY, END = 40, 0
CPU = Place(torch.device("cpu"), torch.float32)
Title = tuple[int, ...]


class Steps:
    """A progress display that notes how far each task came, and may raise at a step."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.done = 0.0
        self.notes: list[str] = []
        self.shown: dict[str, str] = {}
        self._stop_at = stop_at

    @contextmanager
    def task(self, title: str, total: float | None, unit: str) -> Iterator[Task]:
        yield self

    def note(self, text: str) -> None:
        self.notes.append(text)

    def advance(self, amount: float = 1) -> None:
        self.done += amount
        if self._stop_at is not None and self.done >= self._stop_at:
            raise KeyboardInterrupt

    def skip(self, amount: float) -> None:
        self.done += amount

    def figures(self, values: Mapping[str, str]) -> None:
        self.shown |= values


def tiny_llama(vocabulary: int = VOCABULARY, seed: int = 0, **config: Any) -> Any:
    """Two layers, 32 wide, two key-value heads for four heads; weights large enough to matter."""
    settings = LlamaConfig(
        **{
            "vocab_size": vocabulary,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 256,
            "initializer_range": 0.3,
            "bos_token_id": None,
            "eos_token_id": None,
            "pad_token_id": 0,
        }
        | config
    )
    with seeded(seed):
        return LlamaForCausalLM(settings).eval()


def tiny_t5(seed: int = 0, **config: Any) -> Any:
    """Two layers on both sides; distances beyond four share a bucket."""
    settings = T5Config(
        **{
            "vocab_size": VOCABULARY,
            "d_model": 32,
            "d_kv": 8,
            "d_ff": 48,
            "num_layers": 2,
            "num_heads": 4,
            "relative_attention_num_buckets": 8,
            "relative_attention_max_distance": 10,
            "initializer_factor": 0.7,
            "decoder_start_token_id": 0,
            "tie_word_embeddings": False,
        }
        | config
    )
    with seeded(seed):
        return T5ForConditionalGeneration(settings).eval()


def tiny_bart(seed: int = 0) -> Any:
    """Two layers on both sides, with a bias on the logits."""
    settings = BartConfig(
        vocab_size=VOCABULARY,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        max_position_embeddings=64,
        init_std=0.3,
        pad_token_id=39,
        bos_token_id=None,
        eos_token_id=None,
        decoder_start_token_id=2,
        forced_eos_token_id=None,
    )
    with seeded(seed):
        model = BartForConditionalGeneration(settings).eval()
        model.final_logits_bias.normal_()
        return model


def adapted(model: Any, task: str = "CAUSAL_LM") -> Any:
    """The model under LoRA adapters that are not zero."""
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type=task)
    with seeded(1):
        return get_peft_model(model, config).eval()


def random_titles(count: int, seed: int) -> list[Title]:
    """Different titles of one to five tokens out of few, so that they share beginnings."""
    rng = random.Random(seed)
    titles: dict[Title, None] = {}
    while len(titles) < count:
        titles[(*rng.choices(range(1, 6), k=rng.randint(1, 5)), END)] = None
    return list(titles)


def plain_logits(model: Any, prompt: Sequence[int], path: Sequence[int]) -> Tensor:
    """Logits after the prompt and after each token of a path, by a pass without a cache."""
    with torch.no_grad():
        if not model.config.is_encoder_decoder:
            ids = torch.tensor([[*prompt, *path]], device=model.device)
            whole: Tensor = model(input_ids=ids).logits[0].double().cpu()
            return whole[len(prompt) - 1 :]
        start = model.config.decoder_start_token_id
        encoded = model(
            input_ids=torch.tensor([list(prompt)]),
            attention_mask=torch.ones((1, len(prompt)), dtype=torch.long),
            decoder_input_ids=torch.tensor([[start, *path]]),
            use_cache=False,
        )
        logits: Tensor = encoded.logits[0].double()
        return logits


def naive_scores(
    model: Any, titles: Sequence[Title], prompt: Sequence[int], over: Normaliser = "catalog"
) -> list[float]:
    """log p of every title, each with a forward pass of its own and the titles themselves."""
    return [naive_score(model, titles, prompt, title, over) for title in titles]


def naive_score(
    model: Any,
    titles: Sequence[Title],
    prompt: Sequence[int],
    title: Title,
    over: Normaliser = "catalog",
) -> float:
    """At each token a softmax over what follows its beginning in any title, or over all tokens."""
    logits = plain_logits(model, prompt, title)
    score = 0.0
    for place, token in enumerate(title):
        sharing = sorted({other[place] for other in titles if other[:place] == title[:place]})
        if over == "vocabulary":
            sharing = list(range(logits.shape[1]))
        chosen: Tensor = torch.log_softmax(logits[place, sharing], 0)
        score += float(chosen[sharing.index(token)])
    return score


def tiny_dataset(folder: Path, users: int = 40, items: int = 12) -> Dataset:
    """Everybody walks round the same circle of items, now and then skipping some."""
    rng = random.Random(3)
    rows = []
    for user in range(users):
        item = rng.randrange(items)
        for time in range(rng.randint(8, 20)):
            rows.append((str(user), str(item % items), time, None))
            item += 1 if rng.random() < 0.9 else rng.randrange(items)
    ids = [str(item) for item in range(items)]
    titles = [f"{'The Old ' * (item % 4)}Film {item} (19{item:02})" for item in range(items)]
    columns = zip(zip(*rows, strict=True), INTERACTIONS, strict=True)
    interactions = pa.table([pa.array(c, f.type) for c, f in columns], schema=INTERACTIONS)
    log = RawLog(
        blocks=lambda _: iter([TableBlock(interactions)]),
        items=pa.table([ids, titles], schema=RAW_ITEMS),
        source="made",
    )
    folder.mkdir(parents=True)
    engine = LocalEngine(folder / "scratch", memory_limit=10**9)
    return prepare_with(engine, log, PrepareSettings(min_user=3, min_item=1), folder).dataset


def settings_for(**values: Any) -> FinetuneSettings:
    """Settings of a run of some seconds."""
    defaults: dict[str, Any] = {
        "base_model": "tiny",
        "train": "full",
        "instruction": "Titles:",
        "max_length": 96,
        "batch_size": 4,
        "micro_batch_tokens": 192,
        "learning_rate": 3e-3,
        "warmup": 0.0,
        "max_steps": 8,
        "evaluations": 2,
        "validation_users": 10,
    }
    return FinetuneSettings(**defaults | values)


def save_tiny(folder: Path, dataset: Dataset, **config: Any) -> Source:
    """A tiny LLaMA with a tokenizer for a dataset, saved as a base model in a folder."""
    tokenizer = train_tokenizer([*dataset.titles, "Titles:\n"])
    tiny_llama(len(tokenizer), **config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Source("tiny", "folder", str(folder))


def parameter_counts(model: Any) -> tuple[int, int]:
    """Trainable and all parameters; packed 4-bit weights count as the weights they hold."""
    parameters = list(model.parameters())
    trainable = sum(p.numel() for p in parameters if p.requires_grad)
    packed = sum(p.numel() * 2 if p.dtype == torch.uint8 else p.numel() for p in parameters)
    return trainable, packed
