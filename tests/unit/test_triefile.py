"""Tries on disk: what is loaded is what was saved, and nothing else is ever loaded."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genrec_cli.core.errors import WorkspaceError
from genrec_cli.decoding.ragged import Flat
from genrec_cli.decoding.trie import TokenTrie, build_trie
from genrec_cli.decoding.triefile import TRIE_MANIFEST, load_arrays, load_trie, save_trie

END = 0
ARRAYS = [field.name for field in fields(TokenTrie)]
FILES = [TRIE_MANIFEST, *(f"{name}.npy" for name in ARRAYS)]
TITLES = st.lists(
    st.lists(st.integers(1, 4) | st.integers(1, 2**31 - 2), max_size=6).map(lambda x: (*x, END)),
    min_size=1,
    max_size=30,
    unique=True,
)


def assert_same(found: TokenTrie, expected: TokenTrie) -> None:
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), strict=True)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder with a trie, and with nothing else."""
    save_trie(build_trie([[5, 7, 9], [5, 8, 9], [6, 9]]), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)
    return tmp_path


@settings(max_examples=50)
@given(TITLES)
def test_a_loaded_trie_is_the_built_one_and_answers_as_it_does(
    titles: list[tuple[int, ...]],
) -> None:
    built = build_trie(titles)
    with TemporaryDirectory() as folder:
        save_trie(built, Path(folder))
        loaded = load_trie(Path(folder))
        assert_same(loaded, built)
        nodes = np.arange(len(built.token))
        for ask in ASKED:
            found, expected = ask(loaded, nodes), ask(built, nodes)
            assert type(found) is type(expected)
            np.testing.assert_array_equal(found, expected, strict=True)


def tokens_to(trie: TokenTrie, node: int) -> np.ndarray:
    """Tokens from the root to a node, which is not the root."""
    way = [node]
    while (before := int(trie.parent(np.array(way[-1:]))[0])) > 0:
        way.append(before)
    return trie.token[way[::-1]]


ASKED: list[Callable[[TokenTrie, np.ndarray], np.ndarray]] = [
    lambda trie, nodes: trie.item_leaf,
    lambda trie, nodes: trie.n_children(nodes),
    lambda trie, nodes: trie.parent(nodes),
    lambda trie, nodes: trie.step(trie.parent(nodes[1:]), trie.token[1:]),
    lambda trie, nodes: np.concatenate([trie.allowed(node) for node in nodes.tolist()]),
    lambda trie, nodes: np.concatenate([trie.items(node) for node in nodes.tolist()]),
    lambda trie, nodes: trie.walk(tokens_to(trie, nodes[-1]), np.array([0, trie.depth[-1]])),
]


def test_a_loaded_trie_cannot_be_changed_and_outlives_its_files(saved: Path) -> None:
    trie = load_trie(saved)
    with pytest.raises(ValueError, match="read-only"):
        trie.token[0] = 3
    shutil.rmtree(saved)
    assert_same(trie, build_trie([[5, 7, 9], [5, 8, 9], [6, 9]]))


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "half": halve,
    "one bit": flip,
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "other": lambda path: path.write_bytes(b"PK\x03\x04" + bytes(200)),
    "a folder": make_folder,
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_trie_is_refused(saved: Path, name: str, damage: str) -> None:
    load_trie(saved)
    DAMAGE[damage](saved / name)
    with pytest.raises(WorkspaceError):
        load_trie(saved)


@pytest.mark.parametrize("change", [{"format": 2}, {"files": {}}, {"more": 1}])
def test_another_manifest_is_refused(saved: Path, change: dict[str, object]) -> None:
    manifest = json.loads((saved / TRIE_MANIFEST).read_text())
    assert manifest["format"] == 1
    (saved / TRIE_MANIFEST).write_text(json.dumps(manifest | change))
    with pytest.raises(WorkspaceError, match="is damaged"):
        load_trie(saved)


def test_arrays_in_each_other_s_files_are_refused(saved: Path) -> None:
    low, high = saved / "leaf_lo.npy", saved / "leaf_hi.npy"
    assert low.stat().st_size == high.stat().st_size
    first, second = low.read_bytes(), high.read_bytes()
    low.write_bytes(second)
    high.write_bytes(first)
    with pytest.raises(WorkspaceError, match="is damaged"):
        load_trie(saved)


def test_other_names_than_were_saved_are_refused(saved: Path) -> None:
    for names in (ARRAYS[1:], [*ARRAYS, "more"]):
        with pytest.raises(WorkspaceError):
            load_arrays(names, saved, TRIE_MANIFEST)


def million_titles() -> Flat:
    """Titles of four to nine tokens, frequent ones first, made different by their last three."""
    rng, count = np.random.default_rng(0), 1_000_000
    lengths = rng.integers(4, 10, count)
    offsets = np.append(0, np.cumsum(lengths))
    flat = (1 + 20_000 * rng.random(offsets[-1]) ** 4).astype(np.int32)
    ends, number = offsets[1:], rng.permutation(count)
    flat[ends - 1], flat[ends - 2], flat[ends - 3] = END, 1 + number // 1000, 1 + number % 1000
    return flat, offsets


def test_a_million_titles_are_built_kept_and_mapped(tmp_path: Path) -> None:
    flat, offsets = million_titles()
    begin = time.process_time()
    trie = build_trie((flat, offsets))
    built = time.process_time()
    save_trie(trie, tmp_path)
    saved = time.process_time()
    loaded = load_trie(tmp_path)
    mapped = time.process_time()
    assert mapped - saved < (built - begin) / 3  # a tenth where nothing else runs
    assert_same(loaded, trie)

    children = loaded.n_children(np.arange(len(trie.token)))
    parents = np.repeat(np.arange(len(trie.token)), children)
    np.testing.assert_array_equal(loaded.parent(np.arange(1, len(trie.token))), parents)
    nodes = np.flatnonzero(children == 0)
    items = loaded.leaf_item[loaded.leaf_lo[nodes]]
    np.testing.assert_array_equal(np.sort(items), np.arange(trie.n_items))
    np.testing.assert_array_equal(loaded.depth[nodes], np.diff(offsets)[items])
    # Up from all leaves at once: the tokens met on the way are the titles, last one first.
    starts = offsets[items]
    while nodes.size:
        np.testing.assert_array_equal(loaded.token[nodes], flat[starts + loaded.depth[nodes] - 1])
        nodes = loaded.parent(nodes)
        nodes, starts = nodes[nodes > 0], starts[nodes > 0]
