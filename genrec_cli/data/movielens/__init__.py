"""MovieLens in every layout that GroupLens has published.

Harper & Konstan 2015, The MovieLens Datasets: History and Context, https://doi.org/10.1145/2827872
"""

from genrec_cli.data.movielens.layouts import Layout
from genrec_cli.data.movielens.reader import detect_layout, read_movielens
from genrec_cli.data.movielens.variants import BASE_URL, CITATION, VARIANTS, Variant

__all__ = [
    "BASE_URL",
    "CITATION",
    "VARIANTS",
    "Layout",
    "Variant",
    "detect_layout",
    "read_movielens",
]
