"""What a search needs of a language model: prompts that are read once, and a tree behind each.

Numbers only, no tensors: the searches do not know which library runs the model, nor where.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from genrec_cli.decoding.ragged import Float64, Int64

Prompt = TypeVar("Prompt", contravariant=True)
"""What a model reads of one user: token ids, or what else it is asked with."""


class Session(Protocol):
    """A batch of prompts that the model has read, and a growing tree of tokens behind each.

    Every token has a slot. Slot `u` below `users` is the end of user `u`'s prompt; tokens that are
    appended get the next numbers, one after the other, whomever they belong to.
    """

    @property
    def users(self) -> int:
        """Number of prompts, B."""

    @property
    def size(self) -> int:
        """Slots so far: the number of the next one."""

    def extend(self, parents: Int64, tokens: Int64) -> Int64:
        """Append tokens; each sees its user's prompt, its ancestors and itself.

        Args:
            parents: [T], slots of the tokens before; they may be appended by the same call, at a
                lower place.
            tokens: [T].

        Returns:
            The new slots, [T], rising by one.
        """

    def logits(self, slots: Int64, rows: Int64, tokens: Int64) -> Float64:
        """Logits of a few next tokens.

        Args:
            slots: [M].
            rows: [T], places in `slots`.
            tokens: [T], what might follow.

        Returns:
            Logit of `tokens[i]` after slot `slots[rows[i]]`, [T].
        """

    def log_totals(self, slots: Int64) -> Float64:
        """Natural log of the summed exponentials of all the vocabulary's logits, [M]."""

    def forget(self, user: int) -> None:
        """Drop the tree behind a prompt, to free its memory; its slots are not used again."""


class StepModel(Protocol[Prompt]):
    """A language model that can be asked for a few logits at a time."""

    def start(self, prompts: Sequence[Prompt]) -> Session:
        """Run every prompt once."""
