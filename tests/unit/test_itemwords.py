"""Words for items and users, clusters of items, and whether ids give answers away."""

import re
from dataclasses import replace
from itertools import combinations
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from small_data import dataset_of

from genrec_cli.core.settings import ItemWords
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import bounds
from genrec_cli.language.itemwords.clusters import LARGEST, cluster_paths
from genrec_cli.language.itemwords.leak import item_ids, next_id, next_id_hits
from genrec_cli.language.itemwords.vectors import item_vectors
from genrec_cli.language.itemwords.words import item_words, parted, user_words

KINDS: list[ItemWords] = [kind for kind in get_args(ItemWords) if kind != "auto"]
PATTERNS = {
    "titles": r"Film \d+",
    "random": r"item_\d+",
    "sequential": r"item_\d+",
    "collaborative": r"item_\d+(-\d+)+",
    "independent": r"<item_\d+>",
    "hybrid": r"item_\d+(-\d+)*<item_\d+>",
}
SEQUENCES = st.lists(st.lists(st.integers(0, 30), min_size=2, max_size=12), min_size=1, max_size=15)


def blocks(count: int, size: int, users: int = 60, seed: int = 0) -> Dataset:
    """Users who each train on items of one block; which item is of which block is shuffled.

    Item `i` is of block `titles[i]`. The two held-out items are of any block.
    """
    generator = np.random.default_rng(seed)
    block_of = generator.permutation(np.repeat(np.arange(count), size))
    sequences = []
    for user in range(users * count):
        members = np.flatnonzero(block_of == user % count)
        held = generator.integers(count * size, size=2)
        sequences.append([*generator.choice(members, 12, replace=False), *held])
    dataset = dataset_of(sequences, items=count * size)
    return replace(dataset, titles=[str(block) for block in block_of])


def leaves(paths: list[tuple[int, ...]]) -> dict[tuple[int, ...], list[int]]:
    """Items of each last cluster."""
    found: dict[tuple[int, ...], list[int]] = {}
    for item, path in enumerate(paths):
        found.setdefault(path[:-1], []).append(item)
    return found


@pytest.mark.parametrize("kind", KINDS)
@given(sequences=SEQUENCES, seed=st.integers(0, 2**32))
@settings(max_examples=30)
def test_every_item_has_a_word_of_its_own_and_a_seed_repeats_it(
    kind: ItemWords, sequences: list[list[int]], seed: int
) -> None:
    dataset = dataset_of(sequences, items=35)
    words = item_words(dataset, kind, seed)
    assert len(words) == len(set(words)) == 35
    assert all(re.fullmatch(PATTERNS[kind], word) for word in words)
    assert item_words(dataset, kind, seed) == words


@pytest.mark.parametrize("kind", ["random", "independent"])
@given(one=SEQUENCES, other=SEQUENCES, seed=st.integers(0, 100))
def test_a_random_number_depends_on_nothing_in_the_data(
    kind: ItemWords, one: list[list[int]], other: list[list[int]], seed: int
) -> None:
    words = item_words(dataset_of(one, items=31), kind, seed)
    assert item_words(dataset_of(other, items=31), kind, seed) == words
    numbers = sorted(int(word.strip("<>").removeprefix("item_")) for word in words)
    assert numbers == list(range(1, 32))


def test_another_seed_shuffles_otherwise() -> None:
    dataset = dataset_of([[0, 1, 2]], items=50)
    assert item_words(dataset, "random", 0) != item_words(dataset, "random", 1)
    assert user_words(50, 0) != user_words(50, 1)


def test_users_are_numbered_from_one_and_not_as_items_are() -> None:
    words = user_words(50, seed=3)
    assert sorted(words) == sorted(f"user_{number}" for number in range(1, 51))
    items = item_words(dataset_of([[0, 1]], items=50), "random", 3)
    assert [word[5:] for word in words] != [word[5:] for word in items]


def test_hybrid_ids_are_the_clusters_of_the_one_and_the_words_of_the_other() -> None:
    dataset = blocks(2, 80)
    clusters, own, hybrid = (
        item_words(dataset, kind, 7) for kind in ("collaborative", "independent", "hybrid")
    )
    assert [parted(word)[0] for word in hybrid] == [word.rpartition("-")[0] for word in clusters]
    assert [parted(word)[1] for word in hybrid] == own
    assert len({parted(word)[0] for word in hybrid}) > 2


def test_sequential_numbers_count_first_appearances_and_read_held_out_items_too() -> None:
    dataset = dataset_of([[3, 1, 4], [1, 5, 3, 0]], items=7)
    words = item_words(dataset, "sequential", 0)
    assert [words[item] for item in (3, 1, 4, 5, 0)] == [f"item_{n}" for n in range(1, 6)]
    assert [words[item] for item in (2, 6)] == ["item_6", "item_7"]  # nobody has them


def test_sequential_ids_leak_where_random_ones_do_not() -> None:
    # 400 users who each have their own three items and then two that nobody had before her.
    order = np.random.default_rng(0).permutation(2000)
    dataset = dataset_of(order.reshape(400, 5).tolist())
    told = next_id(dataset, item_words(dataset, "sequential", 0))
    assert told is not None
    assert (told.hits, told.leaks) == (1.0, True)
    assert "give answers away" in told.meaning
    told = next_id(dataset, item_words(dataset, "random", 0))
    assert told is not None
    assert (told.hits < 0.01, told.leaks) == (True, False)
    assert "do not give answers away" in told.meaning


@pytest.mark.parametrize(
    ("kind", "asked", "leaks"),
    [
        ("random", True, False),
        ("sequential", True, True),
        ("collaborative", False, False),
        ("independent", False, False),
        ("hybrid", False, False),
    ],
)
def test_ids_are_judged_by_their_figure_if_there_is_one(
    kind: ItemWords, asked: bool, leaks: bool
) -> None:
    order = np.random.default_rng(0).permutation(500)
    dataset = dataset_of(order.reshape(100, 5).tolist())
    words = item_words(dataset, kind, 0)
    found = item_ids(dataset, kind, words)
    assert (found.kind, found.leaks) == (kind, leaks)
    assert found.next_id_hits == next_id_hits(dataset, words)
    assert (found.next_id_hits is not None) == asked


def test_sequential_ids_leak_by_construction_whatever_the_figure() -> None:
    dataset = dataset_of([[0, 1, 2, 3], [3, 0, 1, 2]])  # nobody goes on behind the highest number
    found = item_ids(dataset, "sequential", ["item_4", "item_3", "item_2", "item_1"])
    assert (found.next_id_hits, found.leaks) == (0.0, True)
    assert "0.00% of validation items" in found.meaning


def test_numbers_that_give_answers_away_leak_whatever_they_are_called() -> None:
    order = np.random.default_rng(0).permutation(500)
    dataset = dataset_of(order.reshape(100, 5).tolist())
    found = item_ids(dataset, "random", item_words(dataset, "sequential", 0))
    assert (found.next_id_hits, found.leaks) == (1.0, True)
    assert found.meaning.startswith("100.00% HR@1 of guessing the item behind")


@given(SEQUENCES.filter(lambda sequences: any(len(s) > 2 for s in sequences)), st.integers(0, 50))
def test_hits_of_the_next_id_are_those_of_a_plain_look(
    sequences: list[list[int]], seed: int
) -> None:
    asked = [sequence for sequence in sequences if len(sequence) > 2]
    dataset = dataset_of(asked, items=31)
    words = item_words(dataset, "random", seed)
    numbers = [int(word.removeprefix("item_")) for word in words]
    guesses = [max(numbers[item] for item in s[:-2]) + 1 for s in asked]
    hits = [guess == numbers[s[-2]] for guess, s in zip(guesses, asked, strict=True)]
    assert next_id_hits(dataset, words) == pytest.approx(np.mean(hits))


@pytest.mark.parametrize("kind", ["titles", "collaborative", "independent", "hybrid"])
def test_words_without_plain_numbers_are_not_asked_for_the_next(kind: ItemWords) -> None:
    dataset = dataset_of([[0, 1, 2, 3]])
    assert next_id_hits(dataset, item_words(dataset, kind, 0)) is None
    assert next_id(dataset, item_words(dataset, kind, 0)) is None


def test_nobody_to_ask_gives_no_figure() -> None:
    dataset = dataset_of([[0, 1, 2]])
    nobody = bounds(dataset.offsets, np.zeros(3, dtype=np.int64), None)
    nobody = replace(nobody, validation=np.full_like(nobody.validation, -1))
    assert next_id_hits(replace(dataset, bounds=nobody), ["item_1", "item_2", "item_3"]) is None


def test_items_of_one_block_share_clusters() -> None:
    dataset = blocks(count=4, size=60)
    found = leaves(cluster_paths(dataset, 0))
    mixed = [members for members in found.values() if len({dataset.titles[i] for i in members}) > 1]
    assert mixed == []
    assert len(found) < 20  # and not by being alone
    together = sum(len(members) * (len(members) - 1) // 2 for members in found.values())
    pairs = sum(dataset.titles[i] == dataset.titles[j] for i, j in combinations(range(240), 2))
    assert together > pairs / 2


def test_clusters_within_clusters_are_found_where_there_are_many_items() -> None:
    dataset = blocks(count=30, size=40, users=30)
    paths = cluster_paths(dataset, 0)
    found = leaves(paths)
    assert max(map(len, found.values())) <= LARGEST
    assert max(map(len, paths)) >= 3
    blocks_of = [{dataset.titles[item] for item in members} for members in found.values()]
    assert np.mean([len(block) for block in blocks_of]) < 2.5


def test_clusters_and_vectors_do_not_know_held_out_items() -> None:
    dataset = blocks(count=3, size=60)
    held = np.concatenate([dataset.bounds.validation, dataset.bounds.test])
    items = dataset.items.copy()
    items[held] = np.random.default_rng(9).integers(180, size=len(held))
    assert np.count_nonzero(items != dataset.items) > len(held) / 2
    other = replace(dataset, items=items)
    assert cluster_paths(other, 0) == cluster_paths(dataset, 0)
    assert np.array_equal(item_vectors(other, 8, 0), item_vectors(dataset, 8, 0))


def test_items_that_nobody_trains_on_are_in_a_cluster_of_their_own() -> None:
    sequences = [[0, 1, 2, 7, 8], [1, 2, 3, 8, 9]]
    paths = cluster_paths(dataset_of(sequences, items=350), 0)
    assert {paths[item][0] for item in range(4)} == {1}
    assert {paths[item][0] for item in range(4, 350)} == {2}
    assert max(map(len, leaves(paths).values())) <= LARGEST


def test_the_number_in_the_last_cluster_does_not_follow_the_catalog() -> None:
    paths = cluster_paths(dataset_of([[*range(40), 0, 1]]), 0)
    numbers = [path[-1] for path in paths]
    assert sorted(numbers) == list(range(1, 41))
    assert numbers != sorted(numbers)


ODD = {
    "one user with all": [[*range(300), 0, 1]],
    "everybody with the same": [[*range(300), 0, 1]] * 5,
    "chains": [[i, (i + 1) % 300, 0, 1] for i in range(300)],
    "a star": [[0, i, 0, 1] for i in range(1, 300)],
    "pairs of no others": [[2 * i, 2 * i + 1, 0, 1] for i in range(150)],
    "nobody with two": [[i, 0, 1] for i in range(300)],
    "one pair": [[0, 1, 2, 3], *([i, 0, 1] for i in range(2, 300))],
    "nobody trains": [[0, 1]],
}


@pytest.mark.parametrize("sequences", ODD.values(), ids=ODD.keys())
def test_odd_graphs_make_small_clusters_the_same_way_each_time(sequences: list[list[int]]) -> None:
    dataset = dataset_of(sequences, items=300)
    paths = cluster_paths(dataset, 0)
    assert len(set(paths)) == 300
    assert max(map(len, leaves(paths).values())) <= LARGEST
    assert max(map(len, paths)) <= 6
    assert cluster_paths(dataset, 0) == paths


def test_an_empty_catalog_has_no_words() -> None:
    assert item_words(dataset_of([], items=0), "collaborative", 0) == []


def plain_cosines(sequences: list[list[int]], items: int) -> NDArray[np.float64]:
    """Of items as users link them, popularity taken out, with nothing decomposed."""
    links = np.array([[float(item in s[:-2]) for item in range(items)] for s in sequences])
    users, counts = links.sum(1), links.sum(0)
    matrix = links / np.sqrt(np.maximum(users, 1))[:, None] / np.sqrt(np.maximum(counts, 1))
    gram: NDArray[np.float64] = matrix.T @ matrix - np.outer(
        np.sqrt(counts), np.sqrt(counts)
    ) / max(1, counts.sum())
    lengths = np.sqrt(np.maximum(np.diag(gram), 1e-24))
    gram /= lengths[:, None] * lengths
    return gram


@given(SEQUENCES, st.integers(0, 100))
def test_items_are_as_alike_as_their_users_say(sequences: list[list[int]], seed: int) -> None:
    vectors = item_vectors(dataset_of(sequences, items=35), 40, seed)
    assert vectors.shape == (35, 40)
    cosines = plain_cosines(sequences, 35)
    told = np.flatnonzero(np.linalg.norm(vectors, axis=1) > 0.5)
    trained = {item for sequence in sequences for item in sequence[:-2]}
    assert set(told.tolist()) <= trained
    assert np.allclose(
        (vectors @ vectors.T)[np.ix_(told, told)], cosines[np.ix_(told, told)], atol=1e-3
    )


def test_items_of_one_block_point_the_same_way() -> None:
    dataset = blocks(count=4, size=60)
    vectors = item_vectors(dataset, 3, 0)
    same = np.array(dataset.titles)[:, None] == np.array(dataset.titles)
    cosines = vectors @ vectors.T
    assert cosines[same].min() > 0.8 > 0 > cosines[~same].max()


@pytest.mark.parametrize("sequences", ODD.values(), ids=ODD.keys())
def test_odd_graphs_give_directions_the_same_way_each_time(sequences: list[list[int]]) -> None:
    dataset = dataset_of(sequences, items=300)
    vectors = item_vectors(dataset, 16, 0)
    lengths = np.linalg.norm(vectors, axis=1)
    assert np.isfinite(vectors).all()
    assert np.all((np.abs(lengths - 1) < 1e-5) | (lengths == 0))
    assert not lengths[dataset.train_counts == 0].any()
    assert np.array_equal(item_vectors(dataset, 16, 0), vectors)
