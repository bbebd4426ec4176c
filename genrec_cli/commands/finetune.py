"""`genrec finetune`: a dataset and a base model become a run that can write titles."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from genrec_cli.core.errors import UsageError
from genrec_cli.core.progress import SILENT, Progress
from genrec_cli.core.provenance import Stopwatch, versions
from genrec_cli.core.workspace import RUN_MANIFEST, Workspace, now, write_json
from genrec_cli.evaluation.charts.training import training_curve
from genrec_cli.evaluation.validation import RankingValidation
from genrec_cli.language.arguments import require_possible
from genrec_cli.language.backbones.adapt import (
    require_family,
    require_trainable,
    save_trained,
    trainable_model,
)
from genrec_cli.language.backbones.load import load_config, pin
from genrec_cli.language.checkpoints import CHECKPOINTS, saving
from genrec_cli.language.corpus import Corpus, make_corpus, whole_words
from genrec_cli.language.hardware import Place, best_place, peak_gpu_gb
from genrec_cli.language.itemnames import names_of_items, place_tokens, save_names, tokenizer_for
from genrec_cli.language.itemwords.leak import ItemIds, item_ids
from genrec_cli.language.job import Job, Request, begun, identity, new_job, resumed_job
from genrec_cli.language.lesson import Lesson
from genrec_cli.language.metrics_log import METRICS_FILE, MetricsLog
from genrec_cli.language.planning.levers import Lever
from genrec_cli.language.planning.plan import Plan, make_plan
from genrec_cli.language.planning.shortage import Shortage, refuse_unfitting
from genrec_cli.language.prompt import Tokenizer
from genrec_cli.language.run import MODEL_FOLDER, RUN_FORMAT
from genrec_cli.language.team import Team, joined
from genrec_cli.language.templates import prompts_of
from genrec_cli.language.training import Trained, train
from genrec_cli.recommenders.baselines import BASELINES

CURVE_FILE: Final = "training.svg"


@dataclass(frozen=True)
class PlanReport:
    """What a run would train on and take; nothing was loaded or written."""

    job: Job
    place: Place
    plan: Plan
    levers: tuple[Lever, ...] = ()
    """What would help, if it does not fit the memory."""
    item_ids: ItemIds | None = None
    """What is written for items, and what it gives away; None: titles are."""

    def document(self) -> dict[str, Any]:
        """As JSON."""
        settings = self.job.settings.model_dump(mode="json")
        return {
            "dataset": self.job.dataset.name,
            "base": asdict(self.job.source),
            "device": str(self.place.device),
            "dtype": str(self.place.dtype).removeprefix("torch."),
            "plan": {**asdict(self.plan), "fits": self.plan.fits},
            "levers": [asdict(lever) for lever in self.levers],
            "item_ids": self.item_ids and asdict(self.item_ids),
            "settings": {
                key: {"value": value, "from": self.job.resolved.origins[key]}
                for key, value in settings.items()
            },
        }


Announce: TypeAlias = Callable[[PlanReport], None]


@dataclass(frozen=True)
class FinetuneReport:
    """What was trained: the folder and its `run.json`."""

    folder: Path
    manifest: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"run": self.folder.name, "folder": str(self.folder), **self.manifest}


def plan(workspace: Workspace, request: Request, progress: Progress = SILENT) -> PlanReport:
    """Work out what a run would take, from the tokenizer and the config alone.

    Raises:
        GenrecError: as `finetune` does for wrong settings, datasets or base models.
    """
    job = _job(workspace, request, progress)
    report = _planned(job, _read(job), Team(size=request.devices or 1))
    _warn(report, progress)
    return report


def finetune(
    workspace: Workspace,
    request: Request,
    progress: Progress = SILENT,
    announce: Announce | None = None,
) -> FinetuneReport | None:
    """Train a run, or go on with one.

    Args:
        workspace: where datasets and runs lie.
        request: what the user asked for.
        progress: where to report.
        announce: called with the plan before any weight is loaded.

    Raises:
        UsageError: a setting does not exist or is not allowed.
        WorkspaceError: there is no dataset, the run's name is taken, or nothing is to be resumed.
        ModelError: the base model cannot be had, memory does not suffice, or training diverged.
    """
    with joined(request.devices) as team:
        return _finetune(workspace, request, progress if team.first else SILENT, announce, team)


def _finetune(
    workspace: Workspace,
    request: Request,
    progress: Progress,
    announce: Announce | None,
    team: Team,
) -> FinetuneReport | None:
    watch = Stopwatch()
    # The name of a new run, and what depends on free memory, are the first process's to decide.
    job = team.decided(lambda: _job(workspace, request, progress))
    with team.first_goes_ahead():
        text = _read(job)
    tokenizer, corpus, names = text
    report = team.decided(lambda: _planned(job, text, team))
    job, place = report.job, best_place()
    if announce is not None and team.first:
        announce(report)
    _warn(report, progress)
    if not request.resume:  # what has run before may go on
        refuse_unfitting(report.plan, report.levers)
    progress.note(f"loading {job.source.name}")
    shortage = Shortage(job, report.plan, tokenizer, corpus, place, team.size)
    with team.first_goes_ahead(), shortage.explained(loading=True):
        words = whole_words(corpus, job.settings)
        model = trainable_model(job.source, tokenizer, job.settings, place, words)
        place_tokens(model, tokenizer, names, job.dataset, job.settings)
    validate = RankingValidation(corpus, job.settings.normaliser)
    lesson = Lesson(corpus, job.settings, report.plan.micro_batch_tokens, validate, team)
    with _held(job, request, team):
        save_names(names, job.folder)
        with shortage.explained(loading=False):
            trained = train(model, lesson, place, job.folder, progress)
        if trained is None:
            return None
        with saving(job.folder, team):
            save_trained(model, tokenizer, job.folder / MODEL_FOLDER)
        prompts_of(job.settings)[0].save(job.folder)
        manifest = _manifest(job, report, trained) | watch.cost()
        write_json(job.folder / RUN_MANIFEST, manifest)
        # Optimiser states take three times the model's size; only unfinished runs are resumed.
        shutil.rmtree(job.folder / CHECKPOINTS, ignore_errors=True)
    return FinetuneReport(job.folder, manifest)


def _job(workspace: Workspace, request: Request, progress: Progress) -> Job:
    if request.name in BASELINES:
        raise UsageError(f"'{request.name}' is a baseline's name in bench", "choose another --name")
    return (resumed_job if request.resume else new_job)(workspace, request, progress)


class _Text(NamedTuple):
    """A dataset in the words of a run.

    Attributes:
        tokenizer: of the base model.
        corpus: what is trained on.
        names: ids that stand for items; None: their titles do.
    """

    tokenizer: Tokenizer
    corpus: Corpus
    names: Sequence[str] | None


def _read(job: Job) -> _Text:
    """The dataset as the base model's tokenizer writes it."""
    require_trainable(job.source, job.settings)
    names = names_of_items(job.dataset, job.settings, job.folder)
    tokenizer = tokenizer_for(job.source, job.dataset, job.settings, names)
    corpus = make_corpus(job.dataset, tokenizer, job.settings, names)
    return _Text(tokenizer, corpus, names)


def _planned(job: Job, text: _Text, team: Team) -> PlanReport:
    tokenizer, corpus, names = text
    settings, place = job.settings, best_place()
    require_possible(settings, place, team)
    config = load_config(job.source, tokenizer, settings.max_length)
    require_family(job.source, config, settings)
    plan = make_plan(corpus, config, settings, place, devices=team.size)
    # What depends on this machine's memory is fixed here, so that a resumed run goes on alike.
    chosen = {
        "micro_batch_tokens": plan.micro_batch_tokens,
        "gradient_checkpointing": "on" if plan.gradient_checkpointing else "off",
    }
    decided = replace(job, source=pin(job.source), resolved=job.resolved.decided(chosen))
    levers = Shortage(decided, plan, tokenizer, corpus, place, team.size).levers()
    ids = None if names is None else item_ids(job.dataset, settings.item_words, names)
    return PlanReport(decided, place, plan, levers, ids)


def _warn(report: PlanReport, progress: Progress) -> None:
    ids = report.item_ids
    if ids is not None and ids.leaks:
        progress.note(f"warning: {ids.kind} ids give answers away. {ids.meaning}")


@contextmanager
def _held(job: Job, request: Request, team: Team) -> Iterator[None]:
    """Hold the run's folder, in which the first process writes; its curve is drawn at any end."""
    if not team.first:
        team.wait()
        yield
        return
    with begun(job, anew=not request.resume):
        team.wait()
        try:
            yield
        finally:
            lines = MetricsLog(job.folder / METRICS_FILE).lines()
            curve = training_curve(lines, f"{job.folder.name} on {job.dataset.name}")
            with suppress(OSError):  # a full disk has been reported
                (job.folder / CURVE_FILE).write_text(curve, encoding="utf-8")


def _manifest(job: Job, report: PlanReport, trained: Trained) -> dict[str, Any]:
    return {
        "format": RUN_FORMAT,
        "name": job.folder.name,
        "created": now(),
        **identity(job),
        "origins": dict(job.resolved.origins),
        "device": str(report.place.device),
        "dtype": str(report.place.dtype).removeprefix("torch."),
        "plan": asdict(report.plan),
        "item_ids": report.item_ids and asdict(report.item_ids),
        "trained": asdict(trained),
        "peak_gpu_gb": peak_gpu_gb(),
        "versions": versions(),
    }
