"""Randomness inside libraries that draw from torch's global generator."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from a generator of this seed, and leave the global one as it was."""
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(seed)
        if torch.cuda.is_available():
            torch.cuda.manual_seed_all(seed)
        yield
