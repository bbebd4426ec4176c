"""Which columns of somebody's own log are users, items, times, ratings and titles."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from genrec_cli.core.errors import DataError
from genrec_cli.data.text.faults import shortened


@dataclass(frozen=True)
class Columns:
    """Names of columns (or JSON keys), where the user gives them; None: guessed.

    Attributes:
        user: raw user ids.
        item: raw item ids.
        time: when, or in which order.
        title: the item's title, in the log or in the file of items.
        rating: a number.
    """

    user: str | None = None
    item: str | None = None
    time: str | None = None
    title: str | None = None
    rating: str | None = None


REQUIRED: Final = ("user", "item", "time")

# Usual names, in lower case and without `_`, `-` and blanks. The first group that matches wins;
# two matches in one group are too close to choose between.
_USUAL: Final[dict[str, tuple[str, ...]]] = {
    "user": (
        "userid uid",
        "user",
        "customerid reviewerid memberid visitorid accountid profileid viewerid readerid listenerid",
        "customer reviewer member visitor account profile viewer reader listener username",
        "sessionid session",
    ),
    "item": (
        "itemid iid",
        "item",
        "parentasin",
        "asin movieid productid articleid trackid songid bookid artistid gameid appid videoid "
        "newsid businessid recipeid venueid poiid isbn sku",
        "movie product article track song book artist game app video news business recipe venue",
    ),
    "time": (
        "timestamp",
        "unixtimestamp unixtime unixreviewtime",
        "datetime",
        "time date ts eventtime createdat ratedat reviewdate clickedat purchasedate orderdate",
        "order",
    ),
    "rating": ("rating", "stars score overall"),
    "title": (
        "title",
        "itemtitle movietitle producttitle booktitle songtitle tracktitle articletitle gametitle",
        "itemname moviename productname bookname songname trackname articlename gamename",
    ),
}
# In a file of items a name is the item's; in a log it may as well be the user's.
_USUAL_OF_ITEMS: Final = {**_USUAL, "title": (*_USUAL["title"], "name")}


def chosen(header: Sequence[str], columns: Columns, path: Path) -> dict[str, str]:
    """Role -> column of a log: as the user says, else by the usual names.

    Args:
        header: names of all columns.
        columns: what the user says.
        path: what to call the file.

    Raises:
        DataError: a name that is not there, none for user, item or time, or two alike.
    """
    given = {role: name for role, name in vars(columns).items() if name is not None}
    roles = {role: _there(role, name, header, path) for role, name in given.items()}
    for role, groups in _USUAL.items():
        if role not in roles:
            # Only a title may be a column that plays another role too, as ids that are words do.
            taken = {name for other, name in roles.items() if other != "title"}
            name = _guess(role, groups, [name for name in header if name not in taken], path)
            if name is not None:
                roles[role] = name
            elif role in REQUIRED:
                raise _not_found(role, header, path)
    return roles


def chosen_of_items(
    header: Sequence[str], item: Sequence[str], title: str | None, path: Path
) -> dict[str, str]:
    """The roles "item" and "title" -> column, of a file of items.

    Args:
        header: names of all columns.
        item: what the item's column is called in the log, or by the user.
        title: what the user calls the title's column; None: guessed.
        path: what to call the file.

    Raises:
        DataError: no column for one of them, or two alike.
    """
    here = [name for name in item if name in header]
    found = {"item": here[0]} if here else {}
    if title is not None:
        found["title"] = _there("title", title, header, path)
    for role in ("item", "title"):
        if role not in found:
            free = [name for name in header if name not in found.values()]
            name = _guess(role, _USUAL_OF_ITEMS[role], free, path)
            if name is None:
                raise _not_found(role, header, path)
            found[role] = name
    return found


def same_columns(header: Sequence[str], roles: dict[str, str], path: Path, first: Path) -> None:
    """Refuse a file that lacks a column of the first one."""
    missing = [name for name in roles.values() if name not in header]
    if missing:
        raise DataError(
            f"{path}: no column {' and no '.join(missing)}, as {first.name} has (it has "
            f"{listed(header)})",
            "give all files the same columns, or pass only those that belong together",
        )


def no_doubles(header: Sequence[str], path: Path) -> None:
    """Refuse a header in which a name stands twice."""
    twice = next((name for name in header if name and header.count(name) > 1), None)
    if twice is not None:
        raise DataError(
            f"{path}: column {twice} stands twice in the header (it has {listed(header)})",
            "give the columns different names",
        )


def listed(header: Sequence[str]) -> str:
    """The names of the columns, for a message."""
    return ", ".join(shortened(name) for name in header[:30]) + (", …" if len(header) > 30 else "")


def _plain(name: str) -> str:
    """A name as it stands in the groups.

    >>> _plain("Parent_ASIN")
    'parentasin'
    """
    return re.sub(r"[\s_-]", "", name).lower()


def _there(role: str, name: str, header: Sequence[str], path: Path) -> str:
    if name in header:
        return name
    by_plain = {_plain(one): one for one in header}
    near = difflib.get_close_matches(_plain(name), by_plain, n=1, cutoff=0.5)
    raise DataError(
        f"{path}: no column {name} (it has {listed(header)})",
        f"did you mean --{role}-column {by_plain[near[0]]}?" if near else f"--{role}-column NAME",
    )


def _guess(role: str, groups: Sequence[str], header: Sequence[str], path: Path) -> str | None:
    for group in groups:
        found = [name for name in header if _plain(name) in group.split()]
        if len(found) > 1:
            raise DataError(
                f"{path}: {' and '.join(found)} may both be the {role} (it has {listed(header)})",
                f"say which: --{role}-column {found[0]}",
            )
        if found:
            return found[0]
    return None


def _not_found(role: str, header: Sequence[str], path: Path) -> DataError:
    fix = f"say which column is the {role}: --{role}-column NAME"
    if role == "user" and any(_plain(name) == "title" for name in header):
        fix += "; a file of titles is passed as --items, not as --source"
    if role == "time":
        fix += (
            "; where the log has none, add one: the order of its rows is not known to be the order "
            "of time"
        )
    return DataError(f"{path}: no column for the {role} (it has {listed(header)})", fix)
