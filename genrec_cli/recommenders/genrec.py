"""GenRec: a fine-tuned language model that writes the title of the next item."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genrec_cli.core.errors import UsageError
from genrec_cli.core.settings import SearchSettings
from genrec_cli.core.sourcecode import code_hash
from genrec_cli.core.workspace import RUN_MANIFEST
from genrec_cli.data.dataset import Dataset
from genrec_cli.decoding.explain import explain
from genrec_cli.decoding.grounding import Grounder
from genrec_cli.decoding.question import Question
from genrec_cli.decoding.ragged import BoolArray
from genrec_cli.decoding.search import EXACT, search
from genrec_cli.language.run import LoadedRun, load_run
from genrec_cli.language.serving.freely import write_freely
from genrec_cli.language.wording import Explanation, worded
from genrec_cli.recommenders.base import Items, Ranking, Scores


class GenRec:
    """A finished run; ranks by log p(title | history) under the catalog's trie.

    Args:
        folder: of the run.
        settings: how its titles are searched.

    Attributes:
        only: bool [items], what anybody may get; None: the whole catalog.
    """

    def __init__(self, folder: Path, settings: SearchSettings = EXACT) -> None:
        self.name = folder.name
        self.only: BoolArray | None = None
        self._folder = folder
        self._settings = settings
        self._run: LoadedRun | None = None
        self._grounder: Grounder | None = None

    def fit(self, dataset: Dataset, seed: int) -> None:
        """Load the run, which was trained by `genrec finetune`; nothing is random."""
        self._run = run = load_run(self._folder, dataset)
        if self._settings.method == "free" and not run.writes_plain_titles:
            raise UsageError(
                f"run '{self.name}' is no causal model of titles, and cannot be searched freely",
                "leave out --search free",
            )
        if self._settings.over is None:
            over = {"over": run.manifest["settings"]["normaliser"]}
            self._settings = self._settings.model_copy(update=over)
        self._titles: Sequence[str] = dataset.titles

    def replace_catalog(self, titles: Sequence[str]) -> None:
        """Rank other titles from now on; histories are still of the dataset's items.

        Raises:
            DataError: the model's tokenizer cannot tell two titles apart, or one is too long.
        """
        self._run = self._loaded().on_catalog(titles)
        self._titles, self._grounder = titles, None

    def rank(self, histories: Sequence[Items], k: int, exclude: Sequence[Items]) -> Ranking:
        """The k titles that the search finds."""
        return self.rank_each(histories, k, exclude, [None])[0]

    def rank_each(
        self,
        histories: Sequence[Items],
        k: int,
        exclude: Sequence[Items],
        priors: Sequence[Scores | None],
    ) -> list[Ranking]:
        """The k best items under each of several priors; the histories are read once.

        Args:
            histories: of B people.
            k: items for each.
            exclude: items that each must not get.
            priors: float32 [B, items], added to the items' log-probabilities.
        """
        step = self._loaded().users_at_once
        parts = [
            self._rank(histories[part], k, exclude[part], [_rows(prior, part) for prior in priors])
            for start in range(0, len(histories), step)
            for part in [slice(start, start + step)]
        ]
        return [_joined(rankings) for rankings in zip(*parts, strict=True)]

    def explain(self, histories: Sequence[Items], ranking: Ranking) -> list[list[Explanation]]:
        """The choices along each recommended title, by person and place; none at padding."""
        run, step = self._loaded(), self._loaded().users_at_once
        explained = []
        for start in range(0, len(histories), step):
            part = slice(start, start + step)
            session = run.model.start(run.prompts(histories[part]))
            explained.extend(explain(session, run.trie, list(ranking.items[part])))
        return [[worded(run.tokenizer, choices) for choices in row] for row in explained]

    def identity(self) -> Mapping[str, Any]:
        """The run, by its manifest, how it is searched, and code."""
        manifest = hashlib.sha256((self._folder / RUN_MANIFEST).read_bytes()).hexdigest()
        code = code_hash("recommenders.genrec")
        return {"run": manifest, "search": self._settings.model_dump(mode="json"), "code": code}

    def describe(self) -> Mapping[str, Any]:
        """The run's manifest, and how it was searched."""
        return {**self._loaded().manifest, "search": self._settings.model_dump(mode="json")}

    def _rank(
        self,
        histories: Sequence[Items],
        k: int,
        exclude: Sequence[Items],
        priors: Sequence[Scores | None],
    ) -> list[Ranking]:
        run = self._loaded()
        prompts = run.prompts(histories)
        if self._settings.method == "free":
            return [self._write(prompts, k, exclude)]
        session = run.model.start(prompts)
        rankings = []
        for prior in priors:
            question = Question(k, exclude, self.only, prior)
            rankings.append(search(session, run.trie, question, self._settings, run.effort))
            for user in range(session.users):
                session.forget(user)
        return rankings

    def _write(self, prompts: Sequence[Sequence[int]], k: int, exclude: Sequence[Items]) -> Ranking:
        """What the model writes without the trie; -1 where that is no item, or not an allowed one.

        An item may come twice; the paper counts such lists, too.
        """
        run = self._loaded()
        longest = int(run.trie.depth.max())
        lines, scores = write_freely(run.network, run.tokenizer, prompts, k, longest)
        if self._grounder is None:
            self._grounder = Grounder(self._titles)
        matches = self._grounder.ground_all([line for row in lines for line in row])
        numbers = [-1 if match.item is None else match.item for match in matches]
        items = np.array(numbers, dtype=np.int32).reshape(len(prompts), k)
        for row, seen in zip(items, exclude, strict=True):
            row[np.isin(row, seen)] = -1
            if self.only is not None:
                row[~self.only[row]] = -1
        return Ranking(items, scores, np.zeros(len(prompts), dtype=bool))

    def _loaded(self) -> LoadedRun:
        if self._run is None:
            raise RuntimeError("fit() loads the run and comes first")
        return self._run


def _rows(prior: Scores | None, part: slice) -> Scores | None:
    return None if prior is None else prior[part]


def _joined(parts: Sequence[Ranking]) -> Ranking:
    return Ranking(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
