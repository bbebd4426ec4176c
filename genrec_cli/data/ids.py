"""Orders and hashes of raw ids that do not depend on the order of a file's rows."""

import hashlib
from collections.abc import Sequence

import numpy as np
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
