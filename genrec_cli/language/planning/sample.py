"""A piece of a training step: what is read when a step is timed."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.language.corpus import Corpus
from genrec_cli.language.examples import Example
from genrec_cli.language.packing import Counts, Pack, join, micro_batches, weighed
from genrec_cli.language.pairs.examples import PairExamples
from genrec_cli.language.pairs.pack import PairPack, pair_packs
from genrec_cli.language.sampler import EndlessOrder


class Sample(NamedTuple):
    """A pack as training reads them, and how many like it an optimiser step reads."""

    pack: Pack | PairPack
    packs: float


def sample_pack(corpus: Corpus, tokens: int, settings: FinetuneSettings) -> Sample:
    """A pack of about so many tokens, drawn as in training.

    Args:
        corpus: what is read.
        tokens: of the pack, padding included, where there is any.
        settings: of the run.
    """
    training = corpus.training
    if isinstance(training, PairExamples):
        return _sampled_pairs(training, tokens, settings)
    drawn: list[list[Example]] = []
    total = 0
    for draw in EndlessOrder(len(training), len(training), 0):
        examples = training[draw]
        size = sum(len(example.tokens) for example in examples)
        if drawn and total + size > tokens:
            break
        drawn.append(examples)
        total += size
    batch = _weighed(drawn, settings)
    pack = next(micro_batches(batch, 2 * total * len(drawn), packing=settings.packing))
    in_step = training.tokens / len(training) * settings.batch_size
    return Sample(pack, in_step / len(pack.tokens))


def _sampled_pairs(training: PairExamples, tokens: int, settings: FinetuneSettings) -> Sample:
    """The middle one of the packs that a batch is cut into; they are sorted by length."""
    order = EndlessOrder(len(training), settings.batch_size, 0)
    batch = _weighed([training[draw] for draw in order], settings)
    packs = [*pair_packs(batch, tokens)]
    middle = packs[len(packs) // 2]
    return Sample(middle, sum(map(_cells, packs)) / _cells(middle))


def _cells(pack: PairPack) -> int:
    """Tokens, padding included."""
    return pack.read.numel() + pack.written.numel()


def _weighed(drawn: Sequence[Sequence[Example]], settings: FinetuneSettings) -> dict[str, Tensor]:
    batch = join(drawn)
    return weighed(batch, Counts.of(batch), settings.mask_weight or 1.0)
