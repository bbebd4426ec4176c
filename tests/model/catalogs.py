"""What the tests of the loss share: made catalogs, examples, and the loss computed naively."""

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from made_world import targets_of
from tiny import Title, adapted, tiny_llama
from torch import Tensor

from genrec_cli.core.settings import Normaliser
from genrec_cli.decoding.trie import TokenTrie, build_trie
from genrec_cli.language.examples import Example, Writer
from genrec_cli.language.masking import Masking
from genrec_cli.language.objective import LossModel, TitleLoss
from genrec_cli.language.packing import Counts, Pack, join, weighed
from genrec_cli.language.prompt import Encoder, TitleTokens
from genrec_cli.language.windows import Window

HEAD, TAIL = (20, 21, 22), (23,)
MASKING = Masking(np.array([24, 0], np.int32), np.array([25, 26], np.int32))
MAKERS: dict[str, Callable[[], Any]] = {
    "llama": tiny_llama,
    "tied": lambda: tiny_llama(tie_word_embeddings=True),
    "peft": lambda: adapted(tiny_llama()),
    "peft tied": lambda: adapted(tiny_llama(tie_word_embeddings=True)),
}


class Catalog(NamedTuple):
    """Titles, and what is made of them."""

    titles: list[Title]
    encoder: Encoder
    trie: TokenTrie

    @property
    def writer(self) -> Writer:
        """Writes windows."""
        tokens = self.encoder.titles
        return Writer(self.encoder, self.trie.walk(tokens.flat, tokens.offsets))

    def examples(self, windows: Sequence[Window]) -> list[Example]:
        """Next titles of windows."""
        return [self.writer.next_titles(window) for window in windows]

    def mixed(self, count: int, seed: int) -> list[Example]:
        """Next and hidden titles of random windows."""
        rng, windows = np.random.default_rng(seed), random_windows(self, count, seed)
        hidden = [self.writer.hidden_titles(window, MASKING, rng) for window in windows]
        return [*self.examples(windows), *hidden]


def catalog_of(titles: list[Title], after: Sequence[int] = TAIL) -> Catalog:
    """Titles that stand between HEAD and what comes after a history."""
    offsets = np.cumsum([0, *map(len, titles)]).astype(np.int64)
    flat = np.array([token for title in titles for token in title], dtype=np.int32)
    head, tail = np.array(HEAD, dtype=np.int32), np.array(after, dtype=np.int32)
    return Catalog(titles, Encoder(head, TitleTokens(flat, offsets), 200, tail), build_trie(titles))


def random_windows(catalog: Catalog, count: int, seed: int) -> list[Window]:
    rng = random.Random(seed)
    everything = range(len(catalog.titles))
    return [
        Window(np.array(rng.choices(everything, k=rng.randint(4, 12)), np.int32), rng.randint(1, 3))
        for _ in range(count)
    ]


def batch_of(examples: Sequence[Example], mask_weight: float = 1.0) -> dict[str, Tensor]:
    """One optimiser step's, weighed."""
    batch = join([examples])
    return weighed(batch, Counts.of(batch), mask_weight)


def pack_of(examples: Sequence[Example]) -> Pack:
    """Examples in the order given; each title counts one."""
    return Pack(
        tokens=torch.cat([torch.from_numpy(e.tokens).long() for e in examples]),
        nodes=torch.cat([torch.from_numpy(e.nodes).long() for e in examples]),
        weights=torch.ones(sum(len(e.tokens) for e in examples)),
        lengths=tuple(len(e.tokens) for e in examples),
    )


def loss_of(model: Any, catalog: Catalog, examples: Sequence[Example]) -> Tensor:
    """The loss by the catalog's softmax, of one pack; each title counts one."""
    loss: Tensor = LossModel(model, TitleLoss(catalog.trie))(pack_of(examples))
    return loss


def naive_loss(
    model: Any,
    titles: Sequence[Title],
    examples: Sequence[Example],
    mask_weight: float,
    over: Normaliser,
) -> Tensor:
    """Mean nats of next titles, and of hidden ones by their weight.

    Each example is read by itself, by the model's own attention, and each target token is scored
    among the whole vocabulary, masked to what goes on in some title as this one begins.
    """
    counts = [
        sum(targets_of(e) for e in examples if e.masked == masked) for masked in (False, True)
    ]
    total = torch.zeros(())
    for example in examples:
        weight = mask_weight / counts[1] if example.masked else 1 / counts[0]
        tokens = example.tokens.tolist()
        logits = model(input_ids=torch.tensor([tokens])).logits[0].float()
        begin = 0
        for place in np.flatnonzero(example.nodes >= 0).tolist():
            if example.nodes[place] == 0:
                begin = place
            so_far = tuple(tokens[begin:place])
            allowed = {t[len(so_far)] for t in titles if t[: len(so_far)] == so_far}
            scores = logits[place - 1]
            if over == "catalog":
                barred = torch.tensor([token not in allowed for token in range(len(scores))])
                scores = scores.masked_fill(barred, -torch.inf)
            total = total - weight * scores.log_softmax(0)[tokens[place]]
    return total


def gradients(model: Any) -> dict[str, Tensor]:
    """Of all parameters that are trained."""
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    return {name: p.grad for name, p in trained.items() if p.grad is not None}
