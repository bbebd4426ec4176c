"""The baselines, by the names that `bench` and its tables use."""

from collections.abc import Mapping
from typing import Final

from genrec_cli.recommenders.baseline import Baseline
from genrec_cli.recommenders.counting.itemknn import ItemKNN
from genrec_cli.recommenders.counting.markov import Markov
from genrec_cli.recommenders.counting.popularity import Popularity
from genrec_cli.recommenders.counting.recency import RecentPopularity
from genrec_cli.recommenders.counting.rules import Rules
from genrec_cli.recommenders.factors.als import Als
from genrec_cli.recommenders.factors.content import Content
from genrec_cli.recommenders.factors.ease import Ease
from genrec_cli.recommenders.factors.pmf import Pmf
from genrec_cli.recommenders.neural.gru4rec import GRU4Rec
from genrec_cli.recommenders.neural.neumf import NeuMF
from genrec_cli.recommenders.neural.sasrec import SASRec

_CLASSICAL: Final[list[type[Baseline]]] = [
    Popularity,
    RecentPopularity,
    Markov,
    ItemKNN,
    Rules,
    Ease,
    Als,
    Pmf,
    Content,
]
_TRAINED: Final[list[type[Baseline]]] = [NeuMF, GRU4Rec, SASRec]

CLASSICAL: Final[Mapping[str, type[Baseline]]] = {kind.name: kind for kind in _CLASSICAL}
"""Name -> baseline; fitted in seconds, so all of them run by default."""

BASELINES: Final[Mapping[str, type[Baseline]]] = {
    **CLASSICAL,
    **{kind.name: kind for kind in _TRAINED},
}
"""Name -> baseline; those that take longer run when they are named."""
