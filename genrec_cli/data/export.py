"""A dataset's splits as files that other toolkits read."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from numpy.typing import NDArray
from pyarrow import csv

from genrec_cli.core.schema import ITEM_ID, TIMESTAMP, TITLE, USER_ID
from genrec_cli.data.dataset import Dataset, timestamps_of
from genrec_cli.data.split import NOWHERE

Format = Literal["recbole", "csv", "parquet"]
FORMATS: Final[tuple[Format, ...]] = ("recbole", "csv", "parquet")

PLACE: Final = "place"
"""Column that counts a user's events from 0, in the dataset's order: ties are settled there."""

_EVENTS: Final = pa.schema(
    [
        pa.field(USER_ID, pa.string()),
        pa.field(ITEM_ID, pa.string()),
        pa.field(TIMESTAMP, pa.int64()),
        pa.field(PLACE, pa.int32()),
    ]
)
_USERS = 10_000  # at a time

_Write = Callable[[Path, pa.Schema, Iterator[pa.Table]], None]


def export(dataset: Dataset, kind: Format, folder: Path, name: str) -> list[Path]:
    """Write the training part and the targets of a dataset, one file each, and its items.

    The history of a target is all that stands before its `place` in the other parts.

    Args:
        dataset: what to write.
        kind: `csv` and `parquet` have columns user_id, item_id, timestamp, place. `recbole` has the
            same as atomic files (https://recbole.io/docs/user_guide/data/atomic_files.html), whole
            and by part, and a configuration that makes RecBole split as genrec does.
        folder: an empty one.
        name: of RecBole's files, which must be called as the folder that they will lie in.

    Returns:
        The files.
    """
    if kind == "recbole":
        return _recbole(dataset, folder, name)
    write = _csv if kind == "csv" else _parquet
    files = [folder / f"{part}.{kind}" for part in _PARTS]
    for part, path in zip(_PARTS, files, strict=True):
        write(path, _EVENTS, events(dataset, part))
    items = folder / f"items.{kind}"
    write(items, _items(dataset).schema, iter([_items(dataset)]))
    return [*files, items]


def events(dataset: Dataset, part: str) -> Iterator[pa.Table]:
    """The events of one part ("train", "validation", "test" or "all"), some users at a time."""
    timestamps = timestamps_of(dataset)
    user_ids, item_ids = pa.array(dataset.user_ids), pa.array(dataset.item_ids)
    for first in range(0, len(user_ids), _USERS):
        users = np.arange(first, min(first + _USERS, len(user_ids)))
        rows, places = _events_of(dataset, part, users)
        yield pa.table(
            [
                user_ids.take(pa.array(rows)),
                item_ids.take(pa.array(dataset.items[places])),
                pa.array(timestamps[places]),
                pa.array(places - dataset.offsets[rows], pa.int32()),
            ],
            schema=_EVENTS,
        )


_PARTS: Final = ("train", "validation", "test")


def _events_of(
    dataset: Dataset, part: str, users: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """User and place of each event of a part."""
    if part in ("train", "all"):
        starts = dataset.offsets[users]
        ends = dataset.bounds.train_ends[users] if part == "train" else dataset.offsets[users + 1]
        lengths = ends - starts
        behind = np.cumsum(lengths)
        places = np.arange(lengths.sum()) + np.repeat(starts - (behind - lengths), lengths)
        return np.repeat(users, lengths), places
    targets = (dataset.bounds.test if part == "test" else dataset.bounds.validation)[users]
    return users[targets != NOWHERE], targets[targets != NOWHERE]


def _items(dataset: Dataset) -> pa.Table:
    return pa.table({ITEM_ID: dataset.item_ids, TITLE: dataset.titles})


def _csv(path: Path, schema: pa.Schema, tables: Iterator[pa.Table]) -> None:
    with csv.CSVWriter(path, schema) as writer:
        for table in tables:
            writer.write_table(table)


def _parquet(path: Path, schema: pa.Schema, tables: Iterator[pa.Table]) -> None:
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)


_RECBOLE_NAMES: Final = {
    USER_ID: "user_id:token",
    ITEM_ID: "item_id:token",
    TIMESTAMP: "timestamp:float",
    PLACE: "place:float",
    TITLE: "title:token_seq",
}
_RECBOLE_PARTS: Final = {"train": "train", "validation": "valid", "test": "test"}


def _recbole(dataset: Dataset, folder: Path, name: str) -> list[Path]:
    files = {"all": folder / f"{name}.inter"}
    files |= {part: folder / f"{name}.{short}.inter" for part, short in _RECBOLE_PARTS.items()}
    for part, path in files.items():
        _atomic(path, _EVENTS, events(dataset, part))
    items = folder / f"{name}.item"
    _atomic(items, _items(dataset).schema, iter([_items(dataset)]))
    settings = folder / f"{name}.yaml"
    settings.write_text(_SETTINGS_HEAD + yaml.safe_dump(_settings(dataset)), encoding="utf-8")
    return [*files.values(), items, settings]


def _atomic(path: Path, schema: pa.Schema, tables: Iterator[pa.Table]) -> None:
    """Tab-separated; a title with quotes in it stands in quotes, as pandas reads it in RecBole."""
    renamed = pa.schema([field.with_name(_RECBOLE_NAMES[field.name]) for field in schema])
    options = csv.WriteOptions(delimiter="\t", include_header=False)
    with path.open("wb") as file:
        file.write(("\t".join(renamed.names) + "\n").encode())
        with csv.CSVWriter(file, renamed, write_options=options) as writer:
            for table in tables:
                writer.write_table(table.rename_columns(renamed.names))


_SETTINGS_HEAD = """\
# How RecBole reads these files as genrec does: full ranking, and `place` as the time, so that
# genrec's tie rule holds. Models that read no sequences can take the parts as they are instead:
# benchmark_filename: [train, valid, test]
"""


def _settings(dataset: Dataset) -> dict[str, Any]:
    columns = [name.split(":")[0] for name in _RECBOLE_NAMES.values()]
    settings: dict[str, Any] = {
        "USER_ID_FIELD": USER_ID,
        "ITEM_ID_FIELD": ITEM_ID,
        "TIME_FIELD": PLACE,
        "load_col": {"inter": columns[:4], "item": [ITEM_ID, TITLE]},
    }
    if dataset.manifest["split"] == "leave-one-out":
        split = {"LS": "valid_and_test"}
        settings["eval_args"] = {"split": split, "order": "TO", "group_by": "user", "mode": "full"}
    else:
        settings["benchmark_filename"] = list(_RECBOLE_PARTS.values())
        settings["eval_args"] = {"mode": "full"}
    return settings
