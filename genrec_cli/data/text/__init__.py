"""Text of any size, read in stretches: opened, cut at line ends, parsed by Arrow, checked."""

from genrec_cli.data.text.blocks import BLOCK_BYTES, Stretch, cut
from genrec_cli.data.text.csvlines import CsvBlock, CsvForm, Dialect
from genrec_cli.data.text.jsonlines import JsonBlock, JsonForm
from genrec_cli.data.text.opening import open_bytes
from genrec_cli.data.text.roles import Roles
from genrec_cli.data.text.rows import interactions
from genrec_cli.data.text.times import TimeForm, decide
from genrec_cli.data.text.unfit import Unfit

__all__ = [
    "BLOCK_BYTES",
    "CsvBlock",
    "CsvForm",
    "Dialect",
    "JsonBlock",
    "JsonForm",
    "Roles",
    "Stretch",
    "TimeForm",
    "Unfit",
    "cut",
    "decide",
    "interactions",
    "open_bytes",
]
