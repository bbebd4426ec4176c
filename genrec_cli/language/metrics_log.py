"""`metrics.jsonl`: what a training run measured, readable while it goes on."""

import json
from pathlib import Path
from typing import Any


class MetricsLog:
    """`metrics.jsonl`: one JSON object a line, with the step it belongs to."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def clear(self) -> None:
        """Start anew."""
        self._path.write_text("", encoding="utf-8")

    def write(self, figures: dict[str, Any]) -> None:
        """Append one line."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(figures) + "\n")

    def cut_after(self, step: int) -> None:
        """Forget what came after a step, because training goes on from there."""
        kept = [line for line in self.lines() if line["step"] <= step]
        self._path.write_text("".join(json.dumps(k) + "\n" for k in kept), encoding="utf-8")

    def lines(self) -> list[dict[str, Any]]:
        """All lines; one that a kill left half-written is passed over."""
        text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        return [json.loads(line) for line in text.splitlines() if line.endswith("}")]

    def validation_losses(self) -> dict[int, float]:
        """Step -> validation loss, nats a title."""
        return {
            line["step"]: line["validation_loss"]
            for line in self.lines()
            if "validation_loss" in line
        }
