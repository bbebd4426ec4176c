"""Where runs and partitions wait: in memory while there is room, else in files."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from genrec_cli.data.engine.tables import KEY, RUN, SECTIONS, numbers, section_starts


class Runs:
    """Runs, to be read one range of sections at a time.

    Args:
        folder: for files; it must exist.
        budget: bytes of runs to hold in memory. What is more goes to a file of record batches, one
            for each section, so that any section can be read by itself.
    """

    def __init__(self, folder: Path, budget: int) -> None:
        self._folder = folder
        self._budget = budget
        self._held: list[tuple[pa.Table, NDArray[np.int64]]] = []
        self._bytes = 0
        self._files: list[Path] = []
        self.section_bytes = np.zeros(SECTIONS, dtype=np.int64)

    def add(self, run: pa.Table) -> None:
        """Take in the next run of the log."""
        starts = section_starts(numbers(run, KEY))
        users = int(starts[-1]) or 1
        self.section_bytes += run.nbytes * np.diff(starts) // users
        self._held.append((run, starts))
        self._bytes += run.nbytes
        if self._bytes > self._budget:
            self._spill()

    def read(self, first: int, last: int) -> list[pa.Table]:
        """Slices of all runs, in the order of the log: sections `first` to before `last`."""
        slices = [table for path in self._files for table in _read(path, range(first, last))]
        for run, starts in self._held:
            slices.append(run.slice(starts[first], starts[last] - starts[first]))
        return slices

    def clear(self) -> None:
        """Forget all runs."""
        self._held.clear()
        for path in self._files:
            path.unlink()
        self._files.clear()

    def _spill(self) -> None:
        merged = pa.concat_tables([run for run, _ in self._held]).combine_chunks()
        self._held.clear()
        keys = numbers(merged, KEY)
        order = np.argsort(keys, kind="stable")  # stable: a user's slices stay in the log's order
        starts = section_starts(keys[order])
        path = self._folder / f"run-{len(self._files)}.arrow"
        # A section at a time, or the sorted copy would double what is held.
        sections = (
            merged.take(pa.array(order[starts[s] : starts[s + 1]])) for s in range(SECTIONS)
        )
        _write(path, RUN, sections)
        self._files.append(path)
        self._bytes = 0


class Partitions:
    """Sorted partitions, each read as often as wanted."""

    def __init__(self, folder: Path, budget: int) -> None:
        self._folder = folder
        self._budget = budget
        self._held: dict[int, pa.Table] = {}
        self._bytes = 0
        self.count = 0

    def add(self, partition: pa.Table) -> None:
        """Take in the next partition."""
        if self._bytes + partition.nbytes <= self._budget:
            self._held[self.count] = partition
            self._bytes += partition.nbytes
        else:
            _write(self._path(self.count), partition.schema, [partition])
        self.count += 1

    def read(self, place: int, columns: Sequence[str] | None = None) -> pa.Table:
        """A partition; only some columns, if given."""
        held = self._held.get(place)
        if held is not None:
            return held if columns is None else held.select(columns)
        with pa.OSFile(str(self._path(place))) as file:
            schema = pa.ipc.open_file(file).schema
            wanted = None if columns is None else [schema.get_field_index(c) for c in columns]
            options = pa.ipc.IpcReadOptions(included_fields=wanted, use_threads=False)
            return pa.ipc.open_file(file, options=options).read_all()

    def _path(self, place: int) -> Path:
        return self._folder / f"partition-{place}.arrow"


def _write(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for table in tables:
            whole = table.combine_chunks()
            batches = whole.to_batches() or [pa.RecordBatch.from_pylist([], schema)]
            writer.write_batch(batches[0])


def _read(path: Path, places: Sequence[int]) -> list[pa.Table]:
    with pa.OSFile(str(path)) as file:
        reader = pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(use_threads=False))
        return [pa.Table.from_batches([reader.get_batch(place)]) for place in places]
