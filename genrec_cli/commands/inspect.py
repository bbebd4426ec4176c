"""`genrec inspect`: training examples as the model sees them; no weights are loaded."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrec_cli.core.errors import DataError, UsageError, WorkspaceError
from genrec_cli.core.progress import SILENT, Progress
from genrec_cli.core.settings import FinetuneSettings, Layer, resolve
from genrec_cli.core.workspace import RUN_MANIFEST, Workspace, read_json
from genrec_cli.data.dataset import load_dataset
from genrec_cli.language.arguments import planned_steps
from genrec_cli.language.backbones.adapt import require_trainable
from genrec_cli.language.backbones.load import load_tokenizer
from genrec_cli.language.backbones.names import Source
from genrec_cli.language.corpus import Corpus, make_corpus
from genrec_cli.language.inspection import (
    CorpusFigures,
    TitleChoices,
    corpus_figures,
    rows_of_windows,
    title_choices,
)
from genrec_cli.language.job import SETTINGS_FILE, Job, Request, new_job
from genrec_cli.language.readback import Reader, ReadExample
from genrec_cli.language.run import MODEL_FOLDER, base_of, read_run, require_same_dataset
from genrec_cli.language.sampler import Draw, EndlessOrder
from genrec_cli.language.templates import texts_of


@dataclass(frozen=True)
class InspectRequest:
    """What the user asked for.

    Attributes:
        run: name of a run that was begun; None: none, but the one that `new` would begin.
        new: dataset and settings; of these a run takes only the dataset and the flag `seed`.
        users: raw ids of those whose windows are shown; empty: whoever is drawn first.
        examples: how many windows, of each user if some are named.
        epoch: in which they are drawn, from 1.
    """

    run: str | None = None
    new: Request = field(default_factory=Request)
    users: tuple[str, ...] = ()
    examples: int = 3
    epoch: int = 1


@dataclass(frozen=True)
class Shown:
    """One text of a window, and whose it is.

    Attributes:
        user_id: raw id.
        window: its number among the user's, from 1.
        windows: of the user.
        example: the text.
    """

    user_id: str
    window: int
    windows: int
    example: ReadExample

    def document(self) -> dict[str, Any]:
        """As JSON."""
        example = self.example
        return {
            "user_id": self.user_id,
            "window": self.window,
            "windows": self.windows,
            "masked": example.masked,
            "titles": example.titles,
            "targets": len(example.targets),
            "decisions": example.decisions,
            "forced": example.forced,
            "loss_share": example.decisions / len(example.tokens),
            "tokens": [asdict(token) for token in example.tokens],
        }


@dataclass(frozen=True)
class InspectReport:
    """Examples, what the trie makes of the first target, and what there is in all."""

    job: Job
    run: str | None
    epoch: int
    shown: list[Shown]
    first_target: TitleChoices
    corpus: CorpusFigures

    def document(self) -> dict[str, Any]:
        """As JSON."""
        settings = self.job.settings
        names = ("objective", "targets", "normaliser", "mask_weight", "max_length", "seed")
        return {
            "run": self.run,
            "dataset": self.job.dataset.name,
            "base": self.job.source.name,
            "settings": {name: getattr(settings, name) for name in names},
            "epoch": self.epoch,
            "corpus": asdict(self.corpus),
            "examples": [shown.document() for shown in self.shown],
            "first_target": asdict(self.first_target),
        }


def inspect(
    workspace: Workspace, request: InspectRequest, progress: Progress = SILENT
) -> InspectReport:
    """Write the examples that a run draws first, or those of some users, and read them back.

    Raises:
        UsageError: a setting does not exist or is not allowed, or is given beside a run.
        DataError: a user is unknown, or has nothing to train on.
        WorkspaceError: there is no such dataset or run, or the run is of other data.
        ModelError: the base model cannot be had.
    """
    job, written_by = _chosen(workspace, request, progress)
    settings = job.settings
    tokenizer = load_tokenizer(written_by, [*job.dataset.titles, *texts_of(settings)])
    corpus = make_corpus(job.dataset, tokenizer, settings)
    rows = rows_of_windows(job.dataset, corpus.training.windows, settings)
    reader = Reader(corpus, tokenizer, settings.normaliser)
    shown: list[Shown] = []
    for draw in _draws(job, corpus, request, rows):
        first, end = np.searchsorted(rows, [rows[draw.window], rows[draw.window] + 1]).tolist()
        user_id, place = job.dataset.user_ids[rows[draw.window]], draw.window - first + 1
        shown.extend(Shown(user_id, place, end - first, text) for text in reader.read(draw))
    return InspectReport(
        job=job,
        run=request.run,
        epoch=request.epoch,
        shown=shown,
        first_target=title_choices(shown[0].example.targets[0], corpus, tokenizer),
        corpus=corpus_figures(job.dataset, corpus, settings),
    )


def _chosen(
    workspace: Workspace, request: InspectRequest, progress: Progress
) -> tuple[Job, Source]:
    """The run, or the one that would be begun, and where its tokenizer is."""
    if request.run is None:
        job = new_job(workspace, request.new, progress)
        require_trainable(job.source, job.settings)
        return job, job.source
    flags = {key: value for key, value in (request.new.flags or {}).items() if value is not None}
    seed = {"seed": flags.pop("seed", None)}
    if flags or request.new.config or request.new.preset:
        raise UsageError(
            "--run shows a run with its own settings and takes no others but --seed",
            "leave them out, or leave out --run",
        )
    folder = _find_run(workspace, request.new.dataset, request.run)
    finished = (folder / RUN_MANIFEST).exists()
    begun = read_run(folder) if finished else read_json(folder / SETTINGS_FILE)
    job = _job_of(workspace, folder, begun, seed)
    model = Source(job.source.name, "folder", str(folder / MODEL_FOLDER))
    return job, model if finished else job.source


def _job_of(
    workspace: Workspace, folder: Path, begun: Mapping[str, Any], seed: Mapping[str, Any]
) -> Job:
    dataset = load_dataset(workspace.find_dataset(begun["dataset"]))
    require_same_dataset(begun, dataset, folder.name)
    layers = [Layer(f"run {folder.name}", begun["settings"]), Layer("flag", seed)]
    return Job(folder, dataset, base_of(begun), resolve(FinetuneSettings, layers))


def _find_run(workspace: Workspace, dataset: str | None, name: str) -> Path:
    """The newest run of a name, finished or not."""
    parents = [workspace.runs(dataset)] if dataset else (workspace.root / "runs").glob("*/")
    begun = [path for parent in parents for path in sorted(parent.glob(f"*/{SETTINGS_FILE}"))]
    named = [path for path in begun if path.parent.name == name]
    if not named:
        on = f" on dataset '{dataset}'" if dataset else ""
        there = ", ".join(path.parent.name for path in begun)
        raise WorkspaceError(
            f"no run '{name}'{on} in {workspace.root}" + (f"; there are: {there}" if there else ""),
            "genrec inspect   (without --run: what genrec finetune would train on)",
        )
    return max(named, key=lambda path: str(read_json(path)["created"])).parent


def _draws(
    job: Job, corpus: Corpus, request: InspectRequest, rows: NDArray[np.int64]
) -> list[Draw]:
    """What is shown: the first windows of some users, or the first that the run draws."""
    before = request.epoch - 1
    if not request.users:
        windows = len(corpus.training)
        steps = planned_steps(windows, job.settings)
        masked = job.settings.masked_steps(steps) * job.settings.batch_size
        order = EndlessOrder(windows, request.epoch * windows, job.settings.seed, masked)
        begin = before * windows
        return list(islice(order, begin, begin + request.examples))
    draws: list[Draw] = []
    for user_id, row in zip(request.users, job.dataset.rows_of(list(request.users)), strict=True):
        own = np.flatnonzero(rows == row)[: request.examples]
        if not own.size:
            raise DataError(
                f"user '{user_id}' has nothing to train on: no title of the training part comes "
                f"after the first context_titles = {job.settings.context_titles}",
                "name another --user, or none",
            )
        draws.extend(Draw(before, int(window)) for window in own)
    return draws
