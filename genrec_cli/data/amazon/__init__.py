"""Amazon reviews in every layout that McAuley's group has published, from 2014 to 2023.

The pages that say how the files are called and what is in them are listed in `editions.py`.
"""

from genrec_cli.data.amazon.editions import EDITIONS, HOW_TO_GET, Edition
from genrec_cli.data.amazon.reader import category_of, read_amazon

__all__ = ["EDITIONS", "HOW_TO_GET", "Edition", "category_of", "read_amazon"]
