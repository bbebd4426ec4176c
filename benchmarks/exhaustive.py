"""Is the exact search exact? Its top 10 against scoring every title of a catalog, one by one.

    python benchmarks/exhaustive.py WORKSPACE DATASET RUN --users 50 [--threads 1]

Titles are scored by transformers' own forward pass and cache, in float32: none of the code of the
search, its trees or its attention is used. Plain, and with the users' histories
excluded and popularity as prior. Over the vocabulary the search is slow for a run that was trained
over the catalog. Prints how many lists are the same, item for item, and
the largest difference of a log-probability; exits with 1 if a list differs.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache

from genrec_cli.core.settings import Normaliser, SearchSettings
from genrec_cli.core.workspace import Workspace
from genrec_cli.data.dataset import load_dataset
from genrec_cli.data.split import Cases, held_out, sample_rows
from genrec_cli.decoding.question import Question
from genrec_cli.decoding.search import best_first
from genrec_cli.language.run import LoadedRun, load_run
from genrec_cli.language.serving.stepmodel import TreeModel
from genrec_cli.recommenders.counting.popularity import Popularity

K: Final = 10
TITLES_AT_ONCE: Final = 64
PRIOR_WEIGHT: Final = 0.3
OVER: Final[tuple[Normaliser, ...]] = ("catalog", "vocabulary")
Scores = NDArray[np.float64]


def main() -> None:
    """Compare, print, and exit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("workspace", "dataset", "run"):
        parser.add_argument(name)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--over", choices=OVER, nargs="+", default=["catalog"])
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    workspace = Workspace(Path(given.workspace))
    dataset = load_dataset(workspace.find_dataset(given.dataset))
    run = load_run(workspace.find_run(given.dataset, given.run), dataset)
    run.network.float()
    prior = Popularity()
    prior.fit(dataset, 0)
    cases = held_out(dataset, "test", sample_rows(dataset, "test", given.users, 0))
    weighted = np.float32(PRIOR_WEIGHT) * prior.scores(cases.histories)
    searched = search_all(run, cases, weighted, given.over)
    same, worst = np.zeros(len(searched), dtype=int), 0.0
    start = time.perf_counter()
    for user in range(len(cases)):
        truth = truths(run, cases, weighted, user, given.over)
        for number, scores in enumerate(truth):
            items, found = searched[number][0][user], searched[number][1][user]
            best = np.lexsort((np.arange(len(scores)), -scores))[:K]
            same[number] += np.array_equal(items, best)
            worst = max(worst, float(np.abs(found - scores[items]).max()))
        seconds = (time.perf_counter() - start) / (user + 1)
        print(f"{user + 1} users: same lists {same.tolist()}, {seconds:.1f} s a user", flush=True)
    names = [f"{over}, {what}" for over in given.over for what in ("plain", "prior and exclusions")]
    for name, count in zip(names, same, strict=True):
        print(f"{name}: {count} of {len(cases)} lists are the exhaustive top {K}")
    print(f"largest difference of a score: {worst:.1e}")
    sys.exit(int(same.min() < len(cases)))


def search_all(
    run: LoadedRun, cases: Cases, prior: NDArray[np.float32], normalisers: Sequence[Normaliser]
) -> list[Any]:
    """What the search finds, for each normaliser plain and with prior and exclusions."""
    found = []
    nobody: list[list[int]] = [[] for _ in range(len(cases))]
    session = TreeModel(run.network).start(run.prompts(cases.histories))
    for over in normalisers:
        for question in (Question(K, nobody), Question(K, cases.seen, None, prior)):
            ranking = best_first(session, run.trie, question, SearchSettings(over=over))
            assert ranking.exact.all()
            found.append((ranking.items, ranking.scores))
    return found


def truths(
    run: LoadedRun,
    cases: Cases,
    prior: NDArray[np.float32],
    user: int,
    normalisers: Sequence[Normaliser],
) -> list[Scores]:
    """Scores of all titles for one user, in the order of `search_all`."""
    plain = exhaustive(run, run.prompts([cases.histories[user]])[0], normalisers)
    result = []
    for over in normalisers:
        mixed = plain[over] + prior[user]
        mixed[cases.seen[user]] = -np.inf
        result += [plain[over], mixed]
    return result


@torch.inference_mode()
def exhaustive(
    run: LoadedRun, prompt: Sequence[int], normalisers: Sequence[Normaliser]
) -> dict[Normaliser, Scores]:
    """Log-probabilities of every title after one prompt."""
    titles, items = run.encoder.titles, run.trie.n_items
    scores: dict[Normaliser, Scores] = {over: np.zeros(items) for over in normalisers}
    read = run.network(input_ids=torch.tensor([prompt]), use_cache=True)
    by_length = np.argsort(titles.lengths, kind="stable")
    for part in np.array_split(by_length, -(-items // TITLES_AT_ONCE)):
        cache = DynamicCache(
            [(layer.keys.clone(), layer.values.clone()) for layer in read.past_key_values.layers]
        )
        cache.batch_repeat_interleave(len(part))
        width = int(titles.lengths[part].max())
        ids = torch.zeros((len(part), width), dtype=torch.long)
        for row, item in enumerate(part):
            ids[row, : len(titles[item])] = torch.from_numpy(titles[item].astype(np.int64))
        # Padding is on the right, where causal attention never sees it.
        after = run.network(input_ids=ids[:, :-1], past_key_values=cache).logits
        first = read.logits[:, -1:].expand(len(part), 1, -1)
        logits = torch.cat([first, after], dim=1).numpy()
        for row, item in enumerate(part):
            for over in normalisers:
                scores[over][item] = title_score(run, int(item), logits[row], over)
    return scores


def title_score(run: LoadedRun, item: int, logits: NDArray[np.float32], over: Normaliser) -> float:
    """One title's log-probability among the tokens its beginning allows, or among all."""
    tokens = run.encoder.titles[item]
    nodes = run.trie.walk(tokens, np.array([0, len(tokens)]))
    score = 0.0
    for place, (token, node) in enumerate(zip(tokens, nodes, strict=True)):
        sharing = run.trie.allowed(int(node)) if over == "catalog" else slice(None)
        score += float(logits[place, token]) - log_sum(logits[place, sharing].astype(np.float64))
    return score


def log_sum(logits: NDArray[np.float64]) -> float:
    """Log of the summed exponentials."""
    top = float(logits.max())
    return top + float(np.log(np.exp(logits - top).sum()))


if __name__ == "__main__":
    main()
