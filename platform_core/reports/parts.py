"""What a report consists of, before it is HTML or PDF. All texts are plain, in the reader's language already."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from platform_core.errors import Text
from platform_core.jobs.looks import Dash

INKS = ("#0072b2", "#d55e00", "#008f68", "#b8578f", "#a87400", "#2b88bd", "#6b6b6b")
"""Okabe and Ito's, in the order and lightness of the pages' light theme; each has 3:1 on white."""
STROKES: dict[Dash, tuple[int, ...]] = {"solid": (), "dash": (7, 4), "dot": (2, 3), "dashdot": (7, 3, 2, 3)}
"""Lengths of strokes and gaps, in points."""


@dataclass(frozen=True)
class Voice:
    """How a report speaks: `say` translates a sentence."""

    say: Callable[[Text | str], str] = str
    lang: str = "en"


@dataclass(frozen=True)
class Facts:
    """Labels with values."""

    title: str
    rows: list[tuple[str, str]]


@dataclass(frozen=True)
class Grid:
    """A table; cells in `strong` (row, column) are the best of their kind; `folded` ones matter less."""

    title: str
    headings: list[str]
    rows: list[list[str]]
    strong: frozenset[tuple[int, int]] = frozenset()
    folded: bool = False


@dataclass(frozen=True)
class Line:
    """One curve: arrays of equal length; `colour` is a place in `INKS`."""

    name: str
    colour: int
    dash: Dash
    x: NDArray[Any]
    y: NDArray[Any]


@dataclass(frozen=True)
class Chart:
    """Curves over steps; `named` when it has to be said which run a line belongs to."""

    title: str
    lines: list[Line]
    named: bool


@dataclass(frozen=True)
class Prose:
    """A person's text, or a program's, line for line; `code` in a fixed pitch."""

    title: str
    text: str
    code: bool = False


Part = Facts | Grid | Chart | Prose


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    subtitle: str
    footer: str
    lang: str
    parts: list[Part] = field(default_factory=list)


@dataclass(frozen=True)
class Scale:
    """Where a chart's values lie in a box of `width` x `height`, y downwards; ticks as (place, text)."""

    low_x: float
    high_x: float
    low_y: float
    high_y: float
    width: float
    height: float

    def place(self, line: Line) -> list[list[tuple[float, float]]]:
        """The curve as runs of points; a value that is not finite ends a run."""
        runs: list[list[tuple[float, float]]] = [[]]
        for x, y in zip(line.x.tolist(), line.y.tolist(), strict=True):
            if math.isfinite(y):
                runs[-1].append((self.at_x(x), self.at_y(y)))
            elif runs[-1]:
                runs.append([])
        return [run for run in runs if run]

    def at_x(self, x: float) -> float:
        return self.width * (x - self.low_x) / (self.high_x - self.low_x)

    def at_y(self, y: float) -> float:
        return self.height * (1 - (y - self.low_y) / (self.high_y - self.low_y))

    def ticks_x(self) -> list[tuple[float, str]]:
        return [(self.at_x(v), tick(v)) for v in ticks(self.low_x, self.high_x, 6)]

    def ticks_y(self) -> list[tuple[float, str]]:
        return [(self.at_y(v), tick(v)) for v in ticks(self.low_y, self.high_y, 4)]


def scale_of(chart: Chart, width: float, height: float) -> Scale | None:
    """The scale that holds all curves; None when there is no finite point."""
    xs = [line.x[np.isfinite(line.y)] for line in chart.lines]
    ys = [line.y[np.isfinite(line.y)] for line in chart.lines]
    if not any(len(y) for y in ys):
        return None
    low_x, high_x = (float(f(np.concatenate(xs))) for f in (np.min, np.max))
    low_y, high_y = (float(f(np.concatenate(ys))) for f in (np.min, np.max))
    if high_x == low_x:
        low_x, high_x = low_x - 0.5, high_x + 0.5
    margin = 0.05 * (high_y - low_y) or max(abs(high_y), 1.0) * 0.1
    return Scale(low_x, high_x, low_y - margin, high_y + margin, width, height)


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers inside low..high, about as many as asked for."""
    raw = (high - low) / about
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * f for f in (1, 2, 5, 10) if size * f >= raw)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def tick(value: float) -> str:
    """A tick's number, short."""
    if abs(value) >= 1e4 and abs(value) < 1e9:
        return f"{value:,.0f}"
    return f"{value:.4g}"
