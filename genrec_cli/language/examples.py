"""Windows written as token ids, with the trie nodes at which their targets are chosen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from genrec_cli.language.masking import Masking, masked_items
from genrec_cli.language.prompt import Encoder, TitleTokens, TokenIds
from genrec_cli.language.reading import Reading
from genrec_cli.language.sampler import Draw
from genrec_cli.language.windows import Window

NO_TARGET: Final = -1
Nodes = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Example:
    """A text to train on.

    Attributes:
        tokens: int32, [length].
        nodes: int32, [length]; the trie node at which a target's token is chosen, else -1.
        masked: whether its targets are titles that were hidden, not next ones.
        reading: what an encoder reads before; None: there is no encoder.
    """

    tokens: TokenIds
    nodes: Nodes
    masked: bool = False
    reading: Reading | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Tokens that an encoder reads, and the others."""
        return 0 if self.reading is None else len(self.reading), len(self.tokens)


class Writer:
    """Writes windows as examples.

    Args:
        encoder: how titles and what is around them are written.
        title_nodes: int32, as long as `encoder.titles.flat`; the node before each token.
    """

    def __init__(self, encoder: Encoder, title_nodes: Nodes) -> None:
        self.encoder = encoder
        self._nodes = TitleTokens(title_nodes, encoder.titles.offsets)

    def next_titles(self, window: Window) -> Example:
        """The window's titles; those from its first target on are predicted."""
        encoder, split = self.encoder, window.first_target
        context, targets = window.items[:split], window.items[split:]
        return self._example([encoder.head, *self._titles(context), encoder.tail], targets, False)

    def hidden_titles(self, window: Window, masking: Masking, rng: np.random.Generator) -> Example:
        """The window's titles, some of them hidden, and then what they were.

        Masked-item prediction (Cao and Lio 2024, after BERT4Rec, Sun et al. 2019) for a decoder:
        what was hidden is written behind the text, as in fill-in-the-middle (Bavarian et al. 2022).
        """
        items, hidden = masked_items(window.items, self.encoder, masking, rng)
        lines = [
            masking.line if hide else self.encoder.titles[int(item)]
            for item, hide in zip(items, hidden, strict=True)
        ]
        return self._example([self.encoder.head, *lines, masking.answers], items[hidden], True)

    def _example(
        self, before: Sequence[TokenIds], targets: NDArray[np.int32], masked: bool
    ) -> Example:
        context = np.concatenate(before)
        nodes = np.concatenate([self._nodes[int(item)] for item in targets])
        return Example(
            tokens=np.concatenate([context, *self._titles(targets)]),
            nodes=np.concatenate([np.full(len(context), NO_TARGET, dtype=np.int32), nodes]),
            masked=masked,
        )

    def _titles(self, items: NDArray[np.int32]) -> list[TokenIds]:
        return [self.encoder.titles[int(item)] for item in items]


class TrainingExamples(torch.utils.data.Dataset[list[Example]]):
    """Windows, written when they are drawn; a draw always gives the same text.

    Args:
        windows: what to write.
        writers: one for each wording of the prompt; a draw takes one of them.
        seed: of what a draw chooses.
        masking: how titles are hidden; None: in no window.
        both: whether every window is written twice, for next titles and for hidden ones.
    """

    def __init__(
        self,
        windows: Sequence[Window],
        writers: Sequence[Writer],
        seed: int = 0,
        masking: Masking | None = None,
        *,
        both: bool = True,
    ) -> None:
        self.windows = windows
        self.writers = writers
        self.masking = masking
        self.texts = 2 if both and masking is not None else 1
        self._seed = seed
        encoder = writers[0].encoder
        around = encoder.max_length - encoder.room
        lengths = encoder.titles.lengths
        self.token_counts = np.array([around + int(lengths[w.items].sum()) for w in windows])

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, draw: Draw) -> list[Example]:
        window = self.windows[draw.window]
        rng = np.random.default_rng([self._seed, draw.epoch, draw.window])
        writer = self.writers[int(rng.integers(len(self.writers)))]
        examples = [] if draw.masked else [writer.next_titles(window)]
        if self.masking is not None and (draw.masked or self.texts == 2):
            examples.append(writer.hidden_titles(window, self.masking, rng))
        return examples

    @property
    def targets(self) -> int:
        """Next titles predicted in one epoch."""
        return sum(window.targets for window in self.windows)

    @property
    def tokens(self) -> int:
        """Tokens read in one epoch, about; hidden titles make a second text of a like length."""
        return int(self.token_counts.sum()) * self.texts
