"""Raw logs through the whole kernel and back from the disk."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from genrec_cli.core.progress import SILENT, Progress
from genrec_cli.core.schema import ITEMS, TIMESTAMPS, USER_ID
from genrec_cli.core.settings import PrepareSettings
from genrec_cli.data.audit import audit
from genrec_cli.data.dataset import (
    CATALOG_FILE,
    SEQUENCES_FILE,
    Dataset,
    content_hash,
    load_dataset,
    write_manifest,
)
from genrec_cli.data.engine.kernel import Engine, Made, make
from genrec_cli.data.engine.local import LocalEngine
from genrec_cli.data.rawlog import Block, RawLog, TableBlock

PLENTY = 10**9


@dataclass(frozen=True)
class Prepared:
    """What the kernel made of a log, and what is read back."""

    made: Made
    dataset: Dataset
    table: pa.Table

    @property
    def hash(self) -> str:
        return self.dataset.hash

    def sequences(self) -> dict[str, list[tuple[str, int]]]:
        """User -> item id and time of each event, in order."""
        ids = self.dataset.item_ids
        return {
            row[USER_ID]: [
                (ids[item], time) for item, time in zip(row[ITEMS], row[TIMESTAMPS], strict=True)
            ]
            for row in self.table.to_pylist()
        }


def cut(log: RawLog, ends: Sequence[int]) -> RawLog:
    """The same log in blocks that end at the given rows."""
    table = pa.concat_tables(block.read() for block in log.blocks(SILENT))
    edges = sorted({0, *(min(end, len(table)) for end in ends), len(table)})

    def blocks(progress: Progress) -> Iterator[Block]:
        for start, stop in zip(edges, edges[1:], strict=False):
            yield TableBlock(table.slice(start, stop - start))

    return replace(log, blocks=blocks)


def prepare(
    log: RawLog,
    settings: PrepareSettings,
    *,
    memory: int = PLENTY,
    partition_bytes: int = 10**6,
) -> Prepared:
    """Prepare on this machine."""
    with tempfile.TemporaryDirectory() as folder:
        engine = LocalEngine(Path(folder) / "scratch", memory, partition_bytes)
        return prepare_with(engine, log, settings, Path(folder))


def prepare_with(engine: Engine, log: RawLog, settings: PrepareSettings, folder: Path) -> Prepared:
    """Prepare with any engine, into a folder."""
    made = make(log, settings, engine, folder / SEQUENCES_FILE, SILENT)
    pq.write_table(made.catalog.table, folder / CATALOG_FILE)
    digest = content_hash(made.catalog.table, made.digests, made.cut)
    cut = None if made.cut is None else vars(made.cut)
    figures = audit(made, settings, log.time_unit).document()
    write_manifest(folder, {"hash": digest, "cut": cut, "audit": figures})
    path = folder / SEQUENCES_FILE
    parts = sorted(path.glob("*")) if path.is_dir() else [path]
    table = pa.concat_tables(pq.read_table(part) for part in parts)
    return Prepared(made, load_dataset(folder), table)
