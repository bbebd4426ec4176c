"""Activations of encoder-decoders, from sizes alone.

What autograd was seen to keep (transformers 5.23, PEFT 0.21, T5 and BART), to 2 %. The model is D
wide, its queries A, its feed-forwards F; H heads look at K tokens. There are two sorts of tokens:
those that are read pass the encoder, and keys and values of each cross-attention; those that are
written pass the rest of the decoder.

    ==================== ==================================================================
    norm                 its input; T5 in float32, too, and normalised, if it is trained
    sublayer             its dropout's mask, D
    attention            queries, keys and values; three times H K of weights in float32, or,
                         where one kernel does all (BART without attention dropout), a mask of K
    feed-forward         T5 and BART: what is activated, F, and its dropout's mask; gated: 7 F
    linear layers        as those of decoders, see `budget`
    ==================== ==================================================================

T5's attention has a bias by place that is trained, which no fused kernel of a CPU does: [B, H, L,
L] is kept three times in every layer of the encoder. To this comes one layer more, while it is
taken back.
"""

from collections.abc import Callable
from typing import NamedTuple

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.language.hardware import Place
from genrec_cli.language.planning.anatomy import Anatomy, in_encoder, sees_readings
from genrec_cli.language.planning.inputs import input_bytes


class Tokens(NamedTuple):
    """Numbers of tokens, padding included.

    Attributes:
        read: by the encoder.
        written: by the decoder.
    """

    read: int
    written: int


class PairBytes:
    """Bytes that one encoder-decoder keeps for the backward pass.

    Args:
        anatomy: of the model.
        settings: of the run.
        place: device and dtype.
        longest: tokens of the longest reading, and of the longest answer.
    """

    def __init__(
        self, anatomy: Anatomy, settings: FinetuneSettings, place: Place, longest: Tokens
    ) -> None:
        self._anatomy = anatomy
        self._settings = settings
        self._place = place
        self._longest = longest
        self._encoders, self._decoders = anatomy.stacks.values()
        self._full = settings.train == "full"
        self._itemsize = place.dtype.itemsize
        self._on_cpu = place.device.type == "cpu"
        self._t5 = hasattr(anatomy.config, "relative_attention_num_buckets")

    @property
    def encoder_layer(self) -> float:
        """Of one layer of the encoder, for each token that is read."""
        around = self._around(sublayers=2)
        attention = 3 * self._head_bytes + self._looking_at(self._longest.read)
        inputs = self._inputs(in_encoder) / self._encoders
        return around + attention + self._inner + inputs

    @property
    def cross_attention(self) -> float:
        """Keys and values of one layer of the decoder, for each token that is read."""
        return 2 * self._head_bytes + self._inputs(_reads_states) / self._decoders

    @property
    def decoder_layer(self) -> float:
        """The rest of one layer of the decoder, for each token that is written."""
        looking = self._looking_at(self._longest.written) + self._looking_at(self._longest.read)
        attention = 4 * self._head_bytes + looking
        inputs = self._inputs(_in_decoder) / self._decoders
        return self._around(sublayers=3) + attention + self._inner + inputs

    def kept(self, tokens: float, *, checkpointing: bool, trains: bool) -> float:
        """Of a micro-batch of so many tokens, padding included."""
        read = tokens * self._longest.read / sum(self._longest)
        written = tokens - read
        encoder = read * self.encoder_layer
        decoder = written * self.decoder_layer + read * self.cross_attention
        layer = max(encoder, decoder)
        if not trains:
            return layer
        kept = self._encoders * encoder + self._decoders * decoder + layer
        if checkpointing:
            stream = 4 * self._anatomy.width
            kept = stream * (self._encoders * read + self._decoders * written) + 2 * layer
        return kept

    def _inputs(self, wanted: Callable[[str], bool]) -> float:
        return input_bytes(self._anatomy, self._settings, self._place, wanted)

    def _around(self, sublayers: int) -> float:
        """Norms, and dropouts of what is added to the stream."""
        norm = 4 if self._full else self._itemsize
        if self._t5 and (self._full or self._itemsize < 4):
            norm += 4  # normalised; or, of 16 bits, in float32
        mask = self._itemsize if self._on_cpu else 1
        return sublayers * self._anatomy.width * (norm + mask)

    @property
    def _head_bytes(self) -> int:
        """Of queries, keys or values of a token."""
        return self._anatomy.queries * (self._itemsize if self._fused else 4)

    @property
    def _fused(self) -> bool:
        """Whether one kernel does all of an attention, and keeps no weights."""
        dropped = getattr(self._anatomy.config, "attention_dropout", 0.0)
        return not self._on_cpu or not (self._t5 or dropped)

    def _looking_at(self, keys: float) -> float:
        """Weights or masks of one attention to so many tokens, and what comes of it."""
        heads = self._anatomy.heads
        if not self._fused:
            return 3 * heads * keys * 4
        masks = heads if self._t5 else 1  # with a bias by place, each head has its own
        output = 0 if self._full else self._head_bytes  # else it is the next layer's input
        return self._itemsize * masks * keys + 4 * heads + output

    @property
    def _inner(self) -> float:
        """Of a feed-forward, but for inputs of its linear layers."""
        config = self._anatomy.config
        if self._t5:
            copies = 7 if config.is_gated_act else 2
        else:
            copies = 2 if config.activation_dropout else 1
        return copies * self._anatomy.inner * self._itemsize


def _reads_states(name: str) -> bool:
    return sees_readings(name) and not in_encoder(name)


def _in_decoder(name: str) -> bool:
    return not sees_readings(name)
