"""The mean of the curves of several runs, such as those of one setting with different seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

POINTS = 600


@dataclass(frozen=True)
class MeanCurve:
    """`mean` ± `sd` (sample deviation between runs, 0 where only one is left) at each `x`, of `n` runs at the most."""

    x: NDArray[np.float64]
    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    n: int


def mean_curve(curves: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> MeanCurve:
    """Average curves (x ascending, y) on a common grid of at most 600 places, each linear between its own points.

    A run counts only between its first and its last point; values that are not finite are passed over.
    """
    known = [(x[np.isfinite(y)], y[np.isfinite(y)]) for x, y in curves]
    known = [(x, y) for x, y in known if len(x)]
    if not known:
        return MeanCurve(np.empty(0), np.empty(0), np.empty(0), 0)
    grid = np.unique(np.concatenate([x for x, _y in known]).astype(float))
    if len(grid) > POINTS:
        grid = grid[np.linspace(0, len(grid) - 1, POINTS).round().astype(int)]
    table = np.stack([np.interp(grid, x, y, left=np.nan, right=np.nan) for x, y in known])
    there = np.isfinite(table)
    count = there.sum(axis=0)
    kept = count > 0
    table, there, count = table[:, kept], there[:, kept], count[kept]
    mean = np.where(there, table, 0.0).sum(axis=0) / count
    squares = np.where(there, (table - mean) ** 2, 0.0).sum(axis=0)
    return MeanCurve(grid[kept], mean, np.sqrt(squares / np.maximum(count - 1, 1)), len(known))
