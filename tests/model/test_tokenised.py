"""Tokenised titles and their trie, kept beside a dataset: never wrong, whatever becomes of them."""

import json
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kept_titles import NANO, TITLES, assert_same, is_mapped, kept_in, made

from genrec_cli.core.errors import DataError
from genrec_cli.language.tokenised import FOLDER, tokenised

FILES = ["titles.json", "trie.json", "flat.npy", "offsets.npy", "token.npy", "leaf_item.npy"]


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The folder that holds TITLES, in `tmp_path`."""
    assert not is_mapped(tokenised(TITLES, NANO, tmp_path))
    assert is_mapped(tokenised(TITLES, NANO, tmp_path))
    (folder,) = kept_in(tmp_path)
    assert {path.name for path in folder.iterdir()} > set(FILES)
    return folder


CATALOGS = st.lists(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20),
    min_size=1,
    max_size=20,
    unique=True,
)


@settings(max_examples=30)
@given(st.lists(CATALOGS, min_size=1, max_size=3))
def test_what_is_mapped_is_what_was_made(catalogs: list[list[str]]) -> None:
    with TemporaryDirectory() as name:
        for titles in [*catalogs, *catalogs]:
            assert_same(tokenised(titles, NANO, Path(name)), made(titles, NANO))
        assert all(is_mapped(tokenised(titles, NANO, Path(name))) for titles in catalogs)
        assert len(kept_in(Path(name))) == len({tuple(titles) for titles in catalogs})


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def other_format(path: Path) -> None:
    """Write what a later version of genrec might."""
    manifest = path.parent / "titles.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 99}))


@pytest.mark.parametrize("damage", [Path.unlink, halve, flip, other_format])
@pytest.mark.parametrize("name", FILES)
def test_what_is_damaged_is_made_again(
    kept: Path, name: str, damage: Callable[[Path], None]
) -> None:
    damage(kept / name)
    found = tokenised(TITLES, NANO, kept.parents[1])
    assert not is_mapped(found)
    assert_same(found, made(TITLES, NANO))
    again = tokenised(TITLES, NANO, kept.parents[1])
    assert is_mapped(again)
    assert_same(again, made(TITLES, NANO))
    assert kept_in(kept.parents[1]) == [kept]


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """Let writing fail beyond some bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 100, 150])
def test_a_full_disk_costs_only_time(tmp_path: Path, size: int) -> None:
    with no_file_longer_than(size):
        for _ in range(2):
            assert_same(tokenised(TITLES, NANO, tmp_path), made(TITLES, NANO))
            assert kept_in(tmp_path) == []
    tokenised(TITLES, NANO, tmp_path)
    assert is_mapped(tokenised(TITLES, NANO, tmp_path))


def test_a_dataset_that_takes_no_folder_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("in the way")
    for folder in (tmp_path, tmp_path / "gone"):
        for _ in range(2):
            found = tokenised(TITLES, NANO, folder)
            assert not is_mapped(found)
            assert_same(found, made(TITLES, NANO))
    assert [path.name for path in tmp_path.iterdir()] == [FOLDER]


def test_titles_that_cannot_be_told_apart_are_refused_and_not_kept(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(DataError, match="cannot be told apart"):
            tokenised(["two\nlines"], NANO, tmp_path)
    assert not (tmp_path / FOLDER).exists()


WORKER = """
import hashlib, sys
from pathlib import Path
from transformers import PreTrainedTokenizerFast
from genrec_cli.language.tokenised import tokenised

tokenizer = PreTrainedTokenizerFast(tokenizer_file=sys.argv[1])
titles = [f"Film {number}" for number in range(1000)]
print("ready", flush=True)
for folder in sys.stdin:
    tokens, trie = tokenised(titles, tokenizer, Path(folder.strip()))
    arrays = tokens.flat, tokens.offsets, *(value for _, value in sorted(vars(trie).items()))
    print(hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest(), flush=True)
"""


@contextmanager
def workers(count: int, folder: Path) -> Iterator[list["subprocess.Popen[str]"]]:
    NANO.backend_tokenizer.save(str(folder / "tokenizer.json"))
    command = [sys.executable, "-c", WORKER, str(folder / "tokenizer.json")]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(command, **pipes) for _ in range(count)]
    try:
        yield started
    finally:
        for process in started:
            process.communicate()
    assert [process.returncode for process in started] == [0] * count


def answers(processes: "list[subprocess.Popen[str]]", order: str = "") -> set[str]:
    """One line of each, after they were told something at the same time."""
    for process in processes if order else []:
        assert process.stdin is not None
        process.stdin.write(f"{order}\n")
        process.stdin.flush()
    return {process.stdout.readline() for process in processes if process.stdout is not None}


def test_processes_that_race_for_a_cache_all_get_the_right_titles(tmp_path: Path) -> None:
    with workers(2, tmp_path) as processes:
        assert answers(processes) == {"ready\n"}
        (expected,) = answers(processes, str(tmp_path / "nowhere"))
        for number in range(10):
            folder = tmp_path / str(number)
            folder.mkdir()
            assert answers(processes, str(folder)) == {expected}  # nothing is there yet
            halve(next((folder / FOLDER).glob("[!.]*/token.npy")))
            assert answers(processes, str(folder)) == {expected}  # what is there is damaged
    for number in range(10):
        tokenised(TITLES, NANO, tmp_path / str(number))  # sweeps up what the losers left
        assert len(kept_in(tmp_path / str(number))) == 2
