"""What curves run over: steps, time, tokens or epochs; and where the y axis ends when outliers are cut."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.live_chart import Zoom
from app.words import _
from platform_core.metrics.reader import Reader
from platform_core.metrics.schema import TIME_NAME

Axis = Literal["step", "time", "tokens", "epoch"]
SOURCES: dict[Axis, str] = {"time": TIME_NAME, "tokens": "num_tokens", "epoch": "epoch"}
BUCKETS = 600
UNITS = ((120.0, 1.0, "s"), (7200.0, 60.0, "min"), (math.inf, 3600.0, "h"))
TAIL = 0.02
FEWEST = 20


@dataclass(frozen=True)
class Ruler:
    """Where each step lies on an axis: `values` never fall; one `unit` of the axis is `scale` of them."""

    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    scale: float
    unit: str


def axes(names: Iterable[str]) -> dict[str, str]:
    """The axes that a run with these metrics has, with their titles."""
    there = set(names)
    titles: dict[Axis, str] = {"step": _("Steps"), "time": _("Time"), "tokens": _("Tokens"), "epoch": _("Epoch")}
    return {a: title for a, title in titles.items() if a in ("step", "time") or SOURCES[a] in there}


def ruler_of(run: Reader, axis: Axis) -> Ruler | None:
    """Where each step lies, in a bounded number of points; None for the axis of steps or without any point."""
    if axis == "step":
        return None
    curve = run.curve(SOURCES[axis], BUCKETS)
    known = np.isfinite(curve.minimum)
    steps, values = curve.steps[known], np.maximum.accumulate(curve.minimum[known])
    if not len(steps):
        return None
    if axis != "time":
        return Ruler(steps, values, 1.0, _("tokens") if axis == "tokens" else _("epoch"))
    seconds = values - values[0]
    _limit, scale, name = next(u for u in UNITS if seconds[-1] < u[0])
    return Ruler(steps, seconds, scale, name)


def common_unit(rulers: Sequence[Ruler], zoom: Zoom | None, axis: str) -> tuple[float, str]:
    """Scale and unit for all runs of a chart: those of the longest, but of time the one in which it was zoomed.

    Else the zoom would be lost when a live run grows from seconds to minutes.
    """
    longest = max(rulers, key=lambda ruler: ruler.scale, default=None)
    for _limit, scale, name in UNITS:
        if zoom is not None and zoom.axis == f"{axis}:{name}":
            return scale, name
    return (1.0, "") if longest is None else (longest.scale, longest.unit)


def placed(steps: NDArray[np.int64], ruler: Ruler) -> NDArray[np.float64]:
    """Where steps lie on the ruler's axis, in its unit."""
    return np.interp(steps, ruler.steps, ruler.values) / ruler.scale


def window(zoom: Zoom | None, axis: str, ruler: Ruler | None) -> tuple[int, int] | None:
    """The steps that a zoom shows, a little more at both sides; None when nothing is zoomed."""
    if zoom is None or zoom.axis != axis:
        return None
    low, high = zoom.low, zoom.high
    if ruler is not None:
        low, high = np.interp([low * ruler.scale, high * ruler.scale], ruler.values, ruler.steps).tolist()
    margin = max(1.0, (high - low) / 20)
    return math.floor(low - margin), math.ceil(high + margin)


def inner_limits(curves: Sequence[NDArray[np.float64]], log: bool) -> tuple[float, float] | None:
    """The range of y that holds all but the outermost 2 % at each end, and a twentieth more; None for few values."""
    values = np.concatenate([*curves, np.empty(0)])
    values = values[np.isfinite(values) & ((values > 0) if log else True)]
    if len(values) < FEWEST:
        return None
    low, high = np.quantile(np.log10(values) if log else values, [TAIL, 1 - TAIL])
    if not high > low:
        return None
    low, high = low - (high - low) / 20, high + (high - low) / 20
    return (float(10**low), float(10**high)) if log else (float(low), float(high))
