"""P5: recommendation as many wordings of a few tasks, with users and items as ids in the text.

Geng et al. 2022 (Recommendation as Language Processing, RecSys), with the whole-word embeddings
that tell the model which tokens are of one word: each word's place in the text.
"""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.language.pairs.lexicon import Lexicon, word_ids
from genrec_cli.language.pairs.phrasing import Phrased, asked_as, joined, known
from genrec_cli.language.pairs.wordings import DIRECT, HISTORY, SEQUENTIAL, SOMEBODY, USER
from genrec_cli.language.prompt import TokenIds, Tokenizer
from genrec_cli.language.reading import Reading
from genrec_cli.language.windows import Window

_SLOT: Final = re.compile(rf"({re.escape(USER)}|{re.escape(HISTORY)})")
_Part = TokenIds | str  # of a wording: a word, or the name of a slot
_Wording = Sequence[_Part]


class P5:
    """Phrases histories as P5's tasks; see `Phrasing`.

    Args:
        lexicon: items and users.
        tokenizer: of the wordings.
        asked: the wording of evaluation and serving.
        settings: of the run; `max_length` bounds the words of a reading, too.
    """

    def __init__(
        self,
        lexicon: Lexicon,
        tokenizer: Tokenizer,
        asked: str,
        settings: FinetuneSettings,
    ) -> None:
        def parsed(wordings: Sequence[str]) -> list[_Wording]:
            return [_parsed(wording, tokenizer) for wording in wordings]

        self._lexicon = lexicon
        (self._asked,) = parsed([asked])
        self._tasks = {"sequential": parsed(SEQUENTIAL), "direct": parsed(DIRECT)}
        (self._somebody,) = word_ids(tokenizer, SOMEBODY)
        self._direct = settings.task_weights.direct / settings.task_weights.total
        self._anonymous = settings.anonymous
        self.words = settings.max_length + 1

    @property
    def overhead(self) -> int:
        """Most tokens that a reading has beside its items."""
        user = max(self._lexicon.longest_user, len(self._somebody))
        wordings = [self._asked, *self._tasks["sequential"], *self._tasks["direct"]]
        return max(
            sum(len(part) for part in wording if not isinstance(part, str))
            + user * sum(isinstance(part, str) and part == USER for part in wording)
            for wording in wordings
        )

    def asked(self, history: NDArray[np.int32], user: int | None) -> Reading:
        """The history in the wording that training never saw."""
        return self._reading(self._asked, history, asked_as(user, self._anonymous))

    def trained(self, window: Window, user: int, hidden: bool, rng: np.random.Generator) -> Phrased:
        """One of the tasks, by their weights, in one of its wordings."""
        direct = rng.random() < self._direct
        wordings = self._tasks["direct" if direct else "sequential"]
        wording = wordings[int(rng.integers(len(wordings)))]
        who = user if direct else known(user, self._anonymous, rng)
        return Phrased(self._reading(wording, window.items[:-1], who), int(window.items[-1]))

    def _reading(self, wording: _Wording, history: NDArray[np.int32], user: int | None) -> Reading:
        words: list[TokenIds] = []
        for part in wording:
            if not isinstance(part, str):
                words.append(part)
            elif part == USER:
                words.append(self._somebody if user is None else self._lexicon.user(user))
            else:
                words.extend(self._lexicon.item(int(item)) for item in history)
        return joined([(word, place) for place, word in enumerate(words, start=1)])


def _parsed(wording: str, tokenizer: Tokenizer) -> _Wording:
    parts: list[_Part] = []
    for text in _SLOT.split(wording):
        parts.extend([text] if _SLOT.fullmatch(text) else word_ids(tokenizer, text))
    return parts
