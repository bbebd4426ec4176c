"""An encoder-decoder (the T5 and BART families) as the searches see it.

The prompt goes through the encoder, once; the tree grows behind the decoder's start token, and
every token of it also looks at its user's encoded prompt.

Shapes: B users, T tokens, H heads, E tokens of the longest prompt, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache, EncoderDecoderCache

from genrec_cli.decoding.ragged import Int64
from genrec_cli.language.networks import base_model
from genrec_cli.language.pairs.network import encoded
from genrec_cli.language.reading import Reading
from genrec_cli.language.serving.attention import tree_attention
from genrec_cli.language.serving.head import Head
from genrec_cli.language.serving.layout import PromptPass, TreePass, padded_attention
from genrec_cli.language.serving.stepmodel import TreeSession


class Seq2SeqModel:
    """Encodes prompts; implements `decoding.steps.StepModel`.

    Args:
        model: an encoder-decoder in evaluation mode, PEFT or not.
    """

    def __init__(self, model: Any) -> None:
        self._network = model
        self._model = base_model(model)
        self._head = Head.of(model)

    @property
    def bytes_per_token(self) -> int:
        """Memory of one token's keys and values, of a tree or of a prompt behind the encoder."""
        config = self._model.config
        layers = getattr(config, "num_decoder_layers", None) or config.decoder_layers
        heads = getattr(config, "decoder_attention_heads", None) or config.num_heads
        width = getattr(config, "d_kv", None) or config.d_model // heads
        return 2 * int(layers * heads * width * self._head.dtype.itemsize)

    @torch.inference_mode()
    def start(self, prompts: Sequence[Reading]) -> TreeSession:
        """Encode every prompt once, and run the decoder's start token."""
        device = self._head.device
        lengths = torch.tensor([len(prompt) for prompt in prompts])
        seen = (torch.arange(int(lengths.max())) < lengths[:, None]).to(device)
        read, words = (
            pad_sequence([torch.from_numpy(row).long() for row in rows], True).to(device)
            for rows in zip(*((prompt.tokens, prompt.words) for prompt in prompts), strict=True)
        )
        states = Encoded(encoded(self._network, read, words, seen), seen)
        start = [self._model.config.decoder_start_token_id]
        decoder = EncodedDecoder(self._model.get_decoder(), states)
        return TreeSession(decoder, self._head, [start] * len(prompts))


class Encoded:
    """The prompts of a batch behind the encoder.

    Args:
        states: [B, E, D].
        seen: bool [B, E], false at padding.
    """

    def __init__(self, states: Tensor, seen: Tensor) -> None:
        self.states = states
        bias = torch.zeros(seen.shape, dtype=states.dtype, device=states.device)
        self._bias = bias.masked_fill(~seen, torch.finfo(states.dtype).min)[:, None, None]
        # Keys and values of the encoded prompts; each layer adds its own when it first runs.
        self.cache = DynamicCache()

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, scale: float, tree: PromptPass | TreePass
    ) -> Tensor:
        """Cross-attention, [T, H, width]; keys and values are [B, H, E, width]."""
        users, bias = tree.users, self._bias
        if len(users) < len(key):
            key, value, bias = key[users], value[users], bias[users]
        return padded_attention(query, key, value, tree.cells, bias, scale)


@dataclass(frozen=True, eq=False)
class EncodedDecoder:
    """The decoder of an encoder-decoder, run over packed tokens; see `stepmodel.Decoder`.

    Attributes:
        layers: a transformers decoder, without the language-model head.
        encoded: the prompts.
    """

    layers: Any
    encoded: Encoded
    groups: int = 1

    @property
    def relative(self) -> bool:
        """Whether attention depends on distances, as T5's does."""
        return hasattr(self.layers.config, "relative_attention_num_buckets")

    def run(self, tokens: Int64, at: Int64, tree: PromptPass | TreePass) -> Tensor:
        """Hidden states of packed tokens, [T, D]; see `stepmodel.Decoder.run`."""
        device = self.encoded.states.device
        positions = torch.from_numpy(at - np.arange(len(at))).to(device)
        with tree_attention(self.layers.config):
            output = self.layers(
                input_ids=torch.from_numpy(tokens)[None].to(device),
                attention_mask=torch.ones((1, 1, 1, 1), device=device),  # it would make one
                encoder_hidden_states=self.encoded.states,
                past_key_values=EncoderDecoderCache(_Positions(positions), self.encoded.cache),
                use_cache=True,
                tree=tree,
                encoded=self.encoded,
            )
        hidden: Tensor = output.last_hidden_state[0]
        return hidden


class _Positions(DynamicCache):
    """Keeps nothing, as the tree keeps its own keys, and tells BART the tokens' positions.

    BART takes a token's position to be its place in the call plus the length of the cache. Of
    packed tokens of many users, each has a "length" of its own.
    """

    def __init__(self, offsets: Tensor) -> None:
        super().__init__()
        self._offsets = offsets

    def get_seq_length(self, layer_idx: int = 0) -> Any:
        """What to add to each token's place, [T]."""
        return self._offsets

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Pass the new keys and values on."""
        return key_states, value_states
