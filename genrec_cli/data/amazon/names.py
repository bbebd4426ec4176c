"""File names of the published logs, and the categories in them."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PARTS: Final = ("train", "valid", "test")

_PACKED: Final = r"(?P<packed>\.(?:gz|zst|bz2|xz|zip))?"
_CATEGORY: Final = r"(?P<category>[^.]+?)"

# Tried in this order: (edition, format, pattern). The first line may correct the edition.
_LOGS: Final = tuple(
    (year, form, re.compile(pattern + _PACKED))
    for year, form, pattern in (
        (2014, "json", rf"reviews_{_CATEGORY}(?P<core>_5)?\.json"),
        (2014, "csv", rf"ratings_{_CATEGORY}\.csv"),
        (2023, "csv", rf"{_CATEGORY}\.(?P<part>{'|'.join(PARTS)})\.csv"),
        (2023, "json", rf"{_CATEGORY}\.jsonl"),
        (2018, "json", rf"{_CATEGORY}(?P<core>_5)?\.json"),
        (2018, "csv", rf"{_CATEGORY}\.csv"),  # or 2023's; only the first line tells
    )
)
_META: Final = re.compile(rf"meta_{_CATEGORY}(?P<suffix>\.jsonl?){_PACKED}")

# All categories of 2018 in one file: the one metadata file that is not called after its reviews.
_META_OF_ALL: Final = re.compile(rf"All_Amazon_Meta(?P<suffix>\.json){_PACKED}")
_ALL: Final = "All_Amazon_Review"


@dataclass(frozen=True)
class LogName:
    """What the name of a log's file says.

    Attributes:
        path: the file.
        category: as written ("Toys_and_Games").
        year: of the edition, as far as the name tells.
        form: "csv" or "json".
        part: "train", "valid" or "test" of a split; "" of a whole log.
        packed: the suffix of a compression (".gz"), or "".
    """

    path: Path
    category: str
    year: int
    form: str
    part: str
    packed: str

    @property
    def log(self) -> Path:
        """The same for all parts of one log, and for no other log."""
        return (
            self.path.with_name(f"{self.category}.*.csv{self.packed}") if self.part else self.path
        )


@dataclass(frozen=True)
class MetaName:
    """What the name of a metadata file says: the file, its category, and ".json" or ".jsonl"."""

    path: Path
    category: str
    suffix: str


def log_name(path: Path) -> LogName | None:
    """Read the name of a log; None where it is no log's.

    Example:
        >>> log_name(Path("reviews_Toys_and_Games_5.json.gz")).category
        'Toys_and_Games'
    """
    if meta_name(path):
        return None
    for year, form, pattern in _LOGS:
        match = pattern.fullmatch(path.name)
        if match:
            said = match.groupdict(default="")
            return LogName(path, said["category"], year, form, said.get("part", ""), said["packed"])
    return None


def meta_name(path: Path) -> MetaName | None:
    """Read the name of a metadata file; None where it is none."""
    match = _META_OF_ALL.fullmatch(path.name)
    if match:
        return MetaName(path, _ALL, match["suffix"])
    match = _META.fullmatch(path.name)
    return MetaName(path, match["category"], match["suffix"]) if match else None


def is_published(category: str) -> bool:
    """Whether a category is written as McAuley's group does; `dataset.json` is no log."""
    return category[:1].isupper()


def slug(category: str) -> str:
    """A category as a name of ours; all its spellings have the same one.

    Example:
        >>> slug("Toys & Games"), slug("toys-and-games"), slug("Toys_and_Games")
        ('toys-and-games', 'toys-and-games', 'toys-and-games')
    """
    words = re.findall(r"[^\W_]+", category.replace("&", " and "))
    return "-".join(words).casefold()
