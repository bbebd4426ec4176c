"""What a Trainer is to teach, and how it is told whether it did."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.data.split import Cases
from genrec_cli.language.corpus import Corpus
from genrec_cli.language.team import Team

Validate = Callable[[Any, Cases], Mapping[str, float]]
"""Ranks held-out items with a network: the sum over users of each metric, such as NDCG@10."""


@dataclass(frozen=True)
class Lesson:
    """What a Trainer is to teach.

    Attributes:
        corpus: what is read.
        settings: how.
        micro_batch_tokens: tokens in memory at a time, to begin with.
        validate: ranks the validation items.
        team: the processes.
    """

    corpus: Corpus
    settings: FinetuneSettings
    micro_batch_tokens: int
    validate: Validate
    team: Team = field(default_factory=Team)
