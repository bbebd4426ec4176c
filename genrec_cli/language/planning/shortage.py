"""Refusing a run that does not fit the memory, and advice where memory has run out."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from genrec_cli.core.errors import ModelError
from genrec_cli.language.backbones.choose import default_preset
from genrec_cli.language.backbones.load import load_config
from genrec_cli.language.backbones.names import NANO_PAIRS
from genrec_cli.language.corpus import Corpus
from genrec_cli.language.hardware import Place
from genrec_cli.language.job import Job
from genrec_cli.language.memory import is_out_of_memory
from genrec_cli.language.planning.estimate import anatomy_for, estimate_for
from genrec_cli.language.planning.levers import Lever, Need, cheapest_levers, flags
from genrec_cli.language.planning.plan import Plan
from genrec_cli.language.prompt import Tokenizer

_ENOUGH = 0.25  # of what was planned, that the changes of a retried command should save


@dataclass(frozen=True)
class Shortage:
    """What to do where memory does not suffice.

    Attributes:
        job: the run, its micro-batch and checkpointing decided.
        plan: what is expected of it.
        tokenizer: of the base model.
        corpus: what is trained on.
        place: device and dtype.
        devices: processes that train together.
    """

    job: Job
    plan: Plan
    tokenizer: Tokenizer
    corpus: Corpus
    place: Place
    devices: int = 1

    def levers(self) -> tuple[Lever, ...]:
        """What would help; nothing if the plan fits."""
        if self.plan.fits:
            return ()
        excess = self.plan.memory_gb["total"] - self.plan.available_gb
        return tuple(cheapest_levers(self._need(), excess))

    @contextmanager
    def explained(self, *, loading: bool) -> Iterator[None]:
        """Turn an allocation that failed into advice.

        Args:
            loading: whether the weights are being loaded; else the run is being trained.

        Raises:
            ModelError: what was planned, what would save most cheaply, and what to type.
        """
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise self._advice(loading) from error

    def _advice(self, loading: bool) -> ModelError:
        total = self.plan.memory_gb["total"]
        need = self._need(loading)
        levers = cheapest_levers(need, total - self.plan.available_gb)
        values: dict[str, Any] = {}
        saved = 0.0
        for lever in levers:
            if saved < _ENOUGH * need.gb({}):
                values |= lever.values
                saved += lever.saves_gb
        doing = "loading the weights" if loading else "training"
        return ModelError(
            f"out of memory while {doing}; planned: {_budget(self.plan)}",
            f"{_listed(levers)}; or free some memory. Try\n  {retry_command(self.job, values)}",
        )

    def _need(self, loading: bool = False) -> Need:
        settings = self.job.settings
        config = load_config(self.job.source, self.tokenizer, settings.max_length)
        estimate = estimate_for(self.corpus, self.place, self.devices)
        if self.devices == 1:  # alone, the Trainer tries micro-batches of one window by itself
            least = estimate.longest(settings)
            settings = settings.model_copy(update={"micro_batch_tokens": least})
        anatomy = anatomy_for(self.corpus, config, settings)
        return Need(self.job.source, anatomy, settings, estimate, loading)


def refuse_unfitting(plan: Plan, levers: Sequence[Lever]) -> None:
    """Refuse a run before its weights are loaded.

    Raises:
        ModelError: it would not fit the memory; what needs most of it, and what would help.
    """
    if not plan.fits:
        raise ModelError(f"this run would not fit: it needs {_budget(plan)}", _listed(levers))


def retry_command(job: Job, changes: Mapping[str, Any]) -> str:
    """The command line of a new run like this one, some settings changed."""
    origins, settings = job.resolved.origins, job.settings
    preset = next((o.split()[1] for o in origins.values() if o.startswith("preset ")), None)
    if changes.get("base_model") in NANO_PAIRS:
        preset = default_preset(changes["base_model"])
    given = {
        key: getattr(settings, key)
        for key, origin in origins.items()
        if origin not in ("default", "this machine") and not origin.startswith("preset ")
    }
    values = {"base_model": settings.base_model, **given, **changes}
    options = [f"--dataset {job.dataset.name}", *([f"--preset {preset}"] if preset else [])]
    return " ".join(["genrec finetune", *options, *flags(values)])


def _budget(plan: Plan) -> str:
    parts = {part: gb for part, gb in plan.memory_gb.items() if part != "total" and gb >= 0.05}
    listed = ", ".join(
        f"{part} {gb:.1f}" for part, gb in sorted(parts.items(), key=lambda entry: -entry[1])
    )
    return f"{plan.memory_gb['total']:.1f} GB, and {plan.available_gb:.1f} GB are there ({listed})"


def _listed(levers: Sequence[Lever]) -> str:
    return "; ".join(map(str, levers)) or "use a machine with more memory"
