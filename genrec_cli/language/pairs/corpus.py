"""A dataset as an encoder-decoder reads and writes it."""

import numpy as np

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import Cases
from genrec_cli.decoding.trie import TokenTrie
from genrec_cli.language.examples import Example
from genrec_cli.language.pairs.encoder import PairEncoder
from genrec_cli.language.pairs.examples import PairExamples, PairWriter
from genrec_cli.language.pairs.lexicon import Lexicon
from genrec_cli.language.pairs.masked import Masked
from genrec_cli.language.pairs.p5 import P5
from genrec_cli.language.pairs.phrasing import Phrasing
from genrec_cli.language.pairs.targets import TargetWindows
from genrec_cli.language.pairs.wordings import HISTORY
from genrec_cli.language.prompt import Prompt, TitleTokens, Tokenizer


def make_pair_encoder(
    dataset: Dataset,
    tokenizer: Tokenizer,
    items: TitleTokens,
    prompt: Prompt,
    settings: FinetuneSettings,
) -> PairEncoder:
    """How a run of p5 or masked writes histories.

    Args:
        dataset: whose items and users they are of.
        tokenizer: of the base model or the run.
        items: as they are written.
        prompt: of the run.
        settings: of the run.
    """
    lexicon = Lexicon.of(dataset, items, tokenizer, settings)
    phrasing: Phrasing
    if settings.method == "p5":
        asked = f"{prompt.before}{HISTORY}{prompt.after}"
        phrasing = P5(lexicon, tokenizer, asked, settings)
    else:
        phrasing = Masked(lexicon, tokenizer, settings.anonymous)
    return PairEncoder(lexicon, phrasing, settings.max_length)


def pair_examples(
    dataset: Dataset, encoder: PairEncoder, trie: TokenTrie, settings: FinetuneSettings
) -> PairExamples:
    """Every target of the training parts, to be written when it is drawn."""
    windows = TargetWindows(dataset, encoder.lexicon.read_lengths, encoder.room, settings)
    return PairExamples(windows, _writer(encoder, trie), settings.seed)


def held_out_pairs(cases: Cases, encoder: PairEncoder, trie: TokenTrie) -> list[Example]:
    """Held-out items as examples."""
    writer = _writer(encoder, trie)
    readings = encoder.prompts(cases.histories, cases.rows.tolist())
    answers: list[int] = cases.targets.tolist()
    return [writer.example(*pair) for pair in zip(readings, answers, strict=True)]


def _writer(encoder: PairEncoder, trie: TokenTrie) -> PairWriter:
    nodes = trie.walk(encoder.titles.flat, encoder.titles.offsets)
    return PairWriter(encoder, nodes.astype(np.int32, copy=False))
