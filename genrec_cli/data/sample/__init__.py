"""The bundled data set `sample`: real films, simulated viewers, a known best possible HR@k."""

import numpy as np
import pyarrow as pa

from genrec_cli.core import schema
from genrec_cli.data.rawlog import RawLog, TableBlock
from genrec_cli.data.sample.films import FILMS_FILE, films_sha256
from genrec_cli.data.sample.oracle import oracle_scores
from genrec_cli.data.sample.simulator import draw_viewers, interactions_table
from genrec_cli.data.sample.world import sample_world

__all__ = ["oracle_scores", "read_sample", "sample_world"]


def read_sample(seed: int = 7) -> RawLog:
    """Simulate 600 viewers of the bundled films; one seed, one log, byte for byte.

    >>> log = read_sample()
    >>> log.source, log.items.num_rows
    ('bundled sample (seed 7)', 461)
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    viewers = draw_viewers(generator)
    films = sample_world().films
    columns = {
        schema.ITEM_ID: [film.item_id for film in films],
        schema.RAW_TITLE: [film.raw_title for film in films],
    }
    block = TableBlock(interactions_table(viewers, generator))
    return RawLog(
        blocks=lambda progress: iter([block]),
        items=pa.table(columns, schema=schema.RAW_ITEMS),
        source=f"bundled sample (seed {seed})",
        inputs={FILMS_FILE: films_sha256()},
    )
