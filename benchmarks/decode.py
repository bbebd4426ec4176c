"""Users a second of genrec's searches beside Hugging Face's `generate`, and what they find.

    python benchmarks/decode.py WORKSPACE DATASET RUN [--catalog 0,62000] [--dtype fp32,bf16]

One process, one batch of users with prompts near 200 tokens; systems take turns after a warm-up of
each, and medians are printed. Times are CPU times of the one thread, with more (`--threads`) wall
times; those behind the tokens of prompts and trees are the layers' alone.

- `H1`: `generate` with ten beams and `prefix_allowed_tokens_fn`; `H2`: the same, each prompt run
  once; `H0`: without the trie. `H1 c`, `H2 c`: with `renormalize_logits`, so that the tokens that
  the trie allows share a probability of one, as in genrec's training. `H1 w20`: with the fewest
  beams of `--widths` that find .97 of the exact top 10 in fp32; with the most, where none do.
- `exact`, `beam 10`, …: genrec's, over the vocabulary or (`c`) over what the trie allows.

Recall is of the exact top 10 under the same scores, found by the exact search in fp32 with the
same weights; users whose top 10 it does not prove (`--budget`) do not count. `log p` is the mean
score of what was found. `/H1`: how many times faster than H1 with the same scores; `=H1`: than H1
at equal quality. Floor is the time that the products with weights need, at the speed of such
products in this run, as a share of the time taken: the tokens run times the layers and, over the
vocabulary, times the head. A catalog above 0 is the dataset's with synthetic titles up to that
number, which the model was not trained on.
"""

import argparse
import copy
import itertools
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from decode_meter import Meter, Tally, gemm_speed, show
from rivals_decode import Generate, Prompts, Way, choose_prompts, load, more_titles, plain_score

from genrec_cli.core.settings import Normaliser, SearchSettings
from genrec_cli.core.workspace import Workspace
from genrec_cli.data.dataset import load_dataset
from genrec_cli.decoding.question import Question, Ranking
from genrec_cli.decoding.search import beam_search, best_first
from genrec_cli.decoding.trie import TokenTrie, build_trie
from genrec_cli.language.prompt import TitleTokens, tokenise_titles
from genrec_cli.language.serving.stepmodel import TreeModel

K, ENOUGH = 10, 0.97
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
RIVALS = {
    "H1": Way(K),
    "H2": Way(K, prefilled=True),
    "H0": Way(K, constrained=False),
    "H1 c": Way(K, over="catalog"),
    "H2 c": Way(K, prefilled=True, over="catalog"),
}
TAILS: dict[Normaliser, str] = {"vocabulary": "", "catalog": " c"}
COLUMNS = {
    "users/s": "users_per_second", "s": "seconds", "cpu": "cpu", "wall": "wall",
    "/H1": "/H1", "/H2": "/H2", "=H1": "=H1", "=H2": "=H2", "recall": "recall", "log p": "score",
    "valid": "valid", "proved": "proved", "passes": "passes", "prompt tok": "prompt_tokens",
    "s ": "prompt_seconds", "tree tok": "tree_tokens", "s  ": "tree_seconds", "floor": "floor",
}  # fmt: skip

Answers: TypeAlias = dict[str, Ranking]
Truth: TypeAlias = dict[Normaliser, Ranking]


class System(NamedTuple):
    """A contender: its scores, how it ranks (True: with scores), and how often it is timed."""

    name: str
    over: Normaliser
    rank: Callable[[bool], Ranking]
    runs: int


@dataclass(frozen=True)
class Setting:
    """What all contenders are given; the model is merged, `precise` has its weights in fp32."""

    model: Any
    precise: Any
    prompts: Prompts
    titles: TitleTokens
    trie: TokenTrie
    meter: Meter
    arguments: argparse.Namespace

    def exact(self, over: Normaliser, model: Any) -> Ranking:
        """Genrec's exact search; nothing is excluded, since `generate` cannot."""
        settings = SearchSettings(over=over, budget=self.arguments.budget)
        return best_first(
            TreeModel(model).start(self.prompts), self.trie, self._question(), settings
        )

    def beam(self, over: Normaliser, beams: int) -> Ranking:
        """Beam search by genrec."""
        settings = SearchSettings(over=over, beams=beams)
        session = TreeModel(self.model).start(self.prompts)
        return beam_search(session, self.trie, self._question(), settings)

    def rival(self, generate: Generate, name: str, way: Way, runs: int) -> System:
        """A way of calling `generate`."""
        return System(
            name, way.over, lambda scored: generate.rank(self.prompts, K, way, scored=scored), runs
        )

    def _question(self) -> Question:
        return Question(k=K, exclude=[[] for _ in self.prompts])


def contenders(setting: Setting, generate: Generate) -> list[System]:
    """All that are asked for, but the wider beams of the rivals."""
    runs, slow = setting.arguments.runs, setting.arguments.slow_runs
    found = [
        setting.rival(generate, name, way, runs if way.constrained else slow)
        for name, way in RIVALS.items()
    ]
    for over, tail in TAILS.items():
        ways = {f"exact{tail}": partial(setting.exact, over, setting.model)}
        ways |= {f"beam {n}{tail}": partial(setting.beam, over, n) for n in setting.arguments.beams}
        found += [System(name, over, unscored(way), runs) for name, way in ways.items()]
    only, overs = setting.arguments.only, setting.arguments.over
    return [one for one in found if one.over in overs and (not only or one.name in only)]


def unscored(rank: Callable[[], Ranking]) -> Callable[[bool], Ranking]:
    """A way of ranking that gives scores anyway."""
    return lambda _: rank()


def wider(setting: Setting, generate: Generate, names: list[str], truth: Truth) -> list[System]:
    """The rivals with as many beams as find enough, where ten do not."""
    precise, runs = Generate(setting.precise, setting.titles), setting.arguments.slow_runs
    systems = []
    for over, best in truth.items():
        if not runs or f"H2{TAILS[over]}" not in names or not best.exact.any():
            continue
        for beams in (K, *setting.arguments.widths):
            way = Way(beams, prefilled=True, over=over)
            share = recall(precise.rank(setting.prompts, K, way), best)
            say(f"{beams} beams over the {over}: recall {share:.2f} in fp32")
            if share >= ENOUGH:
                break
        if beams > K:
            for name, prefilled in (("H2", True), ("H1", False)):
                full = f"{name}{TAILS[over]} w{beams}"
                one = replace(way, prefilled=prefilled)
                if name + TAILS[over] in names:
                    systems.append(setting.rival(generate, full, one, runs))
    return systems


def recall(found: Ranking, truth: Ranking) -> float:
    """Mean share of the proved top lists that was found."""
    pairs = zip(found.items, truth.items, truth.exact, strict=True)
    shares = [float(np.isin(best, got).mean()) for got, best, proved in pairs if proved]
    return statistics.mean(shares) if shares else float("nan")


def floor_seconds(setting: Setting, over: Normaliser, tally: Tally, speed: float) -> float:
    """Time of the products with weights that the tokens need."""
    layers = sum(weight.numel() for weight in setting.model.get_decoder().layers.parameters())
    head = setting.model.get_output_embeddings().weight.numel() if over == "vocabulary" else 0
    tokens, rows = tally.prompt_tokens + tally.tree_tokens, len(setting.prompts) + tally.tree_tokens
    return float(2 * (layers * tokens + head * rows) / speed)


def measure(setting: Setting, truth: Truth) -> dict[str, Any]:
    """Warm up, find the rivals' widths, take turns."""
    generate = Generate(setting.model, setting.titles)
    systems, answers = contenders(setting, generate), Answers()
    for one in systems:
        answers[one.name], tally = setting.meter.timed(partial(one.rank, True))
        say(f"warm-up  {one.name:10} {tally.seconds:7.2f} s")
    systems += wider(setting, generate, list(answers), truth)
    samples: dict[str, list[Tally]] = {one.name: [] for one in systems if one.runs}
    speeds = []
    for turn in range(setting.arguments.runs):
        speeds += [gemm_speed(setting.model, setting.meter.clock) for _ in range(3)]
        for one in systems[:: 1 if turn % 2 == 0 else -1]:
            if turn < one.runs:
                ranking, tally = setting.meter.timed(partial(one.rank, False))
                answers.setdefault(one.name, ranking)
                samples[one.name].append(tally)
                say(f"turn {turn + 1}   {one.name:10} {tally.seconds:7.2f} s")
    speed = statistics.median(speeds)
    rows = {
        one.name: costs(setting, one, samples[one.name], speed)
        | quality(answers[one.name], truth[one.over])
        for one in systems
        if one.runs
    }
    add_ratios(rows)
    return {"gflops": speed / 1e9, "rows": rows, "notes": list(agreement(setting, answers))}


def costs(setting: Setting, one: System, samples: list[Tally], speed: float) -> dict[str, Any]:
    """What the median run of a system took."""
    tally = sorted(samples, key=lambda sample: sample.seconds)[(len(samples) - 1) // 2]
    least = floor_seconds(setting, one.over, tally, speed)
    return {
        "users_per_second": len(setting.prompts) / tally.seconds,
        **asdict(tally),
        "floor": None if one.name.startswith("H") else least / tally.seconds,
        "samples": [sample.seconds for sample in samples],
    }


def quality(found: Ranking, truth: Ranking) -> dict[str, Any]:
    """What a system found."""
    scores = found.scores[found.items >= 0]
    return {
        "recall": recall(found, truth),
        "score": float(scores.mean()) if scores.size else None,
        "valid": float((found.items >= 0).mean()),
        "proved": float(found.exact.mean()) if found.exact.any() else None,
    }


def add_ratios(rows: dict[str, dict[str, Any]]) -> None:
    """How many times faster than the rivals with the same scores each system is."""
    for base, tail in itertools.product(("H1", "H2"), TAILS.values()):
        at = [row["seconds"] for name, row in rows.items() if name.split(" w")[0] == base + tail]
        for name, row in rows.items():
            if at and name.split(" w")[0].endswith(" c") == bool(tail):
                row[f"/{base}"], row[f"={base}"] = (s / row["seconds"] for s in (at[0], at[-1]))


def agreement(setting: Setting, answers: Answers) -> Iterator[str]:
    """Whether systems that should say the same do."""
    pairs = [("H1", "H2"), ("H1", "exact"), ("H2", "exact"), ("H1", f"beam {K}")]
    for (one, other), tail in itertools.product(pairs, TAILS.values()):
        if {one + tail, other + tail} <= set(answers):
            same = compared(answers[one + tail], answers[other + tail])
            yield f"{one + tail} and {other + tail}: {same}"
    if "H1" in answers:
        user = zip(answers["H1"].items[0], answers["H1"].scores[0], strict=True)
        plain = [
            abs(
                score
                - plain_score(setting.model, setting.prompts[0], setting.titles[item].tolist())
            )
            for item, score in user
            if item >= 0
        ]
        yield f"H1 and plain passes over one user's titles: scores differ by {max(plain):.1e}"


def compared(one: Ranking, other: Ranking) -> str:
    """How alike two systems' lists and scores are."""
    scores = [
        dict(zip(items.tolist(), scores.tolist(), strict=True))
        for ranking in (one, other)
        for items, scores in zip(ranking.items, ranking.scores, strict=True)
    ]
    users = list(zip(scores[: len(one.items)], scores[len(one.items) :], strict=True))
    apart = [abs(a[item] - b[item]) for a, b in users for item in a.keys() & b.keys() - {-1}]
    same = int((one.items == other.items).all(axis=1).sum())
    return (
        f"{same} of {len(users)} lists equal; scores of {len(apart)} common titles differ by "
        f"{max(apart, default=0.0):.1e} at most"
    )


def say(text: str) -> None:
    """Show progress."""
    print(text, file=sys.stderr, flush=True)


def parse() -> argparse.Namespace:
    """Read the command line."""

    def words(text: str) -> list[str]:
        return text.split(",")

    def numbers(text: str) -> list[int]:
        return [int(part) for part in text.split(",") if part]

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workspace", type=Path)
    parser.add_argument("dataset")
    parser.add_argument("run")
    parser.add_argument("--catalog", type=numbers, default=[0], help="titles; 0: the dataset's own")
    parser.add_argument("--dtype", type=words, default=["fp32"], help=f"of {', '.join(DTYPES)}")
    parser.add_argument("--users", type=int, default=8, help="in the batch")
    parser.add_argument("--runs", type=int, default=3, help="of each system, after its warm-up")
    parser.add_argument("--slow-runs", type=int, default=1, help="of H0 and of the wider rivals")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--beams", type=numbers, default=[10, 64], help="widths of genrec's beam")
    parser.add_argument("--widths", type=numbers, default=[20, 30, 50], help="of wider rivals")
    parser.add_argument("--budget", type=int, default=2000, help="tokens of one exact search")
    parser.add_argument("--over", type=words, default=list(TAILS), help="whose scores")
    parser.add_argument("--only", type=words, help="names of systems")
    parser.add_argument("--json", type=Path, help="file for all that was measured")
    return parser.parse_args()


def main() -> None:
    """Measure every dtype and catalog."""
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    workspace = Workspace(arguments.workspace)
    dataset = load_dataset(workspace.find_dataset(arguments.dataset))
    run = workspace.find_run(arguments.dataset, arguments.run)
    model, tokenizer, encoder = load(run, dataset)
    prompts = choose_prompts(dataset, encoder, arguments.users)
    clock = time.thread_time if arguments.threads == 1 else time.perf_counter
    measured = []
    for dtype, size in itertools.product(arguments.dtype, arguments.catalog):
        titles = tokenise_titles(tokenizer, more_titles(dataset.titles, size))
        trie = build_trie((titles.flat, titles.offsets))
        cast = copy.deepcopy(model).to(DTYPES[dtype])
        precise = copy.deepcopy(cast).float()  # before the meter adds its hooks
        setting = Setting(cast, precise, prompts, titles, trie, Meter(cast, clock), arguments)
        truth: Truth = {over: setting.exact(over, precise) for over in arguments.over}
        proved = {over: float(ranking.exact.mean()) for over, ranking in truth.items()}
        facts = {"run": arguments.run, "dtype": dtype, "titles": trie.n_items, "proved": proved}
        found = {**facts, **measure(setting, truth)}
        measured.append(found)
        heading = ", ".join(f"{key} {value}" for key, value in facts.items())
        print(f"\n{heading}; products {found['gflops']:.0f} GFLOP/s, {arguments.threads} threads\n")
        show(found["rows"], COLUMNS)
        print("", *found["notes"], "", sep="\n")
    if arguments.json:
        machine = {"machine": platform.platform(), "torch": torch.__version__}
        prompt = {"prompt_lengths": [len(prompt) for prompt in prompts]}
        document = {**machine, **prompt, "threads": arguments.threads, "settings": measured}
        arguments.json.write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
