"""Which column of a log plays which role."""

from dataclasses import dataclass
from typing import Final

ROLES: Final = ("user", "item", "time", "rating", "title")


@dataclass(frozen=True)
class Roles:
    """Names of columns (or JSON keys), as the source writes them.

    Attributes:
        user: raw user ids.
        item: raw item ids.
        time: when, or in which order.
        rating: a number; None where the log has none.
        title: the item's title; None where the log has none.
    """

    user: str
    item: str
    time: str
    rating: str | None = None
    title: str | None = None

    def named(self) -> dict[str, str]:
        """Role -> column, without the roles that nothing plays.

        >>> Roles("reviewer", "asin", "order").named()
        {'user': 'reviewer', 'item': 'asin', 'time': 'order'}
        """
        given = {role: getattr(self, role) for role in ROLES}
        return {role: name for role, name in given.items() if name is not None}
