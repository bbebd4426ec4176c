"""Titles that a causal language model writes without a trie, as the 2023 paper's does.

Nothing keeps it to the catalog: what it writes has to be read back (`decoding.grounding`), and may
be no title, a title twice, or one that the person has seen.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import GenerationConfig

from genrec_cli.language.networks import base_model
from genrec_cli.language.prompt import Tokenizer, end_of_title


@torch.inference_mode()
def write_freely(
    model: Any, tokenizer: Tokenizer, prompts: Sequence[Sequence[int]], k: int, longest: int
) -> tuple[list[list[str]], NDArray[np.float32]]:
    """The k likeliest lines that a beam search of width k finds behind each prompt.

    Args:
        model: a causal language model in evaluation mode, PEFT or not.
        tokenizer: its own.
        prompts: token ids, [B] rows.
        k: lines a prompt, and beams.
        longest: tokens that a line may have, its end included.

    Returns:
        Lines [B][k], best first, and their log-probabilities over the vocabulary, [B, k]. A line
        that did not end in time is cut.
    """
    width = max(len(prompt) for prompt in prompts)
    # Generation goes on from the right edge, so the padding is on the left.
    ids = torch.tensor([[*[0] * (width - len(prompt)), *prompt] for prompt in prompts])
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    seen = torch.arange(width) >= width - lengths[:, None]
    with _only(model, _beams(k, longest, end_of_title(tokenizer))):
        written = model.generate(
            input_ids=ids.to(model.device), attention_mask=seen.long().to(model.device)
        )
    lines = tokenizer.batch_decode(written.sequences[:, width:], skip_special_tokens=True)
    scores = written.sequences_scores.float().cpu().numpy().reshape(len(prompts), k)
    return [
        [line.strip() for line in lines[start : start + k]] for start in range(0, len(lines), k)
    ], scores


@contextmanager
def _only(model: Any, config: GenerationConfig) -> Iterator[None]:
    """Let a model generate by one configuration; what it leaves open is not filled by another."""
    base = base_model(model)
    before, base.generation_config = base.generation_config, config
    try:
        yield
    finally:
        base.generation_config = before


def _beams(k: int, longest: int, end: int) -> GenerationConfig:
    """A beam search by log-probability, made anew: a chat model's own settings would change it."""
    return GenerationConfig(
        num_beams=k,
        num_return_sequences=k,
        max_new_tokens=longest,
        eos_token_id=end,
        pad_token_id=end,
        length_penalty=0.0,  # a longer title is no better for its length
        early_stopping=False,
        do_sample=False,
        return_dict_in_generate=True,
        output_scores=True,
    )
