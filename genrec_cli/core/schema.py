"""Column names and Arrow schemas; a column name is written here and nowhere else."""

from typing import Final

import pyarrow as pa

USER_ID: Final = "user_id"
ITEM_ID: Final = "item_id"
TIMESTAMP: Final = "timestamp"
RATING: Final = "rating"

ITEM: Final = "item"
TITLE: Final = "title"
RAW_TITLE: Final = "raw_title"
TRAIN_COUNT: Final = "train_count"

ITEMS: Final = "items"
TIMESTAMPS: Final = "timestamps"

RANK: Final = "rank"
SCORE: Final = "score"

SYSTEM: Final = "system"
RECOMMENDED: Final = "recommended"

# Ids are the raw ids, as strings: no reader may turn "007" into 7. The rating may be absent (null).
INTERACTIONS: Final = pa.schema(
    [
        pa.field(USER_ID, pa.string(), nullable=False),
        pa.field(ITEM_ID, pa.string(), nullable=False),
        pa.field(TIMESTAMP, pa.int64(), nullable=False),
        pa.field(RATING, pa.float32()),
    ]
)

# Interactions of a log that names its items itself; a title may be empty.
TITLED_INTERACTIONS: Final = INTERACTIONS.append(pa.field(RAW_TITLE, pa.string(), nullable=False))

# What a reader knows of the items, before filters: titles as the source wrote them.
RAW_ITEMS: Final = pa.schema(
    [
        pa.field(ITEM_ID, pa.string(), nullable=False),
        pa.field(RAW_TITLE, pa.string(), nullable=False),
    ]
)

CATALOG: Final = pa.schema(
    [
        pa.field(ITEM, pa.int32(), nullable=False),
        pa.field(ITEM_ID, pa.string(), nullable=False),
        pa.field(TITLE, pa.string(), nullable=False),
        pa.field(RAW_TITLE, pa.string(), nullable=False),
        pa.field(TRAIN_COUNT, pa.int64(), nullable=False),
    ]
)

SEQUENCES: Final = pa.schema(
    [
        pa.field(USER_ID, pa.string(), nullable=False),
        pa.field(ITEMS, pa.list_(pa.field("element", pa.int32(), nullable=False)), nullable=False),
        pa.field(
            TIMESTAMPS, pa.list_(pa.field("element", pa.int64(), nullable=False)), nullable=False
        ),
    ]
)

RECOMMENDATIONS: Final = pa.schema(
    [
        pa.field(USER_ID, pa.string(), nullable=False),
        pa.field(RANK, pa.int32(), nullable=False),
        pa.field(ITEM_ID, pa.string(), nullable=False),
        pa.field(TITLE, pa.string(), nullable=False),
        pa.field(SCORE, pa.float32(), nullable=False),
    ]
)
