"""One contender of `finetune_gpu.py`: a LLaMA made of nothing, trained in one of two ways."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
import transformers
from finetune_gpu_model import config_of, made_model
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from rivals_finetune import Options, collate, prompts
from torch import Tensor, nn
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from genrec_cli.core.provenance import Stopwatch, peak_memory_gb, versions
from genrec_cli.core.settings import FinetuneSettings, Layer, read_yaml, resolve
from genrec_cli.core.workspace import Workspace
from genrec_cli.data.dataset import Dataset, load_dataset
from genrec_cli.language.arguments import training_arguments
from genrec_cli.language.backbones.adapt import prepared
from genrec_cli.language.backbones.nano import train_tokenizer
from genrec_cli.language.corpus import Corpus, make_corpus
from genrec_cli.language.hardware import Place, best_place, hardware
from genrec_cli.language.lesson import Lesson
from genrec_cli.language.memory import is_out_of_memory
from genrec_cli.language.prompt import Encoder
from genrec_cli.language.reporting import Speed
from genrec_cli.language.team import Team
from genrec_cli.language.templates import texts_of
from genrec_cli.language.trainer import PackTrainer
from genrec_cli.presets import PRESETS

WARM_UP = 2  # steps before those that are measured
ACCUMULATED = 4  # micro-batches of prompts in a step
# A tokenizer that knows every title would write it in half the tokens that LLaMA takes. One that
# has read every 32nd takes 11.1 a title of ML-1M, where SmolLM2's takes 11.4.
TITLES_READ = 32


class Counts(NamedTuple):
    """What was trained on: tokens without padding, and titles that were predicted."""

    tokens: int
    targets: int


class Meter(TrainerCallback):
    """Times the steps after the warm-up.

    Args:
        counts: what was trained on so far.
    """

    def __init__(self, counts: Callable[[], Counts]) -> None:
        self._counts = counts
        self._watch = Stopwatch()
        self._before = Counts(0, 0)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start after the warm-up."""
        if state.global_step == WARM_UP:
            _wait()
            self._watch, self._before = Stopwatch(), self._counts()

    def figures(self, steps: int) -> dict[str, float]:
        """Speed over so many steps, which have just ended."""
        _wait()
        seconds, now = self._watch.seconds, self._counts()
        return {
            "tokens_per_second": round((now.tokens - self._before.tokens) / seconds, 1),
            "targets_per_second": round((now.targets - self._before.targets) / seconds, 2),
            "seconds_per_step": round(seconds / steps, 4),
        }


class Task(NamedTuple):
    """What a contender is to do."""

    given: argparse.Namespace
    settings: FinetuneSettings
    dataset: Dataset
    corpus: Corpus
    place: Place
    folder: Path


def trained(given: argparse.Namespace) -> dict[str, Any]:
    """Train the contender that the command line names; what it took, or that memory ran out."""
    transformers.utils.logging.set_verbosity_error()
    place = best_place()
    if place.device.type == "cuda":
        total = torch.cuda.get_device_properties(place.device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, given.capped * 1e9 / total))
    said: dict[str, Any] = {"contender": given.contender, **_facts(given)}
    try:
        with TemporaryDirectory() as folder:
            said |= _trained(given, place, Path(folder), said)
    except (torch.OutOfMemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        said["out_of_memory"] = f"out of memory: {str(error).splitlines()[0]}"
    return said | _peaks()


def _trained(
    given: argparse.Namespace, place: Place, folder: Path, said: dict[str, Any]
) -> dict[str, Any]:
    settings = _settings(given)
    dataset = load_dataset(Workspace(given.workspace).find_dataset(given.dataset))
    tokenizer = train_tokenizer([*dataset.titles[::TITLES_READ], *texts_of(settings)])
    corpus = make_corpus(dataset, tokenizer, settings)
    watch = Stopwatch()
    model = made_model(config_of(given.shape, len(tokenizer), given.length), place)
    # Noted at once: they are of use also when training runs out of memory.
    built = {f"built_{key}": value for key, value in _peaks().items()}
    said |= {"built_seconds": round(watch.seconds, 1), **built}
    said["title_tokens"] = round(float(corpus.encoder.titles.lengths.mean()), 1)
    if place.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    train = stock if given.contender == "stock" else genrec
    return train(model, Task(given, settings, dataset, corpus, place, folder))


def _settings(given: argparse.Namespace) -> FinetuneSettings:
    """The preset `24gb`, as the command line bends it."""
    bent = {
        "max_length": given.length,
        "batch_size": ACCUMULATED * given.micro,
        "micro_batch_tokens": given.micro * given.length,
        "gradient_checkpointing": "on" if given.contender == "genrec" else "off",
        "max_steps": WARM_UP + given.steps,
        "validation_users": 1,
        "report_to": ("none",),
    }
    preset = Layer("preset 24gb", read_yaml(PRESETS["24gb"]))
    return resolve(FinetuneSettings, [preset, Layer("benchmark", bent)]).settings


def genrec(model: Any, task: Task) -> dict[str, Any]:
    """Train as `genrec finetune` does, without its evaluations and checkpoints."""
    settings, steps = task.settings, WARM_UP + task.given.steps
    model = prepared(model, settings)
    arguments = training_arguments(task.folder, settings, task.place, steps, Team())
    arguments.eval_strategy = arguments.save_strategy = "no"
    arguments.load_best_model_at_end = False
    trainer = PackTrainer(model=model, args=arguments, train_dataset=task.corpus.training)
    speed = Speed()
    most = task.given.micro * task.given.length
    trainer.prepare(Lesson(task.corpus, settings, most, lambda *_: {}), speed, print)
    figures = _run(trainer, lambda: Counts(speed.tokens, speed.targets), task.given.steps)
    return {**figures, "micro_batch_tokens": trainer.micro_batch_tokens}


class CountingTrainer(Trainer):
    """transformers' own, which also counts."""

    tokens: Any = 0
    prompts = 0

    def training_step(self, model: nn.Module, inputs: Any, *rest: Any) -> Tensor:
        """Count what is trained on."""
        self.tokens = self.tokens + inputs["attention_mask"].sum()
        self.prompts += len(inputs["attention_mask"])
        return super().training_step(model, inputs, *rest)


def stock(model: Any, task: Task) -> dict[str, Any]:
    """Train as the guides of transformers, PEFT and bitsandbytes have it."""
    given, settings, encoder = task.given, task.settings, task.corpus.encoder
    assert isinstance(encoder, Encoder)
    on_gpu = task.place.device.type == "cuda"
    lora = LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    arguments = TrainingArguments(
        output_dir=str(task.folder),
        max_steps=WARM_UP + given.steps,
        per_device_train_batch_size=given.micro,
        gradient_accumulation_steps=ACCUMULATED,
        gradient_checkpointing=True,
        learning_rate=settings.learning_rate,
        bf16=task.place.dtype == torch.bfloat16,
        use_cpu=not on_gpu,
        # Not the paged one: PyTorch's peak would not show its pages.
        optim="adamw_8bit" if on_gpu else "adamw_torch",
        logging_steps=1,
        save_strategy="no",
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="none",
    )
    trainer = CountingTrainer(
        model=get_peft_model(prepare_model_for_kbit_training(model), lora),
        args=arguments,
        train_dataset=prompts(task.dataset, encoder),
        data_collator=partial(collate, encoder=encoder, options=Options(padding="full")),
    )
    figures = _run(trainer, lambda: Counts(int(trainer.tokens), trainer.prompts), given.steps)
    return {**figures, "micro_batch_tokens": given.micro * given.length}


def _run(trainer: Trainer, counts: Callable[[], Counts], steps: int) -> dict[str, Any]:
    """Train, and what it took."""
    meter = Meter(counts)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(meter)
    trainer.train()
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    model: Any = trainer.model
    return {
        **meter.figures(steps),
        "gradient_checkpointing": any(
            getattr(module, "gradient_checkpointing", False) for module in model.modules()
        ),
        "trainable": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "losses": [round(loss, 4) for loss in (losses[0], losses[-1])],
    }


def _facts(given: argparse.Namespace) -> dict[str, Any]:
    machine = hardware()
    return {
        "shape": given.shape,
        "length": given.length,
        "micro": given.micro,
        "steps": given.steps,
        "capped_gb": given.capped if machine.gpu else None,
        "gpu": machine.gpu,
        "total_gb": round(machine.total_gb, 1),
        "versions": versions(),
    }


def _peaks() -> dict[str, Any]:
    """Largest memory so far, in GB."""
    peaks = {"peak_resident_gb": round(peak_memory_gb(), 2)}
    if torch.cuda.is_available():
        peaks["peak_allocated_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
        peaks["peak_reserved_gb"] = round(torch.cuda.max_memory_reserved() / 1e9, 2)
    return peaks


def _wait() -> None:
    """Until the GPU has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
