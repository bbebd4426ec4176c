"""A batch cut into packs: every example once, its weights, and little padding."""

from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_world import targets_of

from genrec_cli.commands.prepare import PrepareRequest, prepare
from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.core.workspace import Workspace
from genrec_cli.data.dataset import load_dataset
from genrec_cli.data.sources import Input
from genrec_cli.language.backbones.nano import train_tokenizer
from genrec_cli.language.corpus import make_corpus
from genrec_cli.language.examples import NO_TARGET, Example, TrainingExamples
from genrec_cli.language.packing import Counts, Pack, join, micro_batches, title_packs, weighed
from genrec_cli.language.sampler import EndlessOrder
from genrec_cli.language.templates import texts_of

MULTIPLE = 64


@st.composite
def batches(draw: st.DrawFn) -> list[list[Example]]:
    """Examples whose tokens tell which example they are of; a title is two tokens."""
    lengths = draw(st.lists(st.tuples(st.integers(3, 90), st.booleans()), min_size=1, max_size=12))
    made = []
    for number, (length, masked) in enumerate(lengths, 1):
        targets = draw(st.integers(1, (length - 1) // 2))
        nodes = np.array([NO_TARGET] * (length - 2 * targets) + [0, 5] * targets, np.int32)
        made.append(Example(np.full(length, number, np.int32), nodes, masked))
    split = draw(st.integers(0, len(made)))
    return [made[:split], made[split:]]


def check_pack(pack: Pack, drawn: dict[int, Example], packing: bool) -> list[int]:
    """The examples of a pack, in order, each as it was, and what else is in it no target."""
    found = []
    assert len(pack.tokens) == len(pack.nodes) == len(pack.weights) == sum(pack.lengths)
    assert len(pack.tokens) % MULTIPLE == 0
    for begin, end in pairwise(accumulate(pack.lengths, initial=0)):
        number = int(pack.tokens[begin])
        example = drawn.get(number, Example(np.zeros(0, np.int32), np.zeros(0, np.int32)))
        split = begin + len(example.tokens)
        assert pack.tokens[begin:split].tolist() == example.tokens.tolist()
        assert pack.nodes[begin:split].tolist() == example.nodes.tolist()
        assert (pack.nodes[split:end] == NO_TARGET).all()
        if number:
            found.append(number)
            assert split == end or not packing
    return found


@settings(max_examples=150)
@given(batches(), st.integers(1, 400), st.booleans())
def test_a_batch_is_cut_into_as_large_packs_as_fit_with_every_example_once(
    batch: list[list[Example]], most: int, packing: bool
) -> None:
    drawn = {int(e.tokens[0]): e for part in batch for e in part}
    joined = weighed(join(batch), Counts.of(join(batch)), 0.5)
    packs = list(title_packs(joined, most, packing))
    found = [check_pack(pack, drawn, packing) for pack in packs]
    sizes = [[len(drawn[number].tokens) for number in numbers] for numbers in found]

    def cost(lengths: list[int]) -> int:
        return sum(lengths) if packing else max(lengths) * len(lengths)

    for pack, lengths in zip(packs, sizes, strict=True):
        assert cost(lengths) <= most or len(lengths) == 1
        assert 0 <= len(pack.tokens) - cost(lengths) < MULTIPLE
    for lengths, following in pairwise(sizes):
        assert cost([*lengths, following[0]]) > most
    numbers = [number for part in found for number in part]
    assert sorted(numbers) == sorted(drawn)
    longest_first = [length for lengths in sizes for length in lengths]
    assert longest_first == sorted(longest_first, reverse=True)


@pytest.mark.parametrize(("most", "packs"), [(63, 2), (64, 1), (65, 1)])
@pytest.mark.parametrize("packing", [True, False])
def test_a_pack_may_be_as_large_as_allowed(most: int, packs: int, packing: bool) -> None:
    nodes = np.array([NO_TARGET] * 31 + [0], np.int32)
    batch = join([[Example(np.ones(32, np.int32), nodes)] * 2])
    joined = weighed(batch, Counts.of(batch), 0.0)
    assert len(list(micro_batches(joined, most, packing=packing))) == packs


@settings(max_examples=100)
@given(batches(), st.floats(0.1, 3))
def test_a_titles_tokens_weigh_one_share_of_the_titles_of_its_kind(
    batch: list[list[Example]], mask_weight: float
) -> None:
    joined = join(batch)
    titles = {
        m: sum(targets_of(e) for p in batch for e in p if e.masked == m) for m in (False, True)
    }
    assert Counts.of(joined) == (titles[False], titles[True])
    weights = weighed(joined, Counts.of(joined), mask_weight)["weights"]
    begins = joined["nodes"] == 0
    for masked, expected in ((False, 1.0), (True, mask_weight)):
        mine = joined["masked"] == masked
        assert len(set(weights[mine].tolist())) <= 1
        if titles[masked]:
            assert weights[begins & mine].sum().item() == pytest.approx(expected, rel=1e-5)
    # Half of a step's titles on each of two devices: every title weighs half.
    half = weighed(joined, Counts(*(2 * n for n in Counts.of(joined))), mask_weight)["weights"]
    torch.testing.assert_close(half * 2, weights)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> TrainingExamples:
    """The bundled dataset, in nano's tokens, as nano's preset cuts it."""
    folder = prepare(
        Workspace(Path(tmp_path_factory.mktemp("sample"))), PrepareRequest(Input("sample"))
    ).folder
    dataset, values = load_dataset(folder), FinetuneSettings(max_length=256, mask_weight=0.3)
    tokenizer = train_tokenizer([*dataset.titles, *texts_of(values)])
    training = make_corpus(dataset, tokenizer, values).training
    assert isinstance(training, TrainingExamples)
    return training


def waste(data: TrainingExamples, most: int, *, packing: bool) -> float:
    """Share of the tokens read in ten batches of 32 that are of no example."""
    order, read, wanted = list(EndlessOrder(len(data), 320, 0)), 0, 0
    for start in range(0, 320, 32):
        drawn = [data[draw] for draw in order[start : start + 32]]
        batch = join(drawn)
        ones = {**batch, "weights": torch.ones(len(batch["tokens"]))}
        read += sum(len(pack.tokens) for pack in micro_batches(ones, most, packing=packing))
        wanted += sum(len(example.tokens) for part in drawn for example in part)
    return 1 - wanted / read


@pytest.mark.parametrize("most", [2048, 4096, 16384])
def test_less_than_a_twentieth_of_what_is_read_is_padding(
    sample: TrainingExamples, most: int
) -> None:
    assert 0 < waste(sample, most, packing=True) < 0.05


def test_padding_examples_wastes_more_and_random_batches_would_waste_far_more(
    sample: TrainingExamples,
) -> None:
    packed, padded = (waste(sample, 2048, packing=packing) for packing in (True, False))
    lengths = sample.token_counts
    order = [draw.window for draw in EndlessOrder(len(sample), 320, 0)]
    parts = [lengths[order[start : start + 8]] for start in range(0, 320, 8)]
    random = 1 - sum(part.sum() for part in parts) / sum(8 * part.max() for part in parts)
    assert packed < padded
    assert packed < random / 5
