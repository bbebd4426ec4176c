"""The base models that are built, not loaded: nano, nano-t5 and nano-bart."""

from collections.abc import Sequence
from typing import Any

from genrec_cli.language.backbones import nano, nano_pairs
from genrec_cli.language.backbones.names import NANO_PAIRS, Source
from genrec_cli.language.backbones.vocabulary import add_words
from genrec_cli.language.prompt import Tokenizer


def train_tokenizer(source: Source, texts: Sequence[str], added: Sequence[str]) -> Tokenizer:
    """Train a built model's tokenizer on texts; each word of `added` is one token in it."""
    if source.name in NANO_PAIRS:
        return nano_pairs.train_pair_tokenizer(texts, added)
    tokenizer = nano.train_tokenizer(texts)
    add_words(tokenizer, added)
    return tokenizer


def build(
    source: Source,
    vocabulary: int,
    max_length: int,
    dropout: float,
    seed: int,
    noise: bool = True,
) -> Any:
    """Build an untrained model.

    Args:
        source: of kind nano.
        vocabulary: tokens of the tokenizer.
        max_length: most tokens in a window.
        dropout: of nano's attention, or of all that T5 and BART drop out.
        seed: of the weights.
        noise: whether the embeddings of items stay as they are drawn; only nano-t5 asks.
    """
    if source.name == "nano-t5":
        return nano_pairs.build_t5(vocabulary, dropout, seed, noise)
    if source.name == "nano-bart":
        return nano_pairs.build_bart(vocabulary, max_length, dropout, seed)
    return nano.build(vocabulary, max_length, dropout, seed)
