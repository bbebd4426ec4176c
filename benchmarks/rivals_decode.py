"""Rivals of `decode.py`: Hugging Face's `generate`; and what all are asked: model, prompts, titles.

Beams are constrained through `prefix_allowed_tokens_fn` and a trie of nested dicts, as GENRE does
(De Cao et al. 2021, arXiv 2010.00904). `generate` runs every prompt once a beam; prefilled, it is
given a cache in which each prompt was run once. Scores are log p(title | prompt), either over the
full vocabulary or, by `renormalize_logits`, over the tokens that the trie allows.

Shapes: B users, P prompt positions, K titles a user.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, GenerationConfig

from genrec_cli.core.settings import FinetuneSettings, Normaliser
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import held_out, sample_rows
from genrec_cli.decoding.question import Ranking
from genrec_cli.decoding.ragged import Int32
from genrec_cli.language.backbones.adapt import load_trained
from genrec_cli.language.backbones.load import load_tokenizer
from genrec_cli.language.backbones.names import Source, find_source
from genrec_cli.language.corpus import tokenised_items
from genrec_cli.language.hardware import Place
from genrec_cli.language.prompt import Encoder, Prompt, TitleTokens, Tokenizer
from genrec_cli.language.run import MODEL_FOLDER, read_run, require_same_dataset

Prompts = Sequence[Sequence[int]]


class DictTrie:
    """Titles as nested dicts, token -> what may follow.

    Args:
        titles: token ids of every title, each with its end.

    Example:
        >>> flat, offsets = np.array([5, 7, 9, 6, 9], dtype=np.int32), np.array([0, 3, 5])
        >>> trie = DictTrie(TitleTokens(flat, offsets))
        >>> trie.allowed([]), trie.allowed([5]), trie.allowed([7])
        ([5, 6], [7], [])
    """

    def __init__(self, titles: TitleTokens) -> None:
        self._root: dict[int, Any] = {}
        for item in range(len(titles.lengths)):
            node = self._root
            for token in titles[item].tolist():
                node = node.setdefault(token, {})

    def allowed(self, prefix: Sequence[int]) -> list[int]:
        """Tokens that may follow a prefix; none where it is not in the trie, or a whole title."""
        node = self._root
        for token in prefix:
            if token not in node:
                return []
            node = node[token]
        return list(node)


@dataclass(frozen=True)
class Way:
    """How `generate` is called.

    Attributes:
        beams: width.
        constrained: by the trie.
        prefilled: with a cache in which each prompt was run once.
        over: tokens that share a probability of one.
    """

    beams: int
    constrained: bool = True
    prefilled: bool = False
    over: Normaliser = "vocabulary"


class Generate:
    """Asks one model for titles of one catalog.

    Args:
        model: a causal language model of transformers, in evaluation mode. Its generation config
            is replaced: `generate` would fill what ours leaves open from it.
        titles: of the catalog.
    """

    def __init__(self, model: Any, titles: TitleTokens) -> None:
        model.generation_config = GenerationConfig()
        # The last positions of a batch of prompts are not contiguous, and PyTorch 2.13 takes 10 s
        # for their product with SmolLM2's head in bfloat16 on a CPU, which is 0.04 s otherwise.
        model.get_output_embeddings().register_forward_pre_hook(
            lambda _, inputs: (inputs[0].contiguous(),)
        )
        self._model = model
        self._trie = DictTrie(titles)
        self._items = {tuple(titles[i].tolist()): i for i in range(len(titles.lengths))}
        self._end = int(titles.flat[-1])
        self._longest = int(titles.lengths.max())

    @torch.inference_mode()
    def rank(self, prompts: Prompts, k: int, way: Way, *, scored: bool = False) -> Ranking:
        """The k best of a beam search; -1 where it wrote no title of the catalog.

        Args:
            prompts: of each user.
            k: titles wanted of each, at most `way.beams`.
            way: how to call `generate`.
            scored: ask for scores; `generate` then keeps a copy of every step's log-probabilities,
                so what is timed goes without. NaN otherwise.
        """
        ids_BP, mask_BP = left_padded(prompts, self._end)
        inputs: dict[str, Any] = {"input_ids": ids_BP, "attention_mask": mask_BP}
        if way.prefilled:
            inputs["past_key_values"] = self._prefilled(ids_BP, mask_BP, way.beams)
        if way.constrained:
            inputs["prefix_allowed_tokens_fn"] = self._allowed_after(ids_BP.shape[1])
        output = self._model.generate(**inputs, generation_config=self._config(k, way, scored))
        items = self._items_of(output.sequences[:, ids_BP.shape[1] :].tolist()).reshape(-1, k)
        scores = np.full(items.shape, np.nan, dtype=np.float32)
        if scored:
            scores = output.sequences_scores.view(-1, k).numpy()
        return Ranking(items, scores, np.zeros(len(items), dtype=bool))

    def _config(self, k: int, way: Way, scored: bool) -> GenerationConfig:
        return GenerationConfig(
            num_beams=way.beams,
            num_return_sequences=k,
            do_sample=False,
            length_penalty=0.0,
            early_stopping=False,
            max_new_tokens=self._longest,
            eos_token_id=self._end,
            pad_token_id=self._end,
            return_dict_in_generate=True,
            output_scores=scored,
            renormalize_logits=way.over == "catalog",
        )

    def _allowed_after(self, width: int) -> Any:
        def allowed(_: int, ids: Tensor) -> list[int]:
            # Beams of score -inf leave the trie, and an empty list would be an error.
            return self._trie.allowed(ids[width:].tolist()) or [self._end]

        return allowed

    def _prefilled(self, ids_BP: Tensor, mask_BP: Tensor, beams: int) -> DynamicCache:
        """Cache of all prompts but their last token, which `generate` wants to run itself."""
        cache = DynamicCache(config=self._model.config)
        self._model.get_decoder()(
            input_ids=ids_BP[:, :-1],
            attention_mask=mask_BP[:, :-1],
            # Positions are not counted from the mask here, as `generate` does.
            position_ids=(mask_BP.cumsum(1) - 1).clamp(min=0)[:, :-1],
            past_key_values=cache,
            use_cache=True,
        )
        cache.batch_repeat_interleave(beams)
        return cache

    def _items_of(self, written: list[list[int]]) -> Int32:
        """The title that each sequence is up to its first end."""
        ends = [row.index(self._end) + 1 if self._end in row else 0 for row in written]
        titles = [tuple(row[:end]) for row, end in zip(written, ends, strict=True)]
        return np.array([self._items.get(title, -1) for title in titles], dtype=np.int32)


def left_padded(prompts: Prompts, pad: int) -> tuple[Tensor, Tensor]:
    """Prompts as one batch, [B, P], and where they are, [B, P]."""
    width = max(len(prompt) for prompt in prompts)
    ids_BP = torch.full((len(prompts), width), pad)
    mask_BP = torch.zeros((len(prompts), width), dtype=torch.int64)
    for row, prompt in enumerate(prompts):
        ids_BP[row, width - len(prompt) :] = torch.tensor(list(prompt))
        mask_BP[row, width - len(prompt) :] = 1
    return ids_BP, mask_BP


@torch.inference_mode()
def plain_score(model: Any, prompt: Sequence[int], title: Sequence[int]) -> float:
    """Full-vocabulary log p(title | prompt) by one forward pass over both, as a check."""
    ids = torch.tensor([[*prompt, *title]])
    logits = model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1]
    chosen = logits.float().log_softmax(-1)[torch.arange(len(title)), ids[0, len(prompt) :]]
    return float(chosen.sum())


def load(folder: Path, dataset: Dataset) -> tuple[Any, Tokenizer, Encoder]:
    """A run's model in fp32, adapters merged into it, with its tokenizer and encoder."""
    manifest = read_run(folder)
    require_same_dataset(manifest, dataset, folder.name)
    settings, base = FinetuneSettings(**manifest["settings"]), Source(**manifest["base"])
    source = find_source(base.name) if base.kind == "gguf" else base
    saved = Source(base.name, "folder", str(folder / MODEL_FOLDER))
    tokenizer = load_tokenizer(saved)
    prompt = Prompt.load(folder)
    titles, _ = tokenised_items(dataset, tokenizer, None)
    head, tail = prompt.around(tokenizer)
    encoder = Encoder(head, titles, settings.max_length, tail)
    place = Place(torch.device("cpu"), torch.float32)
    with warnings.catch_warnings():  # PEFT 0.21 reads an attribute that transformers has renamed
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        model = load_trained(source, settings, place, folder / MODEL_FOLDER)
    return getattr(model, "merge_and_unload", lambda: model)(), tokenizer, encoder


def choose_prompts(dataset: Dataset, encoder: Encoder, users: int) -> list[list[int]]:
    """Test prompts nearest to 200 tokens, among those of 500 users drawn by a seed."""
    cases = held_out(dataset, "test", sample_rows(dataset, "test", 500, seed=0))
    prompts = [encoder.prompt(history) for history in cases.histories]
    return sorted(prompts, key=lambda prompt: abs(len(prompt) - 200))[:users]


def more_titles(titles: Sequence[str], count: int) -> list[str]:
    """Titles up to a number: the first words of one, the last words of another, a third's year."""
    rng = np.random.default_rng(0)
    words = [title.split() for title in titles]
    found = dict.fromkeys(titles)
    while len(found) < count:
        head, tail, year = (words[i] for i in rng.integers(len(words), size=3))
        name = [*head[: len(head) // 2], *tail[max(0, len(tail) // 2 - 1) : -1], year[-1]]
        found.setdefault(" ".join(name))
    return list(found)
