"""Orders and hashes of raw ids that do not depend on the order of a file's rows."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

UInt64 = NDArray[np.uint64]


def natural_order(ids: Sequence[str]) -> NDArray[np.int64]:
    """Positions that sort ids, numbers by value and before words.

    Example:
        >>> natural_order(["10", "b", "9", "a"]).tolist()
        [2, 0, 3, 1]
    """
    # isdecimal alone admits digits of other scripts, which int() reads, too; equal values then
    # fall back to the text, so the order stays total.
    keys = [(0, int(i), i) if i.isdecimal() else (1, 0, i) for i in ids]
    return np.array(sorted(range(len(ids)), key=keys.__getitem__), dtype=np.int64)


def hash_ids(ids: Sequence[str], seed: int) -> UInt64:
    """64-bit hashes of ids, [len(ids)]; the same on every machine and in every version."""
    salt = seed.to_bytes(8, "little", signed=True)
    digests = [hashlib.blake2b(i.encode(), digest_size=8, salt=salt).digest() for i in ids]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def mix(left: UInt64, right: UInt64) -> UInt64:
    """Combine two hashes element by element (the finaliser of splitmix64, Steele et al. 2014)."""
    x = left ^ (right + np.uint64(0x9E3779B97F4A7C15))
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: UInt64 = x ^ (x >> np.uint64(31))
    return mixed


def spread(ids: pa.StringArray) -> UInt64:
    """Fast 64-bit hashes that spread ids evenly, [len(ids)]; every version gives the same.

    They decide in which order, and hence in which partition, users are stored. Eight bytes of
    every id go through `mix` at a time.
    """
    starts = np.frombuffer(ids.buffers()[1], "<i4")[ids.offset : ids.offset + len(ids) + 1]
    starts = starts.astype(np.int64)
    lengths = np.diff(starts)
    first, last = (int(starts[0]), int(starts[-1])) if len(ids) else (0, 0)
    text = np.zeros(last - first + 8, dtype=np.uint8)
    if last > first:
        text[:-8] = np.frombuffer(ids.buffers()[2], np.uint8)[first:last]
    words = np.lib.stride_tricks.sliding_window_view(text, 8)
    hashes = mix(lengths.astype(np.uint64), np.zeros(len(ids), np.uint64))
    for place in range(0, int(lengths.max(initial=0)), 8):
        at = np.flatnonzero(lengths > place)
        word = words[starts[at] - first + place].view("<u8").ravel()
        bits = 8 * np.minimum(lengths[at] - place, 8)
        inside = np.uint64(2**64 - 1) >> (64 - bits).astype(np.uint64)  # cut off the next id
        hashes[at] = mix(hashes[at], word & inside)
    return hashes
