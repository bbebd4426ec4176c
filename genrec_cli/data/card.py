"""The data card: what a dataset is and what to know of it, as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any


def card(manifest: Mapping[str, Any]) -> str:
    """Write the card of a dataset.

    Args:
        manifest: what `dataset.json` holds.
    """
    audit = manifest["audit"]
    settings = [
        [f"`{key}`", f"`{value}`"]
        for key, value in manifest["settings"].items()
        if value is not None
    ]
    findings = [
        [("⚠ " if finding["warns"] else "") + finding["name"], finding["value"], finding["meaning"]]
        for finding in audit["findings"]
    ]
    funnel = [
        [stage["step"], *(f"{stage[key]:,}" for key in ("rows", "users", "items"))]
        for stage in manifest["funnel"]
    ]
    parts = [
        f"# {manifest['name']}",
        f"{manifest['interactions']:,} events of {manifest['users']:,} users with "
        f"{manifest['items']:,} items, from {manifest['source']}.",
        f"Content hash `{manifest['hash']}`, made by genrec {manifest['versions']['genrec']}.",
        *([f"Cite: {manifest['citation']}"] if manifest["citation"] else []),
        "## What the filters left",
        _table(["step", "events", "users", "items"], funnel),
        "## What to know before reading results",
        _table(["what", "how much", "what it means"], findings),
        "## Settings",
        _table(["setting", "value"], settings),
    ]
    if manifest["columns"]:
        parts += ["## Columns", _table(["role", "column"], list(manifest["columns"].items()))]
    return "\n\n".join(parts) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
