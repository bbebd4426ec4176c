"""Encoder-decoders at work: what they make of readings, their words embedded as wholes, too."""

from typing import Any

import torch
from torch import Tensor

from genrec_cli.language.backbones.wholewords import whole_words_of
from genrec_cli.language.networks import base_model, head_scale, head_weight
from genrec_cli.language.pairs.pack import PairPack


def encoded(network: Any, read: Tensor, words: Tensor, seen: Tensor) -> Tensor:
    """Readings behind the encoder, [B, L, D]; the arguments are as in `PairPack`."""
    encoder, table = base_model(network).get_encoder(), whole_words_of(network)
    embedded = encoder.embed_tokens(read)
    if table is not None:
        embedded = embedded + table(words).to(embedded.dtype)
    states: Tensor = encoder(inputs_embeds=embedded, attention_mask=seen.long()).last_hidden_state
    return states


def paired_hidden(network: Any, pack: PairPack) -> Tensor:
    """Hidden states at what is written, scaled as the head wants them, [B * N, D]."""
    device = head_weight(network).device
    seen = pack.seen.to(device)
    states = encoded(network, pack.read.to(device), pack.words.to(device), seen)
    model, written = base_model(network), pack.written.to(device)
    start = written.new_full((len(written), 1), model.config.decoder_start_token_id)
    hidden: Tensor = model.get_decoder()(
        input_ids=torch.cat([start, written[:, 1:]], 1),
        encoder_hidden_states=states,
        encoder_attention_mask=seen.long(),
        use_cache=False,
    ).last_hidden_state
    return hidden.flatten(0, 1) * head_scale(network)
