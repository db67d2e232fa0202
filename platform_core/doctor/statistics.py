"""Robust statistics of noisy curves, and the piece of a curve that is shown as evidence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from platform_core.doctor.case import Series
from platform_core.doctor.diagnosis import Evidence

Values = NDArray[np.float64]
SHOWN = 60
TO_SIGMA = 1.4826
"""The median absolute deviation of normal noise times this is its standard deviation."""


def median(values: Values) -> float:
    """The median; NaN of nothing."""
    return float(np.median(values)) if len(values) else float("nan")


def noise(values: Values) -> float:
    """Standard deviation of the noise around a slow trend: from differences of neighbours, by their median."""
    if len(values) < 3:
        return 0.0
    steps = np.diff(values)
    return float(TO_SIGMA * np.median(np.abs(steps - np.median(steps))) / np.sqrt(2))


def finite(series: Series) -> Series:
    """The points that are numbers."""
    kept = np.isfinite(series.values)
    return Series(series.steps[kept], series.values[kept])


def after(series: Series, step: int) -> Series:
    """The points later than `step`."""
    at = int(np.searchsorted(series.steps, step, "right"))
    return Series(series.steps[at:], series.values[at:])


def ends(values: Values, share: float = 0.2, least: int = 5) -> tuple[float, float]:
    """Medians of the first and of the last `share` of the values, `least` at least."""
    count = max(least, int(len(values) * share))
    return median(values[:count]), median(values[-count:])


def smooth(values: Values, width: int) -> Values:
    """Running medians over `width` values; `width` - 1 fewer of them."""
    if len(values) < width:
        return values[:0]
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(values, width), axis=1))


def evidence(metric: str, series: Series, limit: float | None = None, at: int | None = None) -> Evidence:
    """The piece of a curve that shows it: `SHOWN` points at most, around index `at` or spread over all of it."""
    steps, values = series
    if at is not None:
        start = max(0, min(at - SHOWN // 2, len(steps) - SHOWN))
        steps, values = steps[start : start + SHOWN], values[start : start + SHOWN]
    elif len(steps) > SHOWN:
        kept = np.linspace(0, len(steps) - 1, SHOWN).round().astype("i8")
        steps, values = steps[kept], values[kept]
    numbers = tuple(float(v) if np.isfinite(v) else None for v in values)
    return Evidence(metric, tuple(int(s) for s in steps), numbers, limit)
