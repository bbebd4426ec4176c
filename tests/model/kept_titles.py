"""What the tests of kept titles share: some titles, and what is kept of them."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from genrec_cli.decoding.trie import build_trie
from genrec_cli.language.backbones.nano import train_tokenizer
from genrec_cli.language.prompt import Tokenizer, tokenise_titles
from genrec_cli.language.tokenised import FOLDER, Tokenised

TITLES = ["Heat (1995)", "Alien (1979)", "Aliens (1986)", "Amélie (2001)"]
NANO = train_tokenizer(TITLES)


def made(titles: Sequence[str], tokenizer: Tokenizer) -> Tokenised:
    """Without anything kept."""
    tokens = tokenise_titles(tokenizer, titles)
    return Tokenised(tokens, build_trie((tokens.flat, tokens.offsets)))


def assert_same(found: Tokenised, expected: Tokenised) -> None:
    for name in ("flat", "offsets"):
        pair = getattr(found.titles, name), getattr(expected.titles, name)
        np.testing.assert_array_equal(*pair, strict=True)
    for field in fields(expected.trie):
        pair = getattr(found.trie, field.name), getattr(expected.trie, field.name)
        np.testing.assert_array_equal(*pair, strict=True)


def is_mapped(found: Tokenised) -> bool:
    return not found.trie.token.flags.writeable and not found.titles.flat.flags.writeable


def kept_in(folder: Path) -> list[Path]:
    """All that the cache of a dataset holds, half-made things too."""
    return sorted((folder / FOLDER).iterdir())
