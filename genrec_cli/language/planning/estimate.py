"""Memory of a training run on one corpus and one device, under one or other settings."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.language.arguments import planned_steps
from genrec_cli.language.corpus import Corpus, whole_words
from genrec_cli.language.hardware import Place
from genrec_cli.language.pairs.encoder import PairEncoder
from genrec_cli.language.pairs.examples import PairExamples
from genrec_cli.language.pairs.pack import MULTIPLE
from genrec_cli.language.planning.anatomy import Anatomy
from genrec_cli.language.planning.budget import Load, memory_parts
from genrec_cli.language.planning.pairbudget import Tokens


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
        """Tokens of the longest example, padded: the least that must be in memory at a time."""
        pair = self.longest_pair(settings)
        if pair is not None:
            return pair.read + pair.written
        return min(int(self.corpus.training.token_counts.max()), settings.max_length)

    def longest_pair(self, settings: FinetuneSettings) -> Tokens | None:
        """The longest reading, padded, and the longest answer; None: nothing is read apart."""
        training = self.corpus.training
        if not isinstance(training, PairExamples):
            return None
        encoder, windows = training.writer.encoder, training.windows
        read = min(int(windows.read.max()) + encoder.phrasing.overhead, settings.max_length)
        written = 1 + int(encoder.titles.lengths[windows.targets].max())
        return Tokens(read + -read % MULTIPLE, written)

    def least_read(self) -> int:
        """Fewest tokens that `max_length` must leave room for."""
        encoder = self.corpus.encoder
        if not isinstance(encoder, PairEncoder):
            return 0
        return encoder.phrasing.overhead + 2 * int(encoder.lexicon.read_lengths.max())

    def parts(
        self, anatomy: Anatomy, settings: FinetuneSettings, tokens: int, checkpointing: bool
    ) -> dict[str, float]:
        """Memory by part in GB, with the sum as "total"."""
        widest = int(np.diff(self.corpus.trie.first_child).max())
        steps = planned_steps(len(self.corpus.training), settings)
        load = Load(
            tokens=max(tokens, self.longest(settings)),
            checkpointing=checkpointing,
            choices=anatomy.config.vocab_size if settings.all_logits else widest,
            devices=self.devices,
            trains=steps > 0,
            longest=self.longest_pair(settings) or Tokens(0, 0),
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


def anatomy_for(corpus: Corpus, config: Any, settings: FinetuneSettings) -> Anatomy:
    """The anatomy of a base model that is trained on a corpus, which may have words of its own."""
    grown = copy.deepcopy(config)
    grown.vocab_size = max(config.vocab_size, 1 + int(corpus.encoder.titles.flat.max()))
    return Anatomy.of(grown, whole_words(corpus, settings))
