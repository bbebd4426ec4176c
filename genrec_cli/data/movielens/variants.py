"""The MovieLens archives that GroupLens publishes."""

from dataclasses import dataclass
from typing import Final

BASE_URL: Final = "https://files.grouplens.org/datasets/movielens/"

CITATION: Final = (
    "F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: History and Context. "
    "ACM Transactions on Interactive Intelligent Systems 5(4), Article 19. "
    "https://doi.org/10.1145/2827872"
)


@dataclass(frozen=True)
class Variant:
    """One published archive.

    Attributes:
        name: what `--variant` takes ("1m").
        file: the archive's file name ("ml-1m.zip").
        md5: hex digest that GroupLens publishes beside it; None where the archive changes.
        size: length in bytes; None where the archive changes.
    """

    name: str
    file: str
    md5: str | None = None
    size: int | None = None

    @property
    def url(self) -> str:
        """Where GroupLens publishes it."""
        return BASE_URL + self.file


# `latest` and `latest-small` are remade from time to time, so they have no lasting digest or size.
_PUBLISHED = (
    Variant("100k", "ml-100k.zip", "0e33842e24a9c977be4e0107933c0723", 4_924_029),
    Variant("1m", "ml-1m.zip", "c4d9eecfca2ab87c1945afe126590906", 5_917_549),
    Variant("10m", "ml-10m.zip", "ce571fd55effeba0271552578f2648bd", 65_566_137),
    Variant("20m", "ml-20m.zip", "cd245b17a1ae2cc31bb14903e1204af3", 198_702_078),
    Variant("25m", "ml-25m.zip", "6b51fb2759a8657d3bfcbfc42b592ada", 261_978_986),
    Variant("32m", "ml-32m.zip", "d472be332d4daa821edc399621853b57", 238_950_008),
    Variant("latest", "ml-latest.zip"),
    Variant("latest-small", "ml-latest-small.zip"),
)

VARIANTS: Final = {variant.name: variant for variant in _PUBLISHED}

BY_FILE: Final = {variant.file: variant for variant in _PUBLISHED}
