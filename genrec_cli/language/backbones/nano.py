"""`nano`: a small LLaMA built from a config, trained from scratch on nothing but the dataset.

It needs no download and no GPU. Its tokenizer is a byte-level BPE (Sennrich et al. 2016) trained
on the catalog's titles, so that a title takes few tokens and no character is unknown.
"""

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from genrec_cli.language.seeding import seeded

VOCABULARY = 12_000
WIDTH = 256
LAYERS = 4
HEADS = 4
_PAD = "<pad>"


def train_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE on titles and what is around them; equal texts, equal tokenizer."""
    tokenizer = Tokenizer(models.BPE())
    # A title's words and its "(1999)" are split at spaces only, so that each can become one token.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(" ", "merged_with_next"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        min_frequency=1,
        special_tokens=[_PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=_PAD)


def build(vocabulary: int, max_length: int, dropout: float, seed: int) -> LlamaForCausalLM:
    """Build the untrained model, with embeddings tied to the head.

    Args:
        vocabulary: tokens of the tokenizer.
        max_length: most tokens in a window.
        dropout: attention dropout.
        seed: of the weights.
    """
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        intermediate_size=int(WIDTH * 8 / 3) // 32 * 32,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=max_length,
        attention_dropout=dropout,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
    )
    with seeded(seed):
        return LlamaForCausalLM(config)
