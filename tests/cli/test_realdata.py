from pathlib import Path

import pytest

from .console import Console, rows_of

SHARED = Path(__file__).parents[2].parent / "shared" / "data"

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} is not there"),
]


@pytest.fixture
def source(request: pytest.FixtureRequest) -> Path:
    path = SHARED / f"ml-{request.param}.zip"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


@pytest.mark.parametrize("source", ["1m"], indirect=True)
def test_popularity_on_movielens_1m_reaches_the_reference(console: Console, source: Path) -> None:
    made = console.done("prepare", "movielens", "--source", source, "--ties", "file", "--json").json
    assert made["dataset"] == "ml-1m"
    assert (made["users"], made["items"], made["interactions"]) == (6040, 3416, 999_611)
    (row,) = console.done("bench", "--systems", "popularity", "--json").json["rows"]
    found = {metric: round(row[metric], 4) for metric in ("HR@5", "NDCG@5", "HR@10", "NDCG@10")}
    assert found == {"HR@5": 0.0200, "NDCG@5": 0.0126, "HR@10": 0.0369, "NDCG@10": 0.0180}


@pytest.mark.parametrize("source", ["latest-small"], indirect=True)
def test_movielens_latest_small_is_prepared(console: Console, source: Path) -> None:
    made = console.done("prepare", "movielens", "--source", source, "--json").json
    assert (made["dataset"], made["users"]) == ("ml-latest-small", 610)
    assert made["funnel"][0] == {"step": "read", "rows": 100_836, "users": 610, "items": 9724}
    catalog = rows_of(console.workspace / "data" / "ml-latest-small" / "catalog.parquet")
    assert len({row["title"] for row in catalog}) == len(catalog) == made["items"]
    assert all(row["title"] for row in catalog)
