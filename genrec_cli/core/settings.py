"""Settings: small frozen models, layered from presets, files and flags, with known origins.

Precedence is flag > config file > preset > default. A key that does not exist is an error that
offers the nearest one, never a silent nothing.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genrec_cli.core.errors import UsageError

TieRule = Literal["hash", "file"]
Quantization = Literal["none", "nf4", "int8"]
Trained = Literal["lora", "full"]
Split = Literal["test", "validation"]
Repeats = Literal["keep", "first", "last"]
SplitRule = Literal["leave-one-out", "global-time"]
SearchMethod = Literal["exact", "beam", "free"]
Normaliser = Literal["catalog", "vocabulary"]
Method = Literal["genrec", "p5", "masked"]
ItemWords = Literal[
    "auto", "titles", "random", "sequential", "collaborative", "independent", "hybrid"
]
ItemStart = Literal["collaborative", "random"]
Objective = Literal["next-title", "paper", "masked"]
Targets = Literal["all", "last"]
Checkpointing = Literal["auto", "on", "off"]
Optimizer = Literal["auto", "adamw", "adamw-8bit"]

Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what numpy, torch and transformers all take

DEFAULT_INSTRUCTION = "Titles that one person chose, in order:"


class Settings(BaseModel):
    """Frozen, and closed to keys that it does not know; numbers are finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PrepareSettings(Settings):
    """What shapes a dataset: the same settings and input give the same content hash."""

    min_rating: float | None = None
    """Drop events rated lower than this, and unrated ones; None keeps all."""
    since: str | None = None
    """Drop events before this date (ISO 8601, UTC) or number in the log's own unit of time."""
    until: str | None = None
    """Drop events at or after this date (ISO 8601, UTC) or number in the log's own unit of time."""
    repeats: Repeats = "keep"
    """Of one user's events with one item: keep all, or only the first or last in time."""
    require_title: bool = False
    """Drop items without a title; otherwise their id stands in."""
    min_user: Annotated[int, Field(ge=1)] = 5
    """Fewest events a user must have; never fewer than her split needs (3 for leave-one-out)."""
    min_item: Annotated[int, Field(ge=1)] = 5
    """Fewest events an item must have; both are applied in turn until nothing changes (k-core)."""
    max_history: Annotated[int, Field(ge=3)] | None = None
    """Keep only this many of each user's events, the latest; None keeps all."""
    split: SplitRule = "leave-one-out"
    """What is held out: each user's last events, or all events after two points in time."""
    ties: TieRule = "hash"
    """Order of one user's events with equal timestamps: a seeded hash, or the file's order."""
    seed: Seed = 0
    """Seed of the tie hash."""


class TaskWeights(Settings):
    """How often P5 trains each of its tasks."""

    sequential: Annotated[float, Field(ge=0)] = 1.0
    """The next item after a history."""
    direct: Annotated[float, Field(ge=0)] = 0.1
    """An item for a user, whose history is not told."""

    @property
    def total(self) -> float:
        """Of all tasks."""
        return self.sequential + self.direct


class FinetuneSettings(Settings):
    """How a model is trained; the defaults suit a pretrained LLaMA with LoRA."""

    method: Method = "genrec"
    """A LLaMA that goes on with a list, or an encoder-decoder: P5's tasks, or a masked sequence."""
    base_model: str = "auto"
    """A short name, a hub id, a folder or a .gguf file; auto: the best that this machine fits."""
    quantize: Quantization = "none"
    """Load the frozen weights in 4 or 8 bits (bitsandbytes)."""
    train: Trained = "lora"
    """Train LoRA adapters, or every weight."""
    lora_rank: Annotated[int, Field(ge=1)] = 16
    """Rank r of the LoRA update (Hu et al. 2021)."""
    lora_alpha: Annotated[int, Field(ge=1)] = 32
    """LoRA's scale is alpha / r."""
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Dropout on the input of the LoRA update."""
    lora_targets: tuple[str, ...] = ("all-linear",)
    """Names of the modules that get an adapter, or all-linear."""
    instruction: str = DEFAULT_INSTRUCTION
    """The line before the history; it is saved with the run, so serving reads the same."""
    items: ItemWords = "auto"
    """Write items by title, or as ids of one kind; auto: titles with genrec, else random ids."""
    item_start: ItemStart = "collaborative"
    """How an item's own token begins (independent, hybrid): as who trains on it says, or drawn."""
    objective: Objective = "next-title"
    """Of genrec: the next title of a list; one a prompt, as the paper; or hidden ones first."""
    targets: Targets = "all"
    """Predict every title of a window, or only its last, with a window for each; paper: last."""
    targets_per_user: Annotated[int, Field(ge=1)] | None = None
    """Train on only so many of a user's targets, the newest; None: on all."""
    context_titles: Annotated[int, Field(ge=1)] = 1
    """Titles at the start of a history that are read but not predicted."""
    normaliser: Normaliser = "catalog"
    """Tokens that share a probability of one in the loss: those the trie allows, or all."""
    catalog_head: bool = True
    """Compute only logits of tokens that the trie allows; false: all of them, then mask them."""
    mask_weight: Annotated[float, Field(ge=0)] = 0.0
    """Weight of masked-item prediction, an auxiliary loss of genrec; 0 leaves it out."""
    pretraining: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Share of the steps that masked-item prediction takes first, where it is a stage at all."""
    task_weights: TaskWeights = TaskWeights()
    """How often p5 trains each task: after a history, or for a user without one."""
    anonymous: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of the texts of p5 and masked that do not say whose they are, as strangers' do not; 1:
    people are not named when they are asked for, either."""
    whole_words: bool = True
    """Embed the word that a token is of, beside the token: its place (p5), or its id (masked)."""
    max_length: Annotated[int, Field(ge=16)] = 512
    """Tokens in one window of history; older titles fall off, a target is never cut."""
    epochs: Annotated[float, Field(gt=0)] = 3
    """Passes over all training targets."""
    max_steps: Annotated[int, Field(ge=0)] | None = None
    """Stop after so many optimiser steps; None: as the epochs say; 0: save the model untrained."""
    batch_size: Annotated[int, Field(ge=1)] = 16
    """Windows of history in one optimiser step, on all devices together."""
    micro_batch_tokens: Annotated[int, Field(ge=16)] | None = None
    """Tokens in memory at a time; None: as memory allows. The batch stays what it is."""
    packing: bool = True
    """Join windows without padding; false: pad them to the longest of their micro-batch."""
    gradient_checkpointing: Checkpointing = "auto"
    """Compute activations twice instead of keeping them; auto: when they would not fit."""
    optimizer: Optimizer = "auto"
    """AdamW, fused, or paged with moments in 8 bits; auto: 8 bits if a GPU trains every weight."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    """Peak learning rate of AdamW; linear warm-up, then cosine decay to zero."""
    warmup: Annotated[float, Field(ge=0)] = 0.05
    """Steps that warm up, if 1 or more; else their share of all."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """AdamW's decoupled weight decay."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Attention dropout of the backbone."""
    evaluations: Annotated[int, Field(ge=1)] = 5
    """How often in a run the validation items are ranked and a checkpoint is saved."""
    validation_users: Annotated[int, Field(ge=1)] = 500
    """Users, drawn by the seed, whose validation item is ranked at every evaluation."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Stop after so many evaluations without a better NDCG@10; None: never."""
    report_to: tuple[str, ...] = ("auto",)
    """Trackers: tensorboard, wandb, mlflow, trackio; auto: TensorBoard if installed; none."""
    seed: Seed = 0
    """Seeds the order of examples, dropout, and new weights."""

    @property
    def item_words(self) -> ItemWords:
        """How items are written, decided."""
        if self.items == "auto":
            return "titles" if self.method == "genrec" else "random"
        return self.items

    @property
    def adds_tokens(self) -> bool:
        """Whether each item is a token that a tokenizer does not have yet, at least in part."""
        return self.item_words in ("independent", "hybrid")

    @property
    def places_tokens(self) -> bool:
        """Whether these tokens begin as vectors that say something about their items."""
        return self.adds_tokens and self.item_start == "collaborative"

    @property
    def staged(self) -> bool:
        """Whether masked-item prediction comes before what is asked for."""
        return self.method == "masked" or (self.method, self.objective) == ("genrec", "masked")

    @property
    def hides_titles(self) -> bool:
        """Whether a decoder is trained on hidden titles, too."""
        return self.method == "genrec" and (self.mask_weight > 0 or self.objective == "masked")

    def masked_steps(self, steps: int) -> int:
        """Of so many optimiser steps the first ones, which predict nothing but hidden items."""
        return round(self.pretraining * steps) if self.staged else 0

    @property
    def all_logits(self) -> bool:
        """Whether the loss computes logits of the whole vocabulary."""
        return self.normaliser == "vocabulary" or not self.catalog_head


class SearchSettings(Settings):
    """How the titles of a language model are searched."""

    method: SearchMethod = "exact"
    """Best-first, which finds the true top k; a beam, which may miss some; or no trie at all."""
    beams: Annotated[int, Field(ge=1)] = 64
    """Width of the beam, if there is one; k if that is more."""
    over: Normaliser | None = None
    """Tokens that share a probability of one: those the trie allows, or all; None: as in training.

    A search that knows of no training takes those that the trie allows.
    """
    budget: Annotated[int, Field(ge=1)] | None = None
    """Tokens run behind one user's prompt before the exact search settles for the best found."""
    milliseconds: Annotated[float, Field(gt=0)] | None = None
    """Wall time a user, on average over a batch, before it does."""


def check_search(settings: SearchSettings) -> None:
    """Raise `UsageError` for settings that have no meaning together."""
    if settings.method != "exact" and (settings.budget or settings.milliseconds):
        raise UsageError(
            f"--budget and --milliseconds cut the exact search short; --search {settings.method} "
            "has no use for them",
            "leave --search out, or the limits",
        )


S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class Layer:
    """One source of values, such as a preset or the command line's flags."""

    origin: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Resolved(Generic[S]):
    """Settings, and where each value came from (field name -> origin)."""

    settings: S
    origins: Mapping[str, str]

    def decided(self, values: Mapping[str, Any]) -> "Resolved[S]":
        """With values that this machine decides on, where they are others than those here."""
        new = {key: value for key, value in values.items() if getattr(self.settings, key) != value}
        origins = dict.fromkeys(new, "this machine")
        return Resolved(self.settings.model_copy(update=new), {**self.origins, **origins})


def resolve(model: type[S], layers: Sequence[Layer]) -> Resolved[S]:
    """Merge layers, later ones winning, and validate the result.

    Args:
        model: the settings to make.
        layers: from weakest to strongest; values that are None are taken as not given.

    Raises:
        UsageError: a key does not exist, or a value is not allowed; it names the layer.

    Example:
        >>> flags = Layer("flag", {"min_user": 3})
        >>> resolved = resolve(PrepareSettings, [Layer("preset x", {"min_user": 9}), flags])
        >>> resolved.settings.min_user, resolved.origins["min_user"], resolved.origins["ties"]
        (3, 'flag', 'default')
    """
    values: dict[str, Any] = {}
    origins = dict.fromkeys(model.model_fields, "default")
    for layer in layers:
        for key, value in layer.values.items():
            if key not in model.model_fields:
                raise _unknown_key(key, layer.origin, list(model.model_fields))
            if value is not None:
                values[key] = value
                origins[key] = layer.origin
    try:
        return Resolved(model(**values), origins)
    except ValidationError as error:
        raise _wrong_value(error, origins) from None


def with_settings(flags: Mapping[str, Any], given: Sequence[str]) -> dict[str, Any]:
    """Flags, and settings given as KEY=VALUE, the value as in a YAML file.

    Raises:
        UsageError: one is no such pair, or is given twice.

    Example:
        >>> with_settings({"epochs": None}, ["packing=false", "epochs=0.5"])
        {'epochs': 0.5, 'packing': False}
    """
    values = dict(flags)
    for text in given:
        key, equals, value = text.partition("=")
        key = key.strip().replace("-", "_")
        if not equals:
            raise UsageError(f"--set {text} is no KEY=VALUE", "as in --set packing=false")
        if values.get(key) is not None:
            raise UsageError(f"'{key}' is given twice on the command line", "leave one out")
        try:
            values[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UsageError(f"--set {text}: {value!r} is no value", "as in a YAML file") from None
    return values


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one mapping from a YAML file.

    Raises:
        UsageError: the file is missing, is no YAML, or holds something else than a mapping.
    """
    if not path.is_file():
        raise UsageError(f"no such configuration file: {path}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UsageError(f"{path}{line}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UsageError(f"{path} must hold `key: value` lines, not a {type(values).__name__}")
    return {str(key): value for key, value in values.items()}


def bytes_of(option: str, text: str) -> int:
    """Read an amount of memory.

    Args:
        option: what it was given to, for the message.
        text: a number and a unit (kB, MB, GB, TB: powers of 1000; KiB, MiB, GiB, TiB: of 1024).

    Raises:
        UsageError: it is no amount of memory.

    Example:
        >>> bytes_of("--memory-limit", "1.5GB"), bytes_of("--memory-limit", "2 GiB")
        (1500000000, 2147483648)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgt])(i?)b?", text.strip().lower())
    if match is None:
        raise UsageError(f"{option} '{text}' is no amount of memory", "as in 4GB or 512MiB")
    number, unit, binary = match.groups()
    return int(float(number) * (1024 if binary else 1000) ** ("kmgt".index(unit) + 1))


def _unknown_key(key: str, origin: str, known: list[str]) -> UsageError:
    near = difflib.get_close_matches(key, known, n=1)
    guess = f"did you mean '{near[0]}'?" if near else f"known are: {', '.join(sorted(known))}"
    return UsageError(f"unknown option '{key}' in {origin}", guess)


def _wrong_value(error: ValidationError, origins: Mapping[str, str]) -> UsageError:
    first = error.errors()[0]
    key = str(first["loc"][0]) if first["loc"] else "settings"
    reason = str(first["msg"])
    return UsageError(
        f"option '{key}' ({origins.get(key, 'settings')}) cannot be {first['input']!r}: "
        f"{reason[0].lower()}{reason[1:]}"
    )
