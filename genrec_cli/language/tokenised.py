"""A catalog's tokenised titles and their trie, made once and kept beside the dataset.

They lie in `<dataset>/tokenised/<key>`, where the key is a digest of the titles and of all that
decides on their ids, so that nothing there ever goes stale. What is kept is a convenience: where
it is missing, damaged or cannot be written, the titles are tokenised again and nobody is told.
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import tokenizers
import transformers

from genrec_cli.core.errors import WorkspaceError
from genrec_cli.core.workspace import publish
from genrec_cli.decoding.trie import TokenTrie, build_trie
from genrec_cli.decoding.triefile import load_arrays, load_trie, save_arrays, save_trie
from genrec_cli.language.prompt import TitleTokens, Tokenizer, end_of_title, tokenise_titles

FORMAT: Final = 1  # of the rules by which titles become ids: another one, another key
FOLDER: Final = "tokenised"
MANIFEST: Final = "titles.json"
_ARRAYS: Final = ("flat", "offsets")


class Tokenised(NamedTuple):
    """A catalog as token ids.

    Attributes:
        titles: ids of every title.
        trie: of those; item i of the dataset is item i of the trie.
    """

    titles: TitleTokens
    trie: TokenTrie


def tokenised(titles: Sequence[str], tokenizer: Tokenizer, folder: Path) -> Tokenised:
    """Tokenise a catalog, or map what an earlier call kept.

    Args:
        titles: by item number.
        tokenizer: of the base model or the run.
        folder: of the dataset that the titles are of.

    Raises:
        DataError: two titles have the same ids, as `tokenise_titles` says.
    """
    key = cache_key(titles, tokenizer)
    if key is None:
        return _made(titles, tokenizer)
    kept = folder / FOLDER / key
    with suppress(WorkspaceError):
        return _load(kept)
    made = _made(titles, tokenizer)
    with suppress(OSError, WorkspaceError):  # read-only, full, or another process was faster
        _keep(made, kept)
    return made


def cache_key(titles: Sequence[str], tokenizer: Tokenizer) -> str | None:
    """Digest of all that decides on the ids of some titles; None if the tokenizer hides it."""
    end = end_of_title(tokenizer)  # first: encoding resets the padding that is serialised too
    try:
        rules = tokenizer.backend_tokenizer.to_str()
    except Exception:  # a tokenizer in Python has none, one with parts in Python raises as it likes
        return None
    wrapper = type(tokenizer)
    decides = {
        "format": FORMAT,
        "end": end,
        "class": f"{wrapper.__module__}.{wrapper.__qualname__}",
        "special": [sorted(tokenizer.all_special_ids), tokenizer.split_special_tokens],
        "versions": [tokenizers.__version__, transformers.__version__],
        "lengths": hashlib.sha256(np.array([*map(len, titles)], np.int64).tobytes()).hexdigest(),
    }
    digest = hashlib.sha256(json.dumps(decides).encode())
    for text in (rules, "".join(titles)):
        digest.update(hashlib.sha256(text.encode()).digest())
    return digest.hexdigest()[:32]


def _made(titles: Sequence[str], tokenizer: Tokenizer) -> Tokenised:
    tokens = tokenise_titles(tokenizer, titles)
    return Tokenised(tokens, build_trie((tokens.flat, tokens.offsets)))


def _load(folder: Path) -> Tokenised:
    titles = TitleTokens(**load_arrays(_ARRAYS, folder, MANIFEST))
    return Tokenised(titles, load_trie(folder))


def _keep(made: Tokenised, folder: Path) -> None:
    # Without parents: a dataset that `prepare --force` is just replacing must not come back.
    folder.parent.mkdir(exist_ok=True)
    with publish(folder, MANIFEST, force=True, command="genrec finetune") as staging:
        save_trie(made.trie, staging)
        save_arrays({name: getattr(made.titles, name) for name in _ARRAYS}, staging, MANIFEST)
