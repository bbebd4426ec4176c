"""The trie-masked loss: a softmax over the tokens that the catalog allows, and over no others.

At each token of a target title the distribution runs over the children of the trie node reached
so far (MSL, Wang et al. 2025; the same distribution that the search uses), so the probabilities
of all titles sum to one. Forced tokens have probability one and need no logits, and only
language-model head rows of tokens that are allowed are ever computed.

Shapes: T tokens, M decisions (target tokens chosen among several), D width.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from genrec_cli.core.settings import FinetuneSettings, Normaliser
from genrec_cli.decoding.trie import TokenTrie
from genrec_cli.language.choices import Choices, TrieChoices, VocabularyChoices
from genrec_cli.language.headloss import HeadLoss
from genrec_cli.language.networks import base_model, head_weight
from genrec_cli.language.packing import ATTENTION, Pack
from genrec_cli.language.pairs.network import paired_hidden
from genrec_cli.language.pairs.pack import PairPack


class TitleLoss:
    """Negative log-probability of titles, in nats.

    Args:
        trie: the catalog; its nodes number the positions of targets.
        normaliser: tokens that share a probability of one.
        catalog_head: compute only logits of tokens that are allowed.
    """

    def __init__(
        self, trie: TokenTrie, normaliser: Normaliser = "catalog", *, catalog_head: bool = True
    ) -> None:
        self._choices: Choices = TrieChoices(trie)
        if normaliser == "vocabulary" or not catalog_head:
            self._choices = VocabularyChoices(trie if normaliser == "catalog" else None)

    @classmethod
    def of(cls, trie: TokenTrie, settings: FinetuneSettings) -> "TitleLoss":
        """The loss that settings ask for."""
        return cls(trie, settings.normaliser, catalog_head=settings.catalog_head)

    def __call__(self, hidden_TD: Tensor, pack: Pack | PairPack, head: Tensor) -> Tensor:
        """Weighted sum of -log p over the target tokens of a pack.

        Args:
            hidden_TD: last hidden states.
            pack: what was read, on the CPU.
            head: weight of the language-model head, [vocabulary of the tokenizer, D].
        """
        # A token is chosen at the hidden state before it; the first of an example is no target.
        chosen = self._choices(pack.nodes[1:], pack.tokens[1:], pack.weights[1:])
        total: Tensor = HeadLoss.apply(hidden_TD[:-1], head, chosen)  # type: ignore[no-untyped-call]
        return total


class LossModel(nn.Module):
    """A model that reads packs and gives their loss; what the Trainer runs and DDP wraps.

    Args:
        network: a causal language model or an encoder-decoder, PEFT or not.
        loss: of its hidden states.
    """

    def __init__(self, network: Any, loss: TitleLoss) -> None:
        super().__init__()
        self.network = network
        self._loss = loss

    def forward(self, pack: Pack | PairPack) -> Tensor:
        """Weighted sum of -log p over the targets of a pack."""
        if isinstance(pack, PairPack):
            hidden = paired_hidden(self.network, pack)
        else:
            hidden = packed_hidden(self.network, pack)
        return self._loss(hidden, pack, head_weight(self.network))


def packed_hidden(network: Any, pack: Pack) -> Tensor:
    """Hidden states before the language-model head, [T, D]."""
    decoder = base_model(network).get_decoder()
    # A gradient-checkpointed layer reads the name again in the backward pass, so it stays.
    decoder.config._attn_implementation = ATTENTION
    device = head_weight(network).device
    states: Tensor = decoder(
        input_ids=pack.tokens[None].to(device),
        position_ids=pack.positions()[None].to(device),
        use_cache=False,
        pack=pack,
    ).last_hidden_state
    return states[0]


@contextmanager
def attention_restored(network: Any) -> Iterator[None]:
    """Let a model that reads packs meanwhile read other texts afterwards."""
    config = base_model(network).get_decoder().config
    before = config._attn_implementation
    try:
        yield
    finally:
        config._attn_implementation = before
