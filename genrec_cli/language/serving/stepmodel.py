"""A Hugging Face causal language model as the searches see it (`decoding.steps`).

Every prompt is run once, and what all of them begin with once for all. Tokens of the tree are
appended behind the prompt of their user, and each sees the prompt, its ancestors and itself:
nothing is copied from beam to beam and nothing is reordered.

Shapes: B users, T new tokens, S places of a user, M rows, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import torch
from torch import Tensor

from genrec_cli.decoding.ragged import Float64, Int64
from genrec_cli.language.networks import base_model
from genrec_cli.language.serving.attention import tree_attention
from genrec_cli.language.serving.head import Head
from genrec_cli.language.serving.layout import KeyValues, PromptPass, TreePass
from genrec_cli.language.serving.passes import PassMaker
from genrec_cli.language.serving.slots import SlotTable

_ROOM: Final = 64  # tokens behind each prompt, to begin with


class TreeModel:
    """Runs prompts; implements `decoding.steps.StepModel`.

    Args:
        model: a causal language model in evaluation mode, PEFT or not.
    """

    def __init__(self, model: Any) -> None:
        self._decoder = Decoder(base_model(model).get_decoder())
        self._head = Head.of(model)

    @property
    def bytes_per_token(self) -> int:
        """Memory of one token's keys and values."""
        config = self._decoder.layers.config
        heads = config.num_attention_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // heads
        heads //= self._decoder.groups
        return 2 * int(config.num_hidden_layers * heads * width * self._head.dtype.itemsize)

    def start(self, prompts: Sequence[Sequence[int]]) -> "TreeSession":
        """Run every prompt once."""
        return TreeSession(self._decoder, self._head, prompts)


class Runner(Protocol):
    """The layers of a model, without the language-model head, run over packed tokens."""

    @property
    def groups(self) -> int:
        """Heads that share one head of keys."""

    @property
    def relative(self) -> bool:
        """Whether attention depends on the distances between tokens."""

    def run(self, tokens: Int64, at: Int64, tree: PromptPass | TreePass) -> Tensor:
        """Hidden states of packed tokens, [T, D].

        Args:
            tokens: [T].
            at: their positions in their users' texts, [T].
            tree: what each of them sees.
        """


@dataclass(frozen=True)
class Decoder:
    """The layers of a causal language model; see `Runner`.

    Attributes:
        layers: a transformers decoder, without the language-model head.
    """

    layers: Any
    relative: bool = False

    @property
    def groups(self) -> int:
        """Heads that share one head of keys."""
        config = self.layers.config
        heads: int = config.num_attention_heads
        return heads // (getattr(config, "num_key_value_heads", None) or heads)

    def run(self, tokens: Int64, at: Int64, tree: PromptPass | TreePass) -> Tensor:
        """Hidden states of packed tokens, [T, D]."""
        device = next(self.layers.parameters()).device
        with tree_attention(self.layers.config):
            output = self.layers(
                input_ids=torch.from_numpy(tokens)[None].to(device),
                position_ids=torch.from_numpy(at)[None].to(device),
                use_cache=False,
                tree=tree,
            )
        hidden: Tensor = output.last_hidden_state[0]
        return hidden


class TreeSession:
    """Prompts that have been run, and the tree behind each; see `decoding.steps.Session`.

    Args:
        decoder: the layers.
        head: the language-model head.
        prompts: token ids of each user, none empty.
    """

    def __init__(self, decoder: Runner, head: Head, prompts: Sequence[Sequence[int]]) -> None:
        self._decoder = decoder
        self._head = head
        self._make = PassMaker(decoder.groups, decoder.relative, head.device, head.dtype)
        lengths = [len(prompt) for prompt in prompts]
        self._slots = SlotTable(lengths)
        self._cache = KeyValues(len(prompts), max(lengths) + _ROOM)
        with torch.inference_mode():
            self._hidden = self._read([np.asarray(prompt, dtype=np.int64) for prompt in prompts])

    @property
    def users(self) -> int:
        """Number of prompts."""
        return len(self._slots.prompt)

    @property
    def size(self) -> int:
        """Slots so far."""
        return len(self._slots.user)

    @torch.inference_mode()
    def extend(self, parents: Int64, tokens: Int64) -> Int64:
        """Append tokens behind their parents; see `decoding.steps.Session`."""
        slots = self._slots.append(parents)
        self._make_room()
        tree = self._make.tree(self._cache, self._slots, slots)
        hidden = self._decoder.run(tokens, self._slots.positions[slots], tree)
        self._hidden[self._cells(slots)] = hidden
        return slots

    @torch.inference_mode()
    def logits(self, slots: Int64, rows: Int64, tokens: Int64) -> Float64:
        """Logits of chosen tokens after chosen slots."""
        return self._head.logits(self._hidden[self._cells(slots)], rows, tokens)

    @torch.inference_mode()
    def log_totals(self, slots: Int64) -> Float64:
        """Log of the summed exponentials of all logits after chosen slots."""
        return self._head.log_totals(self._hidden[self._cells(slots)])

    def forget(self, user: int) -> None:
        """Let the next tokens of a user overwrite her tree."""
        self._slots.forget(user)

    def _read(self, prompts: list[Int64]) -> Tensor:
        """Run the prompts; hidden states at their ends, with room for the trees', [B, S, D]."""
        shared = _shared(prompts)
        rests = [prompt[shared:] for prompt in prompts]
        lengths = [len(rest) for rest in rests]
        tokens = np.concatenate([prompts[0][:shared], *rests])
        at = np.concatenate([np.arange(shared), *(np.arange(n) + shared for n in lengths)])
        hidden = self._decoder.run(tokens, at, self._make.prompts(self._cache, shared, lengths))
        states = hidden.new_zeros((len(prompts), 1 + _ROOM, hidden.shape[1]))
        states[:, 0] = hidden[torch.from_numpy(shared + np.cumsum(lengths) - 1)]
        return states

    def _make_room(self) -> None:
        """Double the places behind the prompts until the trees fit."""
        needed, there = int(self._slots.grown.max()), self._hidden.shape[1] - 1
        if needed <= there:
            return
        room = max(needed, 2 * there)
        self._cache.grow(self._cache.places + room - there)
        self._hidden = torch.nn.functional.pad(self._hidden, (0, 0, 0, room - there))

    def _cells(self, slots: Int64) -> tuple[Tensor, Tensor]:
        """Where the hidden states of slots are."""
        return (
            self._make.tensor(self._slots.user[slots]),
            self._make.tensor(self._slots.index[slots]),
        )


def _shared(prompts: list[Int64]) -> int:
    """How many tokens all prompts begin with; each keeps one of its own at least."""
    if len(prompts) == 1:
        return 0
    shortest = min(len(prompt) for prompt in prompts) - 1
    stacked = np.stack([prompt[:shortest] for prompt in prompts])
    differ = (stacked != stacked[0]).any(axis=0)
    return int(np.argmax(differ)) if differ.any() else shortest
