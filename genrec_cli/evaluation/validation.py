"""Ranking validation items while a model is trained, which chooses its best checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from genrec_cli.core.settings import Normaliser, SearchSettings
from genrec_cli.data.split import Cases
from genrec_cli.decoding.question import Question
from genrec_cli.decoding.search import search
from genrec_cli.evaluation.metrics import hit_rate, ndcg, place_in_ranking
from genrec_cli.language.corpus import Corpus
from genrec_cli.language.run import asking

_K: Final = 10
_METRICS: Final = {f"HR@{_K}": hit_rate, f"NDCG@{_K}": ndcg}
# An untrained model is in doubt about everything; after so many tokens a user the search goes on
# as a beam. A trained one needs some twenty.
_BUDGET: Final = 256


@dataclass(frozen=True)
class RankingValidation:
    """Asks a network that is being trained for validation items, nearly as `genrec bench` will.

    Attributes:
        corpus: what it is trained on.
        over: tokens that share a probability of one, as in training.
    """

    corpus: Corpus
    over: Normaliser

    def __call__(self, network: Any, cases: Cases) -> Mapping[str, float]:
        """Sums over users of HR@10 and NDCG@10; the network is in evaluation mode."""
        corpus, settings = self.corpus, SearchSettings(over=self.over, budget=_BUDGET)
        model, effort, at_once = asking(network, corpus.encoder.max_length)
        sums = {name: 0.0 for name in _METRICS}
        for part in cases.batches(at_once):
            session = model.start(corpus.prompts(part))
            question = Question(_K, part.seen)
            ranking = search(session, corpus.trie, question, settings, effort)
            placement = place_in_ranking(ranking, part.targets)
            for name, metric in _METRICS.items():
                sums[name] += float(metric(placement, _K).sum())
        return sums
