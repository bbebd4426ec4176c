"""`metrics.jsonl`: what a training run measured, readable while it goes on."""

import json
from pathlib import Path
from typing import Any, Final

METRICS_FILE: Final = "metrics.jsonl"


class MetricsLog:
    """`metrics.jsonl`: one JSON object a line, with the step it belongs to.

    Args:
        path: of the file.
        writes: false in all but one of several processes.
    """

    def __init__(self, path: Path, *, writes: bool = True) -> None:
        self._path = path
        self._writes = writes

    def clear(self) -> None:
        """Start anew."""
        self._overwrite([])

    def write(self, figures: dict[str, Any]) -> None:
        """Append one line."""
        if self._writes:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(figures) + "\n")

    def cut_after(self, step: int) -> None:
        """Forget what came after a step, because training goes on from there."""
        self._overwrite([line for line in self.lines() if line["step"] <= step])

    def _overwrite(self, lines: list[dict[str, Any]]) -> None:
        if self._writes:
            text = "".join(json.dumps(line) + "\n" for line in lines)
            # A kill in between must not lose the evaluations that the best one is chosen from.
            whole = self._path.with_suffix(".partial")
            whole.write_text(text, encoding="utf-8")
            whole.replace(self._path)

    def lines(self) -> list[dict[str, Any]]:
        """All lines; one that a kill left half-written is passed over."""
        text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        return [json.loads(line) for line in text.splitlines() if line.endswith("}")]

    def evaluations(self) -> dict[int, dict[str, float]]:
        """Step -> `validation_loss` (nats an item), `NDCG@10` and what else was measured."""
        return {
            line["step"]: {key: value for key, value in line.items() if key != "step"}
            for line in self.lines()
            if "validation_loss" in line
        }
