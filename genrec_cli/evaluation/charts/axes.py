"""Linear axes with round ticks, and numbers as charts write them."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

_ROUND = (1, 2, 5)  # round steps are these times a power of ten
_VALUE_TICKS, _STEP_TICKS = 6, 7  # at most
_LEVEL = 1e-4, 1e-3  # figures that differ by less, or relatively by less, are drawn as one level
_LONG = 1e5  # numbers from here on are written with an exponent


@dataclass(frozen=True)
class Axis:
    """A linear scale from values to places on the drawing.

    Attributes:
        low: value at `start`.
        high: value at `end`; above `low`.
        ticks: values between the two, in order, evenly spaced.
        start: place of `low`, in user units of the drawing.
        end: place of `high`; less than `start` where the axis points up.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    start: float
    end: float

    def place(self, value: float) -> float:
        """Where a value stands."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def value_axis(values: Iterable[float], start: float, end: float) -> Axis:
    """An axis that begins and ends at ticks, around all values.

    Args:
        values: at least one; finite.
        start: place of the lowest tick.
        end: place of the highest.
    """
    ticks = round_ticks(*_widened(list(values)), _VALUE_TICKS)
    return Axis(ticks[0], ticks[-1], ticks, start, end)


def step_axis(last: int, start: float, end: float) -> Axis:
    """An axis of whole steps from 0 to the last one, which need not be a tick.

    Args:
        last: the last step; not negative.
        start: place of step 0.
        end: place of the last step.
    """
    high = max(last, 1)
    ticks = round_ticks(0, high, _STEP_TICKS)
    ticks = tuple(tick for tick in ticks if tick <= last and tick % 1 == 0)
    return Axis(0, high, ticks, start, end)


def round_ticks(low: float, high: float, most: int) -> tuple[float, ...]:
    """Ticks around a range, as close as 1, 2 or 5 times a power of ten allow.

    Args:
        low: lower end; the first tick is the last multiple of their distance that is not above it.
        high: upper end, above `low`; the last tick is the first multiple not below it.
        most: how many ticks there may be, at least 3: a range around zero needs as many.

    Example:
        >>> round_ticks(5.9, 9.5, most=6)
        (5.0, 6.0, 7.0, 8.0, 9.0, 10.0)
    """
    # In decimal fractions 0.3 is a multiple of 0.1, and each tick is the float next to its value.
    first, last = Fraction(str(low)), Fraction(str(high))
    exponent = (Decimal(str(high)) - Decimal(str(low))).adjusted() - int(math.log10(most)) - 1
    while True:
        for factor in _ROUND:
            step = factor * Fraction(10) ** exponent
            below, above = first // step, -(-last // step)
            if above - below < most:
                return tuple(float(count * step) for count in range(below, above + 1))
        exponent += 1


def tick_labels(axis: Axis) -> list[str]:
    """The ticks as text: as many decimals as it takes to tell them apart."""
    if max(abs(tick) for tick in axis.ticks) >= _LONG:
        return [_short(tick, 5) for tick in axis.ticks]
    spacing = axis.ticks[1] - axis.ticks[0]
    decimals = max(0, -math.floor(math.log10(spacing * 1.001)))  # 0.1 may be a hair too small
    return [f"{tick:,.{decimals}f}" for tick in axis.ticks]


def figure(value: float) -> str:
    """A measured number: four decimals, and fewer the larger it is.

    Example:
        >>> figure(0.04307), figure(6.02), figure(12345.0)
        ('0.0431', '6.020', '12,345')
    """
    if abs(value) < 1:
        return f"{value:.4f}"
    return _short(value, 4) if abs(value) >= _LONG else f"{value:,.{3 if abs(value) < 100 else 0}f}"


def whole(count: int) -> str:
    """A number of steps.

    Example:
        >>> whole(1128), whole(20_000_000)
        ('1,128', '2e7')
    """
    return f"{count:,}" if count < 100 * _LONG else _short(count, 4)


def _short(value: float, digits: int) -> str:
    return re.sub(r"e\+?(-?)0*", r"e\1", f"{value:.{digits}g}")


def _widened(values: list[float]) -> tuple[float, float]:
    """Lowest and highest, moved apart where they are (nearly) equal."""
    low, high = min(values), max(values)
    size = max(abs(low), abs(high))
    absolute, relative = _LEVEL
    if high - low > max(absolute, relative * size):
        return low, high
    return (low - 0.1 * size, high + 0.1 * size) if size > absolute else (low, 1.0)
