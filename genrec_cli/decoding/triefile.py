"""A trie, or any integer arrays, as files that are mapped into memory instead of read.

Arrays lie side by side as `.npy`. A small JSON document, written last, says how long each file is
and has its CRC-32: loading reads every file once (4 GB/s from the page cache) and takes none that
is not what was written. Processes that map the same files share their pages.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import numpy as np

from genrec_cli.core.errors import WorkspaceError
from genrec_cli.core.workspace import read_json, write_json
from genrec_cli.decoding.ragged import IntArray
from genrec_cli.decoding.trie import TokenTrie

FORMAT: Final = 1  # to be raised when the arrays of a trie change, or what they mean
TRIE_MANIFEST: Final = "trie.json"
_ARRAYS: Final = tuple(field.name for field in fields(TokenTrie))
_BLOCK: Final = 1 << 20


def save_trie(trie: TokenTrie, folder: Path) -> None:
    """Write a trie into a folder, which must exist.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from genrec_cli.decoding.trie import build_trie
        >>> with TemporaryDirectory() as folder:
        ...     save_trie(build_trie([[5, 7, 9], [6, 9]]), Path(folder))
        ...     load_trie(Path(folder)).allowed(0).tolist()
        [5, 6]
    """
    save_arrays({name: getattr(trie, name) for name in _ARRAYS}, folder, TRIE_MANIFEST)


def load_trie(folder: Path) -> TokenTrie:
    """Map a trie that `save_trie` wrote; its arrays are read-only.

    Raises:
        WorkspaceError: there is none, it is not whole, or another version of genrec wrote it.
    """
    return TokenTrie(**load_arrays(_ARRAYS, folder, TRIE_MANIFEST))


def save_arrays(arrays: Mapping[str, IntArray], folder: Path, manifest: str) -> None:
    """Write each array as `<name>.npy`, then what they are into the manifest."""
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    write_json(folder / manifest, _described(arrays, folder))


def load_arrays(names: Iterable[str], folder: Path, manifest: str) -> dict[str, Any]:
    """Map the arrays that `save_arrays` wrote.

    Raises:
        WorkspaceError: there are none, or not those, or not as they were written.
    """
    names = list(names)
    try:
        if read_json(folder / manifest) != _described(names, folder):
            raise WorkspaceError(f"{folder} is damaged: its files are not as {manifest} says")
        return {name: _mapped(folder / f"{name}.npy") for name in names}
    except (OSError, ValueError) as error:
        raise WorkspaceError(f"{folder} cannot be read: {error}") from None


def _mapped(path: Path) -> IntArray:
    # A plain view: every slice of an np.memmap costs a call in Python.
    array: IntArray = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    return array


def _described(names: Iterable[str], folder: Path) -> dict[str, Any]:
    """The manifest of files as they are now."""
    return {"format": FORMAT, "files": {n: _described_file(folder / f"{n}.npy") for n in names}}


def _described_file(path: Path) -> dict[str, int]:
    """Length and CRC-32 of a file; its header, and so dtype and shape, are within both."""
    length = crc = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            length, crc = length + len(block), zlib.crc32(block, crc)
    return {"bytes": length, "crc32": crc}
