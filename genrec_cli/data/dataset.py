"""A prepared dataset: written once, then read by every other command."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from rapidfuzz import process

from genrec_cli.core.errors import DataError, WorkspaceError
from genrec_cli.core.schema import (
    CATALOG,
    ITEM_ID,
    ITEMS,
    SEQUENCES,
    TIMESTAMPS,
    TITLE,
    TRAIN_COUNT,
    USER_ID,
)
from genrec_cli.core.workspace import DATASET_MANIFEST, read_json, write_json
from genrec_cli.data.engine.finishing import hash_texts, section_digests
from genrec_cli.data.engine.tables import column, lengths_of, numbers
from genrec_cli.data.ids import natural_order, spread
from genrec_cli.data.split import Bounds, Cut, bounds

FORMAT = 2
CATALOG_FILE = "catalog.parquet"
SEQUENCES_FILE = "sequences.parquet"  # or a folder of that name, with the parts of a cluster
_AGAIN = "prepare it again with --force"


@dataclass(frozen=True)
class Dataset:
    """A catalog of items and one sequence of them for each user.

    Attributes:
        folder: where it lies.
        manifest: `dataset.json`.
        item_ids: raw ids, by item number.
        titles: clean and unique, by item number.
        train_counts: int64, [items]; events in the training part.
        user_ids: raw ids, by row, in their natural order.
        offsets: int64, [users + 1]; row u's items are `items[offsets[u]:offsets[u + 1]]`.
        items: int32, [events], in time order within a row.
        bounds: where training part and targets lie in `items`.
    """

    folder: Path
    manifest: Mapping[str, Any]
    item_ids: list[str]
    titles: list[str]
    train_counts: NDArray[np.int64]
    user_ids: list[str]
    offsets: NDArray[np.int64]
    items: NDArray[np.int32]
    bounds: Bounds

    @property
    def name(self) -> str:
        """The folder's name, by which commands ask for it."""
        return self.folder.name

    @property
    def hash(self) -> str:
        """Hash of the content; runs and benches record it."""
        return str(self.manifest["hash"])

    def sequence(self, row: int) -> NDArray[np.int32]:
        """All items of one user, oldest first."""
        return self.items[self.offsets[row] : self.offsets[row + 1]]

    def rows_of(self, user_ids: list[str]) -> list[int]:
        """Rows of users by raw id.

        Raises:
            DataError: an id is unknown; it offers the nearest ones.
        """
        rows = {user_id: row for row, user_id in enumerate(self.user_ids)}
        for user_id in user_ids:
            if user_id not in rows:
                near = ", ".join(_nearest(user_id, self.user_ids))
                raise DataError(
                    f"unknown user '{user_id}' in dataset '{self.name}'",
                    f"nearest ids: {near}   (users with too few events are left out by prepare)",
                )
        return [rows[user_id] for user_id in user_ids]


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write `dataset.json`, which makes the dataset finished."""
    write_json(folder / DATASET_MANIFEST, {"format": FORMAT, **manifest})


def load_dataset(folder: Path) -> Dataset:
    """Read a finished dataset.

    Raises:
        WorkspaceError: a file is missing or damaged, or another version of genrec wrote it.
    """
    manifest = read_json(folder / DATASET_MANIFEST)
    if manifest.get("format") != FORMAT:
        raise WorkspaceError(
            f"{folder / DATASET_MANIFEST} has format {manifest.get('format')}, this genrec reads "
            f"{FORMAT}",
            _AGAIN,
        )
    cut = Cut(**manifest["cut"]) if manifest.get("cut") else None
    catalog, sequences = _tables(folder)
    keys = spread(column(sequences, USER_ID))
    in_order = not np.any(keys[1:] < keys[:-1])
    digests = section_digests(keys, sequences) if in_order else {}
    if content_hash(catalog, digests, cut) != manifest.get("hash"):
        message = f"{folder} is damaged: its tables are not those it was made with"
        raise WorkspaceError(message, _AGAIN)
    sequences = _natural(sequences)
    offsets = np.concatenate([[0], np.cumsum(lengths_of(sequences))])
    return Dataset(
        folder=folder,
        manifest=manifest,
        item_ids=catalog[ITEM_ID].to_pylist(),
        titles=catalog[TITLE].to_pylist(),
        train_counts=catalog[TRAIN_COUNT].to_numpy(),
        user_ids=sequences[USER_ID].to_pylist(),
        offsets=offsets,
        items=numbers(sequences, ITEMS),
        bounds=bounds(offsets, numbers(sequences, TIMESTAMPS), cut),
    )


def timestamps_of(dataset: Dataset) -> NDArray[np.int64]:
    """When each event of a dataset was, as long as its `items`; read from its file again."""
    timestamps: NDArray[np.int64] = numbers(_natural(_tables(dataset.folder)[1]), TIMESTAMPS)
    return timestamps


def _natural(sequences: pa.Table) -> pa.Table:
    """Sequences are stored in the order of a hash; people and seeds count in the natural one."""
    return sequences.take(pa.array(natural_order(sequences[USER_ID].to_pylist())))


def _tables(folder: Path) -> tuple[pa.Table, pa.Table]:
    try:
        return _read(folder / CATALOG_FILE, CATALOG), _read(folder / SEQUENCES_FILE, SEQUENCES)
    except (OSError, pa.ArrowException) as error:
        raise WorkspaceError(f"{folder} is damaged: {error}", _AGAIN) from None


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    parts = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    # `read_table(schema=…)` would fill a missing column with nulls.
    tables = [pq.ParquetFile(part).read() for part in parts]
    for part, table in zip(parts, tables, strict=True):
        missing = [name for name in schema.names if name not in table.schema.names]
        if missing:
            raise pa.ArrowInvalid(f"{part.name} has no column {missing[0]}")
    whole = pa.concat_tables(table.select(schema.names).cast(schema) for table in tables)
    return whole.combine_chunks()


def content_hash(catalog: pa.Table, digests: Mapping[int, bytes], cut: Cut | None) -> str:
    """Hash of what a dataset says, not of how Parquet packs it.

    The same events give the same hash in any number of files and with every version of Parquet.

    Args:
        catalog: table of schema `CATALOG`.
        digests: of the sections of the sequences (`section_digests`).
        cut: of a global-time split.
    """
    digest = hashlib.sha256(json.dumps(asdict(cut) if cut else None).encode())
    for field in CATALOG:
        digest.update(f"{field.name}:{field.type};".encode())
        values = column(catalog, field.name)
        if pa.types.is_string(field.type):
            hash_texts(digest, values)
        else:
            digest.update(values.to_numpy().astype("<i8").tobytes())
    for section in sorted(digests):
        digest.update(bytes([section]) + digests[section])
    return f"sha256:{digest.hexdigest()}"


def _nearest(user_id: str, known: list[str], count: int = 3) -> list[str]:
    return [match[0] for match in process.extract(user_id, known, limit=count)]
