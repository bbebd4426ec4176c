"""GRU4Rec: a recurrent network over the history, trained by the cross-entropy of all items."""

from typing import Final

from torch import Tensor, nn

from genrec_cli.recommenders.neural.sequences import SequenceModel, SequenceNetwork, Shape

_WIDER: Final = 2  # the recurrent state, against the items' vectors


class GRU4Rec(SequenceModel):
    """Hidasi et al. 2016 (ICLR), with the loss that Hidasi & Karatzoglou 2018 (CIKM) discuss."""

    name = "gru4rec"
    source = (
        "Hidasi et al. 2016 (ICLR); loss: cross-entropy (Hidasi & Karatzoglou 2018, CIKM), over "
        "all items instead of those of the batch, sampled above 20,000 items; one vector an item, "
        "read and expected; gradients through whole histories; Adam instead of Adagrad"
    )

    def _build(self, shape: Shape) -> SequenceNetwork:
        return _Recurrent(shape)


class _Recurrent(SequenceNetwork):
    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.dropout = nn.Dropout(shape.dropout)
        self.cell = nn.GRU(shape.width, _WIDER * shape.width, batch_first=True)
        self.expect = nn.Linear(_WIDER * shape.width, shape.width)

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """What is expected after each event, [B, T, width]; places behind the ends are noise."""
        # Windows are filled up on the right, which a network that reads from the left never sees.
        states, _ = self.cell(self.dropout(self.items(inputs) * self.shape.width**0.5))
        result: Tensor = self.expect(self.dropout(states))
        return result
