"""`genrec finetune`: a dataset and a base model become a run that can write titles."""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from genrec_cli.core.errors import UsageError
from genrec_cli.core.progress import SILENT, Progress
from genrec_cli.core.provenance import Stopwatch, versions
from genrec_cli.core.workspace import RUN_MANIFEST, Workspace, now, write_json
from genrec_cli.language.backbones.adapt import require_trainable, save_trained, trainable_model
from genrec_cli.language.backbones.load import load_config, load_tokenizer, pin
from genrec_cli.language.corpus import Corpus, make_corpus
from genrec_cli.language.hardware import Place, best_place, peak_gpu_gb
from genrec_cli.language.job import Job, Request, begun, identity, new_job, resumed_job
from genrec_cli.language.plan import Plan, make_plan
from genrec_cli.language.prompt import Prompt, Tokenizer
from genrec_cli.language.run import MODEL_FOLDER, RUN_FORMAT
from genrec_cli.language.training import CHECKPOINTS, Trained, train
from genrec_cli.recommenders.baselines import BASELINES


@dataclass(frozen=True)
class PlanReport:
    """What a run would train on and take; nothing was loaded or written."""

    job: Job
    place: Place
    plan: Plan

    def document(self) -> dict[str, Any]:
        """As JSON."""
        settings = self.job.settings.model_dump(mode="json")
        return {
            "dataset": self.job.dataset.name,
            "base": asdict(self.job.source),
            "device": str(self.place.device),
            "dtype": str(self.place.dtype).removeprefix("torch."),
            "plan": {**asdict(self.plan), "fits": self.plan.fits},
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
    return _prepare(_job(workspace, request, progress))[0]


def finetune(
    workspace: Workspace,
    request: Request,
    progress: Progress = SILENT,
    announce: Announce | None = None,
) -> FinetuneReport:
    """Train a run, or go on with one.

    Args:
        workspace: where datasets and runs lie.
        request: what the user asked for.
        progress: where to report.
        announce: called with the plan before any weight is loaded.

    Raises:
        UsageError: a setting does not exist or is not allowed.
        WorkspaceError: there is no dataset, the run's name is taken, or nothing is to be resumed.
        ModelError: the base model cannot be had, or the training diverged.
    """
    watch = Stopwatch()
    report, corpus, tokenizer = _prepare(_job(workspace, request, progress))
    job = report.job
    if announce is not None:
        announce(report)
    progress.note(f"loading {job.source.name}")
    model = trainable_model(job.source, tokenizer, job.settings, report.place)
    with begun(job, anew=not request.resume):
        trained = train(model, corpus, job.settings, report.place, job.folder, progress)
        save_trained(model, tokenizer, job.folder / MODEL_FOLDER)
        Prompt(job.settings.instruction).save(job.folder)
        manifest = _manifest(job, report, trained) | watch.cost()
        write_json(job.folder / RUN_MANIFEST, manifest)
        # Optimiser states take three times the model's size; only unfinished runs are resumed.
        shutil.rmtree(job.folder / CHECKPOINTS, ignore_errors=True)
    return FinetuneReport(job.folder, manifest)


def _job(workspace: Workspace, request: Request, progress: Progress) -> Job:
    if request.name in BASELINES:
        raise UsageError(f"'{request.name}' is a baseline's name in bench", "choose another --name")
    return (resumed_job if request.resume else new_job)(workspace, request, progress)


def _prepare(job: Job) -> tuple[PlanReport, Corpus, Tokenizer]:
    settings, place = job.settings, best_place()
    require_trainable(job.source, settings)
    tokenizer = load_tokenizer(job.source, job.dataset.titles, settings.instruction)
    corpus = make_corpus(job.dataset, tokenizer, settings)
    config = load_config(job.source, tokenizer, settings.max_length)
    plan = make_plan(corpus, config, settings, place)
    pinned = replace(job, source=pin(job.source))
    return PlanReport(pinned, place, plan), corpus, tokenizer


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
        "trained": asdict(trained),
        "peak_gpu_gb": peak_gpu_gb(),
        "versions": versions(),
    }
