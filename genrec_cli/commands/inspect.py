"""`genrec inspect`: training examples as the model sees them; no weights are loaded."""

from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrec_cli.core.errors import DataError, UsageError
from genrec_cli.core.progress import SILENT, Progress
from genrec_cli.core.workspace import Workspace
from genrec_cli.data.dataset import Dataset
from genrec_cli.language.backbones.adapt import require_family, require_trainable
from genrec_cli.language.backbones.load import load_config
from genrec_cli.language.corpus import Corpus, make_corpus
from genrec_cli.language.inspection import (
    CorpusFigures,
    corpus_figures,
    draws_of,
    reseeded,
    rows_of_windows,
)
from genrec_cli.language.itemnames import names_of_items, tokenizer_for
from genrec_cli.language.job import Job, Request, new_job
from genrec_cli.language.narrowing import TitleChoices, title_choices
from genrec_cli.language.readback import Reader, ReadExample
from genrec_cli.language.reopened import Reopened, reopened
from genrec_cli.language.sampler import Draw


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

    def document(self, dataset: Dataset) -> dict[str, Any]:
        """As JSON; `items` are the titles of the lines of items, in order."""
        example = self.example
        items = [(line.role, line.item) for line in example.lines if line.item is not None]
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
            "items": [{"role": role, "title": dataset.titles[item]} for role, item in items],
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

    @property
    def pairs(self) -> bool:
        """Whether an encoder reads what a decoder goes on from."""
        return self.job.settings.method != "genrec"

    @property
    def plain(self) -> bool:
        """Whether items are written by title; else ids stand for them."""
        return self.job.settings.item_words == "titles"

    @property
    def by_trie(self) -> bool:
        """Whether the loss chooses among the tokens that the trie allows."""
        return self.job.settings.normaliser == "catalog"

    def document(self) -> dict[str, Any]:
        """As JSON."""
        settings, dataset = self.job.settings, self.job.dataset
        names = ("objective", "targets", "normaliser", "mask_weight", "max_length", "seed")
        decided = {"method": settings.method, "items": settings.item_words}
        return {
            "run": self.run,
            "dataset": dataset.name,
            "base": self.job.source.name,
            "settings": decided | {name: getattr(settings, name) for name in names},
            "epoch": self.epoch,
            "corpus": asdict(self.corpus),
            "examples": [shown.document(dataset) for shown in self.shown],
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
        ModelError: the base model cannot be had, or cannot be trained so.
    """
    job, written_by, own = _chosen(workspace, request, progress)
    settings = job.settings
    names = names_of_items(job.dataset, own, job.folder)
    tokenizer = tokenizer_for(written_by, job.dataset, own, names)
    if request.run is None:
        config = load_config(job.source, tokenizer, settings.max_length)
        require_family(job.source, config, settings)
    corpus = reseeded(make_corpus(job.dataset, tokenizer, own, names), settings.seed)
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
        first_target=title_choices(
            shown[0].example.targets[0], job.dataset, corpus, tokenizer, names
        ),
        corpus=corpus_figures(job.dataset, corpus, settings, names),
    )


def _chosen(workspace: Workspace, request: InspectRequest, progress: Progress) -> Reopened:
    """The run, or the one that would be begun as if it had been."""
    if request.run is None:
        job = new_job(workspace, request.new, progress)
        require_trainable(job.source, job.settings)
        return Reopened(job, job.source, job.settings)
    flags = {key: value for key, value in (request.new.flags or {}).items() if value is not None}
    seed = flags.pop("seed", None)
    if flags or request.new.config or request.new.preset:
        raise UsageError(
            "--run shows a run with its own settings and takes no others but --seed",
            "leave them out, or leave out --run",
        )
    return reopened(workspace, request.new.dataset, request.run, seed)


def _draws(
    job: Job, corpus: Corpus, request: InspectRequest, rows: NDArray[np.int64]
) -> list[Draw]:
    """What is shown: the first windows of some users, or the first that the run draws."""
    drawn = draws_of(corpus, job.settings, request.epoch)
    if not request.users:
        return list(islice(drawn, request.examples))
    own: list[int] = []
    for user_id, row in zip(request.users, job.dataset.rows_of(list(request.users)), strict=True):
        first = np.flatnonzero(rows == row)[: request.examples].tolist()
        if not first:
            raise DataError(
                f"user '{user_id}' has nothing to train on: no title of the training part comes "
                f"after the first context_titles = {job.settings.context_titles}",
                "name another --user, or none",
            )
        own.extend(first)
    wanted = set(own)
    of_window = {draw.window: draw for draw in drawn if draw.window in wanted}
    return [of_window[window] for window in own]
