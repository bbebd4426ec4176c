"""Memory of a training run on one corpus and one device, under one or other settings."""

from dataclasses import dataclass

import numpy as np
import psutil

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.language.arguments import planned_steps
from genrec_cli.language.corpus import Corpus
from genrec_cli.language.hardware import Place
from genrec_cli.language.planning.anatomy import Anatomy
from genrec_cli.language.planning.budget import Load, memory_parts


@dataclass(frozen=True)
class Estimate:
    """How much memory a run takes under one or other settings, on one corpus and one device.

    Attributes:
        corpus: what is trained on.
        place: device and dtype.
        devices: processes that train together.
        program_gb: what this process has taken before the model.
    """

    corpus: Corpus
    place: Place
    devices: int = 1
    program_gb: float = 0.0

    def longest(self, settings: FinetuneSettings) -> int:
        """Tokens of the longest window: the least that must be in memory at a time."""
        return min(int(self.corpus.training.token_counts.max()), settings.max_length)

    def parts(
        self, anatomy: Anatomy, settings: FinetuneSettings, tokens: int, checkpointing: bool
    ) -> dict[str, float]:
        """Memory by part in GB, with the sum as "total"."""
        at_root = int(self.corpus.trie.n_children(np.array([0]))[0])
        steps = planned_steps(len(self.corpus.training), settings)
        load = Load(
            tokens=max(tokens, self.longest(settings)),
            checkpointing=checkpointing,
            choices=anatomy.config.vocab_size if settings.all_logits else at_root,
            devices=self.devices,
            trains=steps > 0,
        )
        parts = memory_parts(anatomy, settings, self.place, load)
        memory = {part: size / 1e9 for part, size in parts.items()}
        if self.place.device.type == "cpu":
            memory["program"] = self.program_gb
        return {**memory, "total": sum(memory.values())}


def estimate_for(corpus: Corpus, place: Place, devices: int = 1) -> Estimate:
    """An estimate that knows what this process has taken already."""
    taken = psutil.Process().memory_info().rss if place.device.type == "cpu" else 0
    return Estimate(corpus, place, devices, taken / 1e9)
