"""Logs of one's own: delimited text, JSON lines, Parquet, RecBole's atomic files."""

from genrec_cli.data.table.columns import Columns
from genrec_cli.data.table.reader import read_table

__all__ = ["Columns", "read_table"]
