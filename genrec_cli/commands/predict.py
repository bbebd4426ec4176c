"""`genrec predict`: titles for people, with a finished run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from genrec_cli.core.errors import DataError, UsageError
from genrec_cli.core.progress import SILENT, Progress
from genrec_cli.core.workspace import Workspace
from genrec_cli.data.dataset import Dataset, load_dataset
from genrec_cli.data.recommendations import check_output, write_recommendations
from genrec_cli.decoding.grounding import Grounder
from genrec_cli.language.run import read_run
from genrec_cli.recommenders.base import Items
from genrec_cli.recommenders.genrec import GenRec

NEWCOMER: Final = "(typed history)"
_USERS_AT_ONCE: Final = 16


@dataclass(frozen=True)
class PredictRequest:
    """What the user asked for; exactly one way of naming people.

    Attributes:
        users: raw ids.
        users_file: one raw id a line.
        everybody: all users of the dataset.
        history: titles of somebody new, oldest first.
        run: name; None: the newest.
        dataset: name of the run's dataset; None: any.
        k: how many titles.
        output: .parquet, .jsonl or .csv file to write.
        force: replace the output file.
    """

    users: tuple[str, ...] = ()
    users_file: Path | None = None
    everybody: bool = False
    history: tuple[str, ...] = ()
    run: str | None = None
    dataset: str | None = None
    k: int = 10
    output: Path | None = None
    force: bool = False


@dataclass(frozen=True)
class Person:
    """Somebody to recommend to."""

    user_id: str
    history: Items


@dataclass(frozen=True)
class PredictReport:
    """Recommendations, as the JSON document holds them, and where they were written."""

    run: str
    k: int
    users: list[dict[str, Any]]
    output: Path | None

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"run": self.run, "k": self.k, "users": self.users}


def predict(
    workspace: Workspace, request: PredictRequest, progress: Progress = SILENT
) -> PredictReport:
    """Rank the catalog for people; what they have touched is not recommended again.

    Raises:
        UsageError: nobody is named, or in more than one way; k or the output cannot be.
        DataError: a user id or a typed title is unknown.
        WorkspaceError: there is no finished run, or the output exists.
    """
    _check(request)
    folder = workspace.find_run(request.dataset, request.run)
    dataset = load_dataset(workspace.find_dataset(read_run(folder)["dataset"]))
    people = _people(request, dataset, progress)
    progress.note(f"loading run {folder.name}")
    recommender = GenRec(folder)
    recommender.fit(dataset, seed=0)
    users: list[dict[str, Any]] = []
    with progress.task("recommending", len(people), "users") as task:
        for batch in _batches(people):
            users.extend(_recommend(recommender, dataset, batch, request.k))
            task.advance(len(batch))
    if request.output is not None:
        write_recommendations(request.output, users)
    return PredictReport(folder.name, request.k, users, request.output)


def _check(request: PredictRequest) -> None:
    ways = [request.users, request.users_file, request.everybody, request.history]
    if sum(bool(way) for way in ways) != 1:
        raise UsageError(
            "name the people in exactly one way",
            "--user ID (repeatable), --users-file FILE, --all, or --history 'Title; Title'",
        )
    if request.k < 1:
        raise UsageError(f"-k must be at least 1, not {request.k}")
    if request.output is not None:
        check_output(request.output, force=request.force)


def _people(request: PredictRequest, dataset: Dataset, progress: Progress) -> list[Person]:
    if request.history:
        return [Person(NEWCOMER, _typed_history(request.history, dataset, progress))]
    ids = list(request.users)
    if request.users_file is not None:
        ids = _read_ids(request.users_file)
    if request.everybody:
        ids = dataset.user_ids
    rows = dataset.rows_of(list(dict.fromkeys(ids)))
    return [Person(dataset.user_ids[row], dataset.sequence(row)) for row in rows]


def _read_ids(path: Path) -> list[str]:
    try:
        ids = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the users file {path} cannot be read: {error}") from None
    if not any(ids):
        raise DataError(f"the users file {path} names nobody", "write one user id a line")
    return [user_id for user_id in ids if user_id]


def _typed_history(texts: Sequence[str], dataset: Dataset, progress: Progress) -> Items:
    """Items of typed titles; what is not an exact title is said, or refused."""
    typed = [part.strip() for text in texts for part in text.split(";") if part.strip()]
    grounder = Grounder(dataset.titles)
    items = []
    for text in typed:
        match = grounder.ground(text)
        if match.item is None:
            near = "; ".join(dataset.titles[item] for item in match.nearest)
            raise DataError(
                f"no title like '{text}' in dataset '{dataset.name}'", f"nearest: {near}"
            )
        if match.how == "fuzzy":
            title = dataset.titles[match.item]
            progress.note(f"reading '{text}' as '{title}' ({match.confidence:.0%} sure)")
        items.append(match.item)
    if not items:
        raise UsageError("--history names no title", "write --history 'Title; Title; …'")
    return np.array(items, dtype=np.int32)


def _recommend(
    recommender: GenRec, dataset: Dataset, people: Sequence[Person], k: int
) -> Iterator[dict[str, Any]]:
    histories = [person.history for person in people]
    ranking = recommender.rank(histories, k, exclude=histories)
    for person, items, scores in zip(people, ranking.items, ranking.scores, strict=True):
        found = [(int(i), float(s)) for i, s in zip(items, scores, strict=True) if i >= 0]
        yield {
            "user_id": person.user_id,
            "history": [dataset.titles[item] for item in person.history],
            "recommendations": [
                {
                    "rank": rank,
                    "item_id": dataset.item_ids[item],
                    "title": dataset.titles[item],
                    "score": score,
                }
                for rank, (item, score) in enumerate(found, start=1)
            ],
        }


def _batches(people: Sequence[Person]) -> Iterator[Sequence[Person]]:
    for start in range(0, len(people), _USERS_AT_ONCE):
        yield people[start : start + _USERS_AT_ONCE]
