"""A prepared dataset: written once, then read by every other command."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
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
    TITLE,
    TRAIN_COUNT,
    USER_ID,
)
from genrec_cli.core.workspace import DATASET_MANIFEST, read_json, write_json

FORMAT = 1
_CATALOG_FILE = "catalog.parquet"
_SEQUENCES_FILE = "sequences.parquet"


@dataclass(frozen=True)
class Dataset:
    """A catalog of items and one sequence of them for each user.

    Attributes:
        folder: where it lies.
        manifest: `dataset.json`.
        item_ids: raw ids, by item number.
        titles: clean and unique, by item number.
        train_counts: int64, [items]; events in the training part.
        user_ids: raw ids, by row.
        offsets: int64, [users + 1]; row u's items are `items[offsets[u]:offsets[u + 1]]`.
        items: int32, [events], in time order within a row.
    """

    folder: Path
    manifest: Mapping[str, Any]
    item_ids: list[str]
    titles: list[str]
    train_counts: NDArray[np.int64]
    user_ids: list[str]
    offsets: NDArray[np.int64]
    items: NDArray[np.int32]

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


def write_dataset(folder: Path, catalog: pa.Table, sequences: pa.Table) -> str:
    """Write the two tables and return their content hash; the manifest is written after."""
    pq.write_table(catalog, folder / _CATALOG_FILE, compression="zstd")
    pq.write_table(sequences, folder / _SEQUENCES_FILE, compression="zstd")
    return content_hash(catalog, sequences)


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write `dataset.json`, which makes the dataset finished."""
    write_json(folder / DATASET_MANIFEST, {"format": FORMAT, **manifest})


def load_dataset(folder: Path) -> Dataset:
    """Read a finished dataset.

    Raises:
        WorkspaceError: a file is missing or damaged, or another version of genrec wrote it.
    """
    manifest = read_json(folder / DATASET_MANIFEST)
    fix = "prepare it again with --force"
    if manifest.get("format") != FORMAT:
        raise WorkspaceError(
            f"{folder / DATASET_MANIFEST} has format {manifest.get('format')}, this genrec reads "
            f"{FORMAT}",
            fix,
        )
    try:
        catalog = _read(folder / _CATALOG_FILE, CATALOG)
        sequences = _read(folder / _SEQUENCES_FILE, SEQUENCES)
    except (OSError, pa.ArrowException) as error:
        raise WorkspaceError(f"{folder} is damaged: {error}", fix) from None
    if content_hash(catalog, sequences) != manifest.get("hash"):
        raise WorkspaceError(f"{folder} is damaged: its tables are not those it was made with", fix)
    lists = sequences[ITEMS].combine_chunks()
    return Dataset(
        folder=folder,
        manifest=manifest,
        item_ids=catalog[ITEM_ID].to_pylist(),
        titles=catalog[TITLE].to_pylist(),
        train_counts=catalog[TRAIN_COUNT].to_numpy(),
        user_ids=sequences[USER_ID].to_pylist(),
        offsets=lists.offsets.to_numpy().astype(np.int64),
        items=lists.values.to_numpy(),
    )


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    # `read_table(schema=…)` would fill a missing column with nulls.
    table = pq.read_table(path)
    for name in schema.names:
        if name not in table.schema.names:
            raise pa.ArrowInvalid(f"{path.name} has no column {name}")
    return table.select(schema.names).cast(schema)


def content_hash(catalog: pa.Table, sequences: pa.Table) -> str:
    """Hash of what the tables say, not of how Parquet packs it.

    The same rows give the same hash in every version of Parquet's writer.
    """
    digest = hashlib.sha256()
    for table in (catalog, sequences):
        for field in table.schema:
            digest.update(f"{field.name}:{field.type};".encode())
            _hash_column(digest, table[field.name].combine_chunks())
    return f"sha256:{digest.hexdigest()}"


def _hash_column(digest: "hashlib._Hash", column: pa.Array) -> None:
    if pa.types.is_list(column.type):
        digest.update(column.offsets.to_numpy().astype("<i8").tobytes())
        column = column.values
    if pa.types.is_string(column.type):
        for text in column.to_pylist():
            # Lengths keep ["ab", "c"] and ["a", "bc"] apart.
            encoded = text.encode()
            digest.update(len(encoded).to_bytes(4, "little") + encoded)
    else:
        digest.update(column.to_numpy().astype("<i8").tobytes())


def _nearest(user_id: str, known: list[str], count: int = 3) -> list[str]:
    return [match[0] for match in process.extract(user_id, known, limit=count)]
