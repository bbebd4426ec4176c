"""Small training runs on the CPU, and what is asserted of them."""

import gc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tiny import CPU, naive_scores, tiny_llama

from genrec_cli.core.progress import SILENT, Progress
from genrec_cli.core.settings import FinetuneSettings, Normaliser
from genrec_cli.data.split import Cases
from genrec_cli.evaluation.metrics import hit_rate, ndcg, place_in_scores
from genrec_cli.evaluation.validation import RankingValidation
from genrec_cli.language.corpus import Corpus
from genrec_cli.language.lesson import Lesson, Validate
from genrec_cli.language.metrics_log import MetricsLog
from genrec_cli.language.training import Trained, train

# Every run begins by collecting garbage, and what libraries have made at import is none: without
# it a run of a few steps takes half the time.
gc.freeze()
Weights = Mapping[str, torch.Tensor]


class Run(NamedTuple):
    """A training run that came to its end."""

    trained: Trained
    model: Any
    corpus: Corpus
    lines: list[dict[str, Any]]

    @property
    def weights(self) -> Weights:
        weights: Weights = self.model.state_dict()
        return weights

    @property
    def losses(self) -> list[float]:
        return [line["loss"] for line in self.lines if "loss" in line]

    @property
    def evaluations(self) -> dict[int, dict[str, float]]:
        return {line.pop("step"): line for line in map(dict, self.lines) if "NDCG@10" in line}


class Scripted:
    """A validation that finds the given NDCG@10, one after the other, whatever it is shown."""

    def __init__(self, *found: float) -> None:
        self._left = list(found)

    def __call__(self, network: Any, cases: Cases) -> Mapping[str, float]:
        return {"NDCG@10": self._left.pop(0) * len(cases.histories)}


def nobody(network: Any, cases: Cases) -> Mapping[str, float]:
    """A validation that finds no target, so that the loss decides."""
    return {"NDCG@10": 0.0}


def ranking(corpus: Corpus, settings: FinetuneSettings) -> Validate:
    return RankingValidation(corpus, settings.normaliser)


def fresh_model(dropout: float = 0.0) -> Any:
    return tiny_llama(vocabulary=400, initializer_range=0.02, attention_dropout=dropout)


def lesson(corpus: Corpus, settings: FinetuneSettings, validate: Validate = nobody) -> Lesson:
    assert settings.micro_batch_tokens is not None
    return Lesson(corpus, settings, settings.micro_batch_tokens, validate)


def learn(
    taught: Lesson,
    folder: Path,
    progress: Progress = SILENT,
    model: Callable[[], Any] | None = None,
) -> Run:
    """Train a model that is made anew, as each process of the program makes it."""
    network = model() if model else fresh_model(taught.settings.dropout)
    folder.mkdir(exist_ok=True, parents=True)
    trained = train(network, taught, CPU, folder, progress)
    assert trained is not None
    lines = MetricsLog(folder / "metrics.jsonl").lines()
    return Run(trained, network, taught.corpus, lines)


def checkpoints(folder: Path) -> list[int]:
    """Steps of the checkpoints in a run's folder."""
    found = (folder / "checkpoints").glob("checkpoint-*")
    return sorted(int(path.name.partition("-")[2]) for path in found)


def assert_equal(found: Weights, expected: Weights) -> None:
    assert found.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []


def assert_same_run(found: Run, expected: Run) -> None:
    """To the bit: what was reached, what was recorded at each step, and the weights."""
    assert found.trained == expected.trained
    assert [line["step"] for line in found.lines] == [line["step"] for line in expected.lines]
    assert found.losses == expected.losses
    assert found.evaluations == expected.evaluations
    assert_equal(found.weights, expected.weights)


def by_hand(model: Any, corpus: Corpus, over: Normaliser = "catalog") -> dict[str, float]:
    """An evaluation with a forward pass for each person and title, and nothing of the program's."""
    cases, tokens = corpus.cases, corpus.encoder.titles
    titles = [tuple(tokens[item].tolist()) for item in range(corpus.trie.n_items)]
    prompts = corpus.prompts(cases)
    model.eval()
    scores = np.array([naive_scores(model, titles, prompt, over) for prompt in prompts])
    of_targets = scores[np.arange(len(cases)), cases.targets]
    placement = place_in_scores(scores.astype(np.float32), cases.seen, cases.targets)
    return {
        "validation_loss": -float(of_targets.mean()),
        "HR@10": float(hit_rate(placement, 10).mean()),
        "NDCG@10": float(ndcg(placement, 10).mean()),
    }
