"""The token trie of made-up catalogs: what it takes to make and to map, and how fast it is.

    python benchmarks/trie.py [BASE_MODEL [TITLES ...]]

Titles have two to seven words of the tokenizer's vocabulary, frequent ones more often, and a year:
in SmolLM2's tokens they are about as long as those of ML-1M (11.2 tokens to 11.8), and share about
as many beginnings (10.4 nodes a title, at 4,000, to 10.6). Prints CPU seconds, for the machine may
be shared. "Mapped" is all that a command pays when the titles were tokenised before: hashing
titles and tokenizer, reading every file, mapping it. A gather looks up all tokens allowed at 80
nodes, the ancestors of random items.
"""

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrec_cli.decoding.ragged import Int64, positions
from genrec_cli.decoding.trie import TokenTrie, build_trie
from genrec_cli.decoding.triefile import load_trie, save_trie
from genrec_cli.language.backbones.load import load_tokenizer
from genrec_cli.language.backbones.names import find_source
from genrec_cli.language.prompt import Tokenizer, tokenise_titles
from genrec_cli.language.tokenised import tokenised

SIZES = ("4000", "62000", "1000000")
WORDS = (0, 0, 0.16, 0.34, 0.27, 0.13, 0.06, 0.04)  # share of titles with that many words
NODES = 80
DEPTHS = (0, 1, 5)


def make_titles(tokenizer: Tokenizer, count: int, rng: np.random.Generator) -> list[str]:
    """Different titles; a word's rank in the vocabulary decides how often it comes."""
    known = [word.lstrip("Ġ▁") for word, _ in sorted(tokenizer.get_vocab().items(), key=_second)]
    words = [word for word in dict.fromkeys(known) if re.fullmatch("[A-Z][a-z]+", word)]
    titles: dict[str, None] = {}
    while len(titles) < count:
        ranks = (len(words) * rng.random(len(WORDS)) ** 3).astype(int)
        length = rng.choice(len(WORDS), p=WORDS)
        name = " ".join(words[rank] for rank in ranks[:length])
        titles[f"{name} ({rng.integers(1920, 2026)})"] = None
    return list(titles)


def _second(pair: tuple[str, int]) -> int:
    return pair[1]


def nodes_at(trie: TokenTrie, depth: int, rng: np.random.Generator) -> Int64:
    """Ancestors of random items at a depth."""
    level = np.flatnonzero(trie.depth == depth)
    leaves = rng.integers(0, trie.n_items, NODES)
    found = level[np.searchsorted(trie.leaf_lo[level], leaves, side="right") - 1]
    return np.resize(found[leaves < trie.leaf_hi[found]], NODES)  # some titles are shorter


def gather(trie: TokenTrie, nodes: Int64) -> NDArray[np.int32]:
    """Tokens allowed at each node, as the search looks them up."""
    counts = trie.n_children(nodes)
    children = np.repeat(trie.first_child[nodes], counts) + positions(counts)
    tokens: NDArray[np.int32] = trie.token[children]
    return tokens


def seconds(function: Callable[[], Any], times: int) -> float:
    """CPU seconds of a call, the least of some."""
    taken = []
    for _ in range(times):
        start = time.process_time()
        function()
        taken.append(time.process_time() - start)
    return min(taken)


def main(base_model: str = "smollm2", *sizes: str) -> None:
    """Print two lines a size."""
    tokenizer = load_tokenizer(find_source(base_model))
    tokenizer("warm up")
    for size in map(int, sizes or SIZES):
        report(tokenizer, make_titles(tokenizer, size, np.random.default_rng(0)))


def report(tokenizer: Tokenizer, titles: list[str]) -> None:
    """Measure one catalog."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        cold = seconds(lambda: tokenise_titles(tokenizer, titles), 1)
        first = seconds(lambda: tokenised(titles, tokenizer, folder), 1)
        tokens, trie = tokenised(titles, tokenizer, folder)
        mapped = seconds(lambda: tokenised(titles, tokenizer, folder), 5)
        build = seconds(lambda: build_trie((tokens.flat, tokens.offsets)), 3)
        save_trie(trie, folder)
        load = seconds(lambda: load_trie(folder), 5)
        arrays = [array for array in vars(trie).values() if isinstance(array, np.ndarray)]
        print(
            f"{len(titles):8d} titles  {len(tokens.flat) / len(titles):.1f} tokens and "
            f"{len(trie.token) / len(titles):.1f} nodes each, "
            f"{sum(array.nbytes for array in arrays) / 1e6:.1f} MB  tokenise {cold:.2f} s  "
            f"build {build:.3f} s  both and keep {first:.2f} s  mapped {mapped:.3f} s "
            f"(trie alone {load:.3f} s)"
        )
        for depth in DEPTHS:
            report_gather(trie, depth)


def report_gather(trie: TokenTrie, depth: int) -> None:
    """Measure gathers at a depth; an average, for one is shorter than the clock's tick."""
    nodes, repeats = nodes_at(trie, depth, np.random.default_rng(0)), 100
    each = seconds(lambda: [gather(trie, nodes) for _ in range(repeats)], 5) / repeats
    found = len(gather(trie, nodes))
    print(f"{'':8} gather at depth {depth}: {found:6d} children in {each * 1e6:.0f} µs")


if __name__ == "__main__":
    main(*sys.argv[1:])
