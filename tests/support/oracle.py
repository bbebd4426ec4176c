"""The slow and plain way from rows to sequences, to hold the kernel against."""

from collections import Counter
from collections.abc import Mapping, Sequence

from genrec_cli.core.settings import PrepareSettings
from genrec_cli.data.ids import hash_ids, mix

Event = tuple[str, str, int, float]  # user, item, timestamp, rating
Placed = tuple[int, Event]  # and its place in the log


def sequences(
    rows: Sequence[Event], settings: PrepareSettings, titles: Mapping[str, str]
) -> dict[str, list[tuple[str, int]]]:
    """User -> item and time of each event that stays, in order."""
    placed = [(place, row) for place, row in enumerate(rows) if _counts(row, settings)]
    ordered = sorted(placed, key=lambda event: (event[1][2], _tie(event, settings)))
    kept = _core(_once(ordered, settings), settings, titles)
    users: dict[str, list[tuple[str, int]]] = {}
    for _, (user, item, time, _) in kept:
        users.setdefault(user, []).append((item, time))
    longest = settings.max_history
    return users if longest is None else {u: events[-longest:] for u, events in users.items()}


def _counts(row: Event, settings: PrepareSettings) -> bool:
    _, _, time, rating = row
    return (
        (settings.min_rating is None or rating >= settings.min_rating)
        and (settings.since is None or time >= int(settings.since))
        and (settings.until is None or time < int(settings.until))
    )


def _tie(event: Placed, settings: PrepareSettings) -> int:
    place, (user, item, _, _) = event
    if settings.ties == "file":
        return place
    return int(mix(hash_ids([user], settings.seed), hash_ids([item], settings.seed))[0])


def _once(ordered: list[Placed], settings: PrepareSettings) -> list[Placed]:
    if settings.repeats == "keep":
        return ordered
    found: dict[tuple[str, str], Placed] = {}
    for event in ordered if settings.repeats == "first" else reversed(ordered):
        found.setdefault(event[1][:2], event)
    return [event for event in ordered if found[event[1][:2]] is event]


def _core(
    events: list[Placed], settings: PrepareSettings, titles: Mapping[str, str]
) -> list[Placed]:
    """Drop one poor user or item at a time until there is none."""
    if settings.require_title:
        events = [event for event in events if titles.get(event[1][1], "").strip()]
    least = (max(settings.min_user, 3), settings.min_item)
    while True:
        for side in (0, 1):
            counts = Counter(str(event[1][side]) for event in events)
            poor = next((name for name, count in counts.items() if count < least[side]), None)
            if poor is not None:
                events = [event for event in events if event[1][side] != poor]
                break
        else:
            return events
