"""What to do about a run that does not fit the memory: the cheapest changes, and what they save."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from pydantic import BaseModel

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.language.backbones.names import NANO_PAIRS, Source
from genrec_cli.language.planning.anatomy import Anatomy
from genrec_cli.language.planning.budget import optimizer_of
from genrec_cli.language.planning.estimate import Estimate, anatomy_for
from genrec_cli.language.planning.smaller import family

_SHORTEST: Final = 64  # tokens of a window that still hold some titles
_WORTH: Final = 0.05  # of what is needed, that a change must save to be named
_NAMED: Final = 3
_FLAGS: Final = (
    "method",
    "base_model",
    "quantize",
)  # settings with an option of their own; see `--set`


@dataclass(frozen=True)
class Lever:
    """A change of settings.

    Attributes:
        values: setting -> new value.
        saves_gb: memory that it saves by itself.
    """

    values: Mapping[str, Any]
    saves_gb: float

    def __str__(self) -> str:
        return f"{' '.join(flags(self.values))} saves {self.saves_gb:.1f} GB"


class Need(NamedTuple):
    """A run whose memory is too much.

    Attributes:
        source: the base model.
        anatomy: of the base model.
        settings: with micro-batch and checkpointing decided.
        estimate: what its settings take.
        loading: whether its weights alone are in question.
    """

    source: Source
    anatomy: Anatomy
    settings: FinetuneSettings
    estimate: Estimate
    loading: bool = False

    def gb(self, values: Mapping[str, Any], anatomy: Anatomy | None = None) -> float:
        """Memory that is needed under changed settings."""
        settings = self.settings.model_copy(update=dict(values))
        parts = self.estimate.parts(
            anatomy or self.anatomy,
            settings,
            min(settings.micro_batch_tokens or 0, self._tokens(values)),
            settings.gradient_checkpointing == "on",
        )
        return parts["weights"] if self.loading else parts["total"]

    def _tokens(self, values: Mapping[str, Any]) -> int:
        """Most tokens at a time: a micro-batch of one window shrinks with it."""
        tokens = self.settings.micro_batch_tokens or 0
        alone = tokens <= self.estimate.longest(self.settings)
        return int(values["max_length"]) if alone and "max_length" in values else tokens


def cheapest_levers(need: Need, excess_gb: float) -> list[Lever]:
    """At most three changes, those first that cost the least time and quality.

    Args:
        need: what is too much.
        excess_gb: by how much; a smaller base model is named if nothing else saves that.
    """
    needed = need.gb({})
    levers = [Lever(values, needed - need.gb(values)) for values in _changes(need)]
    worth = [lever for lever in levers if lever.saves_gb >= _WORTH * needed][:_NAMED]
    if sum(lever.saves_gb for lever in worth) >= excess_gb and len(worth) == _NAMED:
        return worth
    smaller = _smaller(need, excess_gb)
    return [*worth[: _NAMED - 1], smaller] if smaller else worth


def flags(values: Mapping[str, Any]) -> list[str]:
    """Settings as options of `genrec finetune`.

    Example:
        >>> flags({"quantize": "nf4", "max_length": 256, "lora_targets": ("q_proj", "v_proj")})
        ['--quantize nf4', '--set max_length=256', "--set 'lora_targets=[q_proj, v_proj]'"]
    """
    return [
        f"--{key.replace('_', '-')} {shlex.quote(str(value))}"
        if key in _FLAGS
        else f"--set {shlex.quote(f'{key}={_yaml(value)}')}"
        for key, value in values.items()
    ]


def _changes(need: Need) -> Iterator[dict[str, Any]]:
    """What may be changed, the cheapest first: time, then a little quality, then more of it."""
    settings, place = need.settings, need.estimate.place
    longest = need.estimate.longest(settings)
    full = settings.train == "full"
    if (settings.micro_batch_tokens or 0) > longest:
        yield {"micro_batch_tokens": longest}
    if settings.gradient_checkpointing == "off":
        yield {"gradient_checkpointing": "on"}
    if place.device.type == "cuda" and optimizer_of(settings, place) == "adamw":
        yield {"optimizer": "adamw-8bit"}
    if not full and settings.quantize != "nf4":
        yield {"quantize": "nf4"}
    half = _half(need)
    if half is not None:
        yield {"max_length": half}
    if not full and settings.lora_targets == ("all-linear",):
        ends = {name.rpartition(".")[2] for name in need.anatomy.linear}
        yield {"lora_targets": ("q_proj", "v_proj") if "q_proj" in ends else ("q", "v")}
    if full and need.source.kind != "nano" and not settings.adds_tokens:
        yield {"train": "lora"}


def _half(need: Need) -> int | None:
    """Half of what is read at a time; None: that would hold too little."""
    pair = need.estimate.longest_pair(need.settings)
    if pair is None:
        half, least = need.estimate.longest(need.settings) // 2, _SHORTEST
    else:
        half, least = pair.read // 2, max(_SHORTEST, need.estimate.least_read())
    return half if half >= least else None


def _smaller(need: Need, excess_gb: float) -> Lever | None:
    """The largest of the smaller base models that saves enough; else the smallest one."""
    needed, found = need.gb({}), None
    settings = need.settings
    for name, config in family(need.anatomy.config, settings.max_length):
        anatomy = anatomy_for(need.estimate.corpus, config, settings)
        if anatomy.parameters < need.anatomy.parameters:
            values = {"base_model": name, **_untrained(name, settings)}
            changes = {key: value for key, value in values.items() if key != "base_model"}
            found = Lever(values, needed - need.gb(changes, anatomy))
            if found.saves_gb >= excess_gb:
                break
    return found


def _untrained(name: str, settings: FinetuneSettings) -> dict[str, Any]:
    """What else must change for a model without pretrained weights."""
    needed = {"train": "full", "quantize": "none"} if name in NANO_PAIRS else {}
    return {key: value for key, value in needed.items() if getattr(settings, key) != value}


def _yaml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    if isinstance(value, BaseModel):
        pairs = ", ".join(f"{key}: {_yaml(of)}" for key, of in value)
        return f"{{{pairs}}}"
    return str(value).lower() if isinstance(value, bool) else str(value)
