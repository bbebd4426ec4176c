"""What an answer costs and how it is shown; a part of `decode.py`."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch.nn.functional import linear

from genrec_cli.decoding.question import Ranking

GEMM_ROWS: Final = 256


@dataclass
class Tally:
    """What one answer cost; tokens with padding, seconds of the layers for them, and of all."""

    seconds: float = 0.0
    cpu: float = 0.0
    wall: float = 0.0
    passes: int = 0
    prompt_tokens: int = 0
    prompt_seconds: float = 0.0
    tree_tokens: int = 0
    tree_seconds: float = 0.0


class Meter:
    """Times answers, and looks at what passes through the model's layers meanwhile."""

    def __init__(self, model: Any, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._tally = Tally()
        self._start = 0.0
        decoder = model.get_decoder()
        decoder.register_forward_pre_hook(self._before)
        decoder.register_forward_hook(self._after, with_kwargs=True)

    def timed(self, rank: Callable[[], Ranking]) -> tuple[Ranking, Tally]:
        """An answer and its cost."""
        self._tally = tally = Tally()
        clocks = (self.clock, time.process_time, time.perf_counter)
        starts = [clock() for clock in clocks]
        ranking = rank()
        ends = [clock() for clock in clocks]
        tally.seconds, tally.cpu, tally.wall = (b - a for a, b in zip(starts, ends, strict=True))
        return ranking, tally

    def _before(self, *_: Any) -> None:
        self._start = self.clock()

    def _after(self, _: Any, __: Any, arguments: dict[str, Any], ___: Any) -> None:
        tokens, seconds = arguments["input_ids"].numel(), self.clock() - self._start
        if self._tally.passes:
            self._tally.tree_tokens += tokens
            self._tally.tree_seconds += seconds
        else:
            self._tally.prompt_tokens += tokens
            self._tally.prompt_seconds += seconds
        self._tally.passes += 1


def gemm_speed(model: Any, clock: Callable[[], float]) -> float:
    """FLOP a second of the products with every layer's weights."""
    weights = [w for w in model.get_decoder().layers.parameters() if w.dim() == 2]
    inputs = {w.shape[1]: torch.randn(GEMM_ROWS, w.shape[1]).to(w.dtype) for w in weights}
    start = clock()
    with torch.inference_mode():
        for weight in weights:
            linear(inputs[weight.shape[1]], weight)
    seconds = clock() - start
    return float(sum(2 * GEMM_ROWS * weight.numel() for weight in weights) / seconds)


def show(rows: Mapping[str, Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    """Print rows as an aligned table."""
    lines = [["", *columns]]
    for name, row in rows.items():
        lines.append([name, *(short(row.get(key)) for key in columns.values())])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
        print("  ".join([line[0].ljust(widths[0]), *cells[1:]]))


def short(value: float | None) -> str:
    """A number in few characters."""
    if value is None or value != value:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{2 if value < 100 else 0}f}"
