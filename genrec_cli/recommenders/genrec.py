"""GenRec: a fine-tuned language model that writes the title of the next item."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from genrec_cli.data.dataset import Dataset
from genrec_cli.decoding.search import beam_search
from genrec_cli.language.run import LoadedRun, load_run
from genrec_cli.recommenders.base import Items, Ranking

_USERS_AT_ONCE: Final = 16
# Wide enough that the beam finds what a beam of 400 does (nano on ML-1M, 128 users; 20 beams find
# .96 of it at nine tenths of the time), and fixed, so that HR@5 does not depend on the other k.
_BEAMS: Final = 64


class GenRec:
    """A finished run; ranks by log p(title | history) under the catalog's trie.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self._folder = folder
        self._run: LoadedRun | None = None

    def fit(self, dataset: Dataset, seed: int) -> None:
        """Load the run, which was trained by `genrec finetune`; nothing is random."""
        self._run = load_run(self._folder, dataset)

    def rank(self, histories: Sequence[Items], k: int, exclude: Sequence[Items]) -> Ranking:
        """The k titles that a beam search in the trie finds."""
        parts = [
            self._rank(histories[i : i + _USERS_AT_ONCE], k, exclude[i : i + _USERS_AT_ONCE])
            for i in range(0, len(histories), _USERS_AT_ONCE)
        ]
        return Ranking(
            items=np.concatenate([part.items for part in parts]),
            scores=np.concatenate([part.scores for part in parts]),
        )

    def describe(self) -> Mapping[str, Any]:
        """The run's manifest, and how wide the search is."""
        return {**self._loaded().manifest, "beams": _BEAMS}

    def _rank(self, histories: Sequence[Items], k: int, exclude: Sequence[Items]) -> Ranking:
        run = self._loaded()
        prompts = [run.encoder.prompt(history) for history in histories]
        return beam_search(run.model, run.trie, prompts, k, exclude, beams=max(_BEAMS, k))

    def _loaded(self) -> LoadedRun:
        if self._run is None:
            raise RuntimeError("fit() loads the run and comes first")
        return self._run
