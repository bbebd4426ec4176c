"""How a history becomes a prompt, written down for programs that do not have genrec."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from genrec_cli.core.schema import ITEM_ID, TITLE
from genrec_cli.core.workspace import write_json
from genrec_cli.data.dataset import CATALOG_FILE
from genrec_cli.language.corpus import tokenised_items
from genrec_cli.language.handover.trained import Trained
from genrec_cli.language.prompt import Encoder, Prompt, end_of_title

PROMPT_FILE: Final = "prompt.json"
TOKEN_IDS: Final = "token_ids"
_EXAMPLE_TITLES: Final = 5
_TITLES_AT_ONCE: Final = 64


class Prompting(NamedTuple):
    """A run's prompt.

    Attributes:
        prompt: its text.
        encoder: its ids, and those of the dataset's titles.
    """

    prompt: Prompt
    encoder: Encoder

    @property
    def longest(self) -> int:
        """Tokens of the longest title, its end included."""
        return int(self.encoder.titles.lengths.max())


def prompting_of(run: Trained) -> Prompting:
    """Load a run's prompt, and tokenise its dataset's titles if nobody has yet."""
    prompt = Prompt.load(run.folder.parent)
    titles, _ = tokenised_items(run.dataset, run.tokenizer, None)
    head, tail = prompt.around(run.tokenizer)
    encoder = Encoder(head, titles, run.settings.max_length, tail)
    return Prompting(prompt, encoder)


def write_prompting(run: Trained, prompting: Prompting, folder: Path) -> dict[str, Any]:
    """Write `prompt.json`, and `catalog.parquet` with the ids of every title.

    Returns:
        What `prompt.json` holds.
    """
    prompt, encoder = prompting
    document = {
        "before": prompt.before,
        "after": prompt.after,
        "before_ids": encoder.head.tolist(),
        "after_ids": encoder.tail.tolist(),
        "end_of_title_id": end_of_title(run.tokenizer),
        "max_length": encoder.max_length,
        "longest_title": prompting.longest,
        "text_gives_same_ids": _text_gives_same_ids(run, prompting),
        "example": _example(run, prompting),
    }
    write_json(folder / PROMPT_FILE, document)
    titles = encoder.titles
    token_ids = pa.ListArray.from_arrays(pa.array(titles.offsets, pa.int32()), titles.flat)
    columns = {ITEM_ID: run.dataset.item_ids, TITLE: run.dataset.titles, TOKEN_IDS: token_ids}
    pq.write_table(pa.table(columns), folder / CATALOG_FILE, compression="zstd")
    return document


def _example(run: Trained, prompting: Prompting) -> dict[str, Any]:
    """A prompt of the titles that most people chose: nobody's own history leaves the workspace."""
    favourites = np.argsort(-run.dataset.train_counts, kind="stable")[:_EXAMPLE_TITLES]
    items = prompting.encoder.newest(favourites.astype(np.int32))
    titles = [run.dataset.titles[item] for item in items]
    return {
        "titles": titles,
        "text": _text(prompting.prompt, titles),
        "ids": prompting.encoder.prompt(items),
    }


def _text_gives_same_ids(run: Trained, prompting: Prompting) -> bool:
    """Whether prompts can be sent as text; every title is tried, between its neighbours."""
    prompt, encoder = prompting
    for items in _parts(len(run.dataset.titles)):
        whole = Prompt(_text(prompt, [run.dataset.titles[item] for item in items]))
        titles = (encoder.titles[item] for item in items)
        ids = np.concatenate([encoder.head, *titles, encoder.tail])
        if not np.array_equal(whole.around(run.tokenizer)[0], ids):
            return False
    return True


def _parts(count: int) -> Iterator[Sequence[int]]:
    for start in range(0, count, _TITLES_AT_ONCE):
        yield range(start, min(start + _TITLES_AT_ONCE, count))


def _text(prompt: Prompt, titles: Sequence[str]) -> str:
    return "".join(chain([prompt.before], (f"{title}\n" for title in titles), [prompt.after]))
