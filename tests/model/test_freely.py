"""Titles written without a trie: true log-probabilities, and no influence of the batch."""

import pytest
import torch
from tiny import plain_logits, tiny_llama

from genrec_cli.data.dataset import Dataset
from genrec_cli.language.prompt import Tokenizer, end_of_title
from genrec_cli.language.serving.freely import write_freely

PROMPTS = [[5, 6, 7, 8, 9], [11], [5, 6, 30, 31]]
K, LONGEST = 4, 6


def score(model: object, prompt: list[int], line: list[int]) -> float:
    logits = plain_logits(model, prompt, line)[:-1]
    return float(torch.log_softmax(logits, 1)[range(len(line)), line].sum())


def test_lines_come_with_their_log_probabilities_whatever_the_batch(tokenizer: Tokenizer) -> None:
    model = tiny_llama(len(tokenizer))
    lines, scores = write_freely(model, tokenizer, PROMPTS, K, LONGEST)
    assert scores.shape == (len(PROMPTS), K)
    for user, prompt in enumerate(PROMPTS):
        assert scores[user].tolist() == sorted(scores[user].tolist(), reverse=True)
        alone, own = write_freely(model, tokenizer, [prompt], K, LONGEST)
        assert alone[0] == lines[user]
        assert own[0].tolist() == pytest.approx(scores[user].tolist(), abs=1e-3)


def test_a_line_scores_as_in_a_plain_forward_pass(tokenizer: Tokenizer, dataset: Dataset) -> None:
    """The model is made to like a title: its line comes first, with the title's own score."""
    model = tiny_llama(len(tokenizer))
    title = tokenizer.encode(dataset.titles[3], add_special_tokens=False)
    line, prompt = [*title, end_of_title(tokenizer)], PROMPTS[0]
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    ids = torch.tensor([[*prompt, *line]])
    labels = ids.clone()
    labels[:, : len(prompt)] = -100
    for _ in range(60):
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    lines, scores = write_freely(model, tokenizer, PROMPTS, K, len(line) + 2)
    assert lines[0][0] == dataset.titles[3]
    assert float(scores[0, 0]) == pytest.approx(score(model, prompt, line), abs=1e-3)
