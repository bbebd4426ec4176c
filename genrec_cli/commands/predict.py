"""`genrec predict`: titles for people, with a finished run."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from genrec_cli.core.errors import UsageError
from genrec_cli.core.progress import SILENT, Progress
from genrec_cli.core.settings import SearchSettings, check_search
from genrec_cli.core.workspace import Workspace
from genrec_cli.data.dataset import Dataset, load_dataset
from genrec_cli.data.itemlist import allowed_items
from genrec_cli.data.newcatalog import Offer, offer_of, read_catalog
from genrec_cli.data.recommendations import check_output, write_recommendations
from genrec_cli.evaluation.fitting import Fitter
from genrec_cli.evaluation.tuning import recall_weight
from genrec_cli.language.run import read_run
from genrec_cli.recommenders.base import Items, Ranking
from genrec_cli.recommenders.genrec import GenRec
from genrec_cli.recommenders.hybrid import Hybrid
from genrec_cli.recommenders.people import Asked, Person, find_people
from genrec_cli.recommenders.systems import find_prior

_USERS_AT_ONCE: Final = 64  # what a recommender asks the model together at most


@dataclass(frozen=True)
class PredictRequest:
    """What the user asked for.

    Attributes:
        asked: for whom.
        run: name; None: the newest.
        dataset: name of the run's dataset; None: any.
        k: how many titles.
        catalog: file of the items to rank; None: those of the dataset.
        only: file of the items that may be recommended; None: all.
        without: file of items that may not.
        explain: say of each title how it was chosen.
        search: how titles are searched.
        prior: a baseline whose scores are added; None: nothing.
        prior_weight: of the prior; None: chosen on validation items.
        output: .parquet, .jsonl or .csv file to write.
        force: replace the output file.
    """

    asked: Asked
    run: str | None = None
    dataset: str | None = None
    k: int = 10
    catalog: Path | None = None
    only: Path | None = None
    without: Path | None = None
    explain: bool = False
    search: SearchSettings = SearchSettings()
    prior: str | None = None
    prior_weight: float | None = None
    output: Path | None = None
    force: bool = False


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
        UsageError: nobody is named, or in more than one way; options that cannot be, or not
            together.
        DataError: a user id, a typed title or a listed item is unknown; a new catalog that cannot
            be read, or not by the run's model.
        WorkspaceError: there is no finished run, or the output exists.
    """
    _check(request)
    folder = workspace.find_run(request.dataset, request.run)
    dataset = load_dataset(workspace.find_dataset(read_run(folder)["dataset"]))
    people = find_people(request.asked, dataset, progress)
    offer = read_catalog(request.catalog, progress) if request.catalog else offer_of(dataset)
    allowed = allowed_items(offer, request.only, request.without)
    system = _system(request, folder, dataset, workspace.fitted(dataset.name), progress)
    run = system.main if isinstance(system, Hybrid) else system
    assert isinstance(run, GenRec)  # never a baseline: `predict` asks runs
    run.only = allowed
    if request.catalog:
        run.replace_catalog(offer.titles)
    desk = _Desk(system, dataset, offer)
    users: list[dict[str, Any]] = []
    with progress.task("recommending", len(people), "users") as task:
        for batch in _batches(people):
            users.extend(desk.serve(batch, request.k, explain=request.explain))
            task.advance(len(batch))
    if request.output is not None:
        write_recommendations(request.output, users)
    return PredictReport(folder.name, request.k, users, request.output)


def _check(request: PredictRequest) -> None:
    request.asked.check()
    if request.k < 1:
        raise UsageError(f"-k must be at least 1, not {request.k}")
    check_search(request.search)
    weight = request.prior_weight
    if weight is not None and (request.prior is None or not 0 <= weight < math.inf):
        raise UsageError(
            f"--prior-weight {weight:g} needs a --prior, and must be a number from 0 on"
        )
    if request.prior is not None and (request.catalog or request.search.method == "free"):
        raise UsageError("a prior knows the dataset's items only, and needs the trie")
    if request.output is not None:
        check_output(request.output, force=request.force, explained=request.explain)


def _system(
    request: PredictRequest, folder: Path, dataset: Dataset, shelf: Path, progress: Progress
) -> GenRec | Hybrid:
    """The run, with its prior if it has one, ready to rank; `shelf` keeps fitted priors."""
    prior = find_prior(request.prior)() if request.prior else None
    progress.note(f"loading run {folder.name}")
    run = GenRec(folder, request.search)
    run.fit(dataset, seed=0)
    if prior is None:
        return run
    fitter = Fitter(dataset, shelf, progress)
    fitter.fit(prior, seed=0)
    system = Hybrid(run, prior, request.prior_weight)
    system.join(dataset)
    if system.weight is None:
        recall_weight(system, folder / f"prior-{prior.name}.json", fitter.known, 0, progress)
    return system


class _Desk:
    """Recommends, and writes down what it recommends.

    Args:
        recommender: has been fitted.
        dataset: has the histories' items.
        offer: has the recommender's items.
    """

    def __init__(self, recommender: GenRec | Hybrid, dataset: Dataset, offer: Offer) -> None:
        self._recommender = recommender
        self._dataset = dataset
        self._offer = offer
        self._numbers = offer.numbers_of(dataset.item_ids)

    def serve(self, people: Sequence[Person], k: int, *, explain: bool) -> Iterator[dict[str, Any]]:
        """Yield each person's part of the JSON document."""
        histories = [person.history for person in people]
        ranking = self._recommender.rank(histories, k, [self._seen(items) for items in histories])
        reasons = self._recommender.explain(histories, ranking) if explain else None
        for row, person in enumerate(people):
            entries = self._entries(ranking, row)
            if reasons is not None:
                for place, entry in entries.items():
                    entry["explanation"] = reasons[row][place]
            yield {
                "user_id": person.user_id,
                "history": [self._dataset.titles[item] for item in person.history],
                "exact": bool(ranking.exact[row]),
                "recommendations": list(entries.values()),
            }

    def _seen(self, history: Items) -> Items:
        """A history's items that are offered, too."""
        numbers = self._numbers[history]
        return numbers[numbers >= 0]

    def _entries(self, ranking: Ranking, row: int) -> dict[int, dict[str, Any]]:
        """What one person is recommended, by its place in the ranking; some may be empty."""
        items = ranking.items[row].tolist()  # written freely, one may come twice
        places = [place for place, item in enumerate(items) if 0 <= item not in items[:place]]
        entries = {}
        for rank, place in enumerate(places, start=1):
            item, score = int(ranking.items[row, place]), float(ranking.scores[row, place])
            item_id, title = self._offer.item_ids[item], self._offer.titles[item]
            entries[place] = {"rank": rank, "item_id": item_id, "title": title, "score": score}
        return entries


def _batches(people: Sequence[Person]) -> Iterator[Sequence[Person]]:
    for start in range(0, len(people), _USERS_AT_ONCE):
        yield people[start : start + _USERS_AT_ONCE]
