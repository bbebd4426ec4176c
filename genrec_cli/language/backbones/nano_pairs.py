"""`nano-t5` and `nano-bart`: small encoder-decoders, trained from scratch on the dataset alone.

Their architectures are those of T5 (Raffel et al. 2020) and BART (Lewis et al. 2020). The tokenizer
is a byte-level BPE trained on what a run reads: its prompts, its titles or its ids.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from genrec_cli.language.backbones.nano import VOCABULARY
from genrec_cli.language.seeding import seeded

WIDTH: Final = 128
LAYERS: Final = 2  # of the encoder, and of the decoder
HEADS: Final = 4
FEED_FORWARD: Final = 512
# Spread of nano-t5's embeddings where they begin as noise; nor are its states made smaller for the
# head. With T5's own spread of 1 a token moves by some hundredths each time that it is seen, so
# that rare ones stay noise: on 3,000 ids, each seen 15 times, the loss fell from 8.0 to 7.7 nats,
# else not at all. What tokens say from the first, such small ones would lose just as soon.
SPREAD: Final = 0.02
_PAD, _END, _MASK = "<pad>", "</s>", "<mask>"


def train_pair_tokenizer(
    texts: Iterable[str], added: Sequence[str] = ()
) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE on texts; equal texts, equal tokenizer.

    Nothing is put before or after a text that it encodes.

    Args:
        texts: what the model reads and writes.
        added: words that become one token each, wherever they stand.
    """
    tokenizer = Tokenizer(models.BPE())
    # Numbers are cut as pretrained tokenizers cut them: item_7391 is item_, 739 and 1, so that
    # ids share pieces and none is one token. Those of clusters keep the dash before them.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(" ", "merged_with_next"),
            pre_tokenizers.Split(Regex(r"-?\d{1,3}"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        min_frequency=1,
        special_tokens=[_PAD, _END, _MASK],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(word, normalized=False) for word in added])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=_PAD, eos_token=_END, mask_token=_MASK
    )


def build_t5(
    vocabulary: int, dropout: float, seed: int, noise: bool = True
) -> T5ForConditionalGeneration:
    """Build an untrained T5, with embeddings tied to the head.

    Args:
        vocabulary: tokens of the tokenizer.
        dropout: of everything that T5 drops out.
        seed: of the weights.
        noise: whether the embeddings of items stay as they are drawn.
    """
    config = T5Config(
        vocab_size=vocabulary,
        d_model=WIDTH,
        d_kv=WIDTH // HEADS,
        d_ff=FEED_FORWARD,
        num_layers=LAYERS,
        num_heads=HEADS,
        dropout_rate=dropout,
        **_special(decoder_start=0),
    )
    config.scale_decoder_outputs = not noise
    with seeded(seed), torch.no_grad():
        model = T5ForConditionalGeneration(config)
        if noise:
            model.shared.weight.normal_(std=SPREAD)
    return model


def build_bart(
    vocabulary: int, max_length: int, dropout: float, seed: int
) -> BartForConditionalGeneration:
    """Build an untrained BART, with embeddings tied to the head.

    Args:
        vocabulary: tokens of the tokenizer.
        max_length: most tokens that the encoder reads, or the decoder.
        dropout: of the embeddings and of each sublayer.
        seed: of the weights.
    """
    config = BartConfig(
        vocab_size=vocabulary,
        max_position_embeddings=max_length,
        d_model=WIDTH,
        encoder_layers=LAYERS,
        decoder_layers=LAYERS,
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        encoder_ffn_dim=FEED_FORWARD,
        decoder_ffn_dim=FEED_FORWARD,
        dropout=dropout,
        # BART's own 0.02, made for a width of 1024, keeps so narrow a model from learning: after
        # 240 steps at predicting the next of 300 ids its loss was 1.8 nats a token, not 0.01.
        init_std=WIDTH**-0.5,
        forced_eos_token_id=None,
        **_special(decoder_start=1),
    )
    with seeded(seed):
        return BartForConditionalGeneration(config)


def _special(decoder_start: int) -> dict[str, Any]:
    return {
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": None,
        "decoder_start_token_id": decoder_start,
    }
