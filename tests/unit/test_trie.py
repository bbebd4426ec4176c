from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec_cli.decoding.trie import TokenTrie, build_trie

END = 0
# Few tokens, so that titles share beginnings; END only at the end, so that the set is prefix-free.
TITLES = st.lists(
    st.lists(st.integers(1, 4), max_size=6).map(lambda row: (*row, END)),
    min_size=1,
    max_size=30,
    unique=True,
)


def follow(trie: TokenTrie, tokens: tuple[int, ...]) -> int:
    """The node at the end of a path; -1 off the trie."""
    node = 0
    for token in tokens:
        allowed = trie.allowed(node).tolist()
        if token not in allowed:
            return -1
        node = int(trie.first_child[node]) + allowed.index(token)
    return node


def paths(trie: TokenTrie, node: int = 0) -> dict[tuple[int, ...], int]:
    """Every node below a node, by the tokens that lead to it."""
    found: dict[tuple[int, ...], int] = {(): node}
    for child in range(trie.first_child[node], trie.first_child[node + 1]):
        below = paths(trie, child)
        found |= {(int(trie.token[child]), *path): n for path, n in below.items()}
    return found


@given(TITLES)
def test_the_leaves_are_the_titles_and_nothing_else(titles: list[tuple[int, ...]]) -> None:
    trie = build_trie(titles)
    leaves = {path: node for path, node in paths(trie).items() if trie.is_leaf(node)}
    assert {path: trie.items(node).tolist() for path, node in leaves.items()} == {
        title: [item] for item, title in enumerate(titles)
    }


@given(TITLES)
def test_every_node_knows_the_items_below_it(titles: list[tuple[int, ...]]) -> None:
    trie = build_trie(titles)
    nodes = paths(trie)
    assert sorted(nodes.values()) == list(range(len(trie.token)))
    for path, node in nodes.items():
        below = sorted(t for t in titles if t[: len(path)] == path)
        assert [titles[item] for item in trie.items(node)] == below
        assert trie.depth[node] == len(path)
        assert trie.token[node] == (path[-1] if path else -1)


@given(TITLES)
def test_branch_is_the_first_choice_or_leaf_at_or_below(titles: list[tuple[int, ...]]) -> None:
    trie = build_trie(titles)
    for node in range(len(trie.token)):
        end = node
        while len(trie.allowed(end)) == 1:
            end = int(trie.first_child[end])
        assert trie.branch[node] == end


@given(TITLES)
def test_nodes_are_numbered_breadth_first(titles: list[tuple[int, ...]]) -> None:
    trie = build_trie(titles)
    assert trie.first_child[0] == 1
    assert trie.first_child[-1] == len(trie.token)
    assert (np.diff(trie.first_child) >= 0).all()
    assert (np.diff(trie.depth) >= 0).all()
    assert trie.leaf_item[trie.item_leaf].tolist() == list(range(len(titles)))
    for node in range(len(trie.token)):
        assert all(a < b for a, b in pairwise(trie.allowed(node).tolist()))


@given(TITLES, st.data())
def test_walk_gives_the_node_before_each_token(
    titles: list[tuple[int, ...]], data: st.DataObject
) -> None:
    trie = build_trie(titles)
    walked = data.draw(st.lists(st.sampled_from(titles)))
    cut = [title[: data.draw(st.integers(0, len(title)))] for title in walked]
    flat = np.array([token for title in cut for token in title], dtype=np.int32)
    offsets = np.append(0, np.cumsum([len(title) for title in cut])).astype(np.int64)
    expected = [follow(trie, title[:i]) for title in cut for i in range(len(title))]
    nodes = trie.walk(flat, offsets)
    assert nodes.dtype == np.int32
    assert nodes.tolist() == expected


@given(TITLES, st.lists(st.tuples(st.integers(0, 200), st.integers(-1, 6))))
def test_step_goes_to_the_child_or_says_that_there_is_none(
    titles: list[tuple[int, ...]], asked: list[tuple[int, int]]
) -> None:
    trie = build_trie(titles)
    of_node = {node: path for path, node in paths(trie).items()}
    nodes = np.array([node % len(trie.token) for node, _ in asked], dtype=np.int64)
    tokens = np.array([token for _, token in asked], dtype=np.int64)
    expected = [follow(trie, (*of_node[n], t)) for n, t in zip(nodes, tokens, strict=True)]
    assert trie.step(nodes, tokens).tolist() == expected


def test_walk_refuses_a_title_that_leaves_the_trie() -> None:
    trie = build_trie([[1, 2, END], [3, END]])
    with pytest.raises(ValueError, match="title 1 leaves the trie at token 4"):
        trie.walk(np.array([3, END, 1, 4]), np.array([0, 2, 4]))
    with pytest.raises(ValueError, match="title 0 leaves"):
        trie.walk(np.array([3, END, END]), np.array([0, 3]))


@given(TITLES)
def test_flat_arrays_build_the_same_trie(titles: list[tuple[int, ...]]) -> None:
    flat = np.array([token for title in titles for token in title], dtype=np.int32)
    offsets = np.append(0, np.cumsum([len(title) for title in titles])).astype(np.int64)
    before = flat.copy(), offsets.copy()
    from_flat, from_lists = build_trie((flat, offsets)), build_trie(titles)
    for name, array in vars(from_lists).items():
        np.testing.assert_array_equal(getattr(from_flat, name), array)
    np.testing.assert_array_equal(flat, before[0])
    np.testing.assert_array_equal(offsets, before[1])


def test_two_titles_as_arrays_in_a_list_are_titles() -> None:
    trie = build_trie([np.array([1, END]), np.array([2, END])])  # type: ignore[list-item]
    assert trie.n_items == 2


@pytest.mark.parametrize(
    ("titles", "message"),
    [
        ([], "no titles"),
        ([[1, END], [], [2, END], []], "without tokens: item 1, item 3"),
        ([[1, END], [2, END], [1, END]], "item 0 equals item 2"),
        ([[1, 2, 3], [4], [1, 2]], "item 2 begins item 0"),
        ([[1, 2], [1, 3], [1]], "item 2 begins item [01]"),
        ([[1, END]] * 9, "item 0 equals item 1, .* and 3 more"),
        ([[1, END], [2, -1]], "negative token in the title of item 1"),
    ],
)
def test_titles_that_make_no_trie_are_named(titles: list[list[int]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_trie(titles)


def tree_of(titles: list[tuple[int, ...]]) -> dict[tuple[int, ...], tuple[int, ...] | None]:
    """Every beginning of a title, and the one that is a token shorter."""
    beginnings = {title[:end] for title in titles for end in range(len(title) + 1)}
    return {path: path[:-1] if path else None for path in beginnings}


@given(TITLES)
def test_parent_is_the_node_of_the_path_without_its_last_token(
    titles: list[tuple[int, ...]],
) -> None:
    trie = build_trie(titles)
    nodes = paths(trie)
    expected = {
        nodes[path]: -1 if up is None else nodes[up] for path, up in tree_of(titles).items()
    }
    everywhere = np.arange(len(trie.token))
    for asked in (everywhere, everywhere[::-1], everywhere.astype(np.int32), everywhere[:0]):
        assert trie.parent(asked).tolist() == [expected[int(node)] for node in asked]
