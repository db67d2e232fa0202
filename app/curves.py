"""The curves of one run: families of metrics, smoothing, log axis, steps or time, exact where zoomed in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from zlib import crc32

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from app import address
from app.format import number
from app.live_chart import Line, Zoom, line_figure, live_chart, smoothed, zoom_of
from app.metric_words import families, family_title, hint, main_metrics, title, unit
from app.page import guarded, plain
from app.words import _
from platform_core.jobs.store import Job
from platform_core.metrics.reader import Curve, Reader
from platform_core.metrics.schema import TIME_NAME

Axis = Literal["step", "time"]
BUCKETS = 600
OUTSIDE = 150
SMOOTHINGS = [f"{hundredth / 100:g}" for hundredth in range(100)]
SMOOTHING = "0.6"
PLANNED = ("learning_rate", "epoch", "num_tokens")
"""Metrics without noise: smoothing would only bend them."""
UNITS = ((120.0, 1.0, "s"), (7200.0, 60.0, "min"), (math.inf, 3600.0, "h"))


@dataclass(frozen=True)
class View:
    """How a person wants to see the curves."""

    family: str
    smoothing: float
    log: bool
    axis: Axis


@dataclass(frozen=True)
class Clock:
    """When each step was: `seconds` since the first one, shown in `unit`, which has `scale` seconds."""

    steps: NDArray[np.int64]
    seconds: NDArray[np.float64]
    scale: float
    unit: str


def colour_of(job_id: str) -> int:
    """A run's place in the list of chart colours, the same on every page."""
    return crc32(job_id.encode()) % 7


def curves(job: Job, path: Path) -> None:
    """All curves of a job with their controls; reads one snapshot of its metrics. Raises Problem."""
    with Reader(path) as run:
        names = run.names()
        if not names:
            st.caption(_("No curve yet: the first point comes with the first step that is reported."))
            return
        shown = families(job.kind, names)
        view = controls(shown)
        latest = run.latest()
        clock = clock_of(run) if view.axis == "time" else None
        chosen = shown.get(view.family) or next(iter(shown.values()))
        with st.grid(4 if len(chosen) == 4 else min(len(chosen), 3), min_column_width=230, gap="medium", key="curves"):
            for name in chosen:
                with guarded():
                    metric(job, run, name, latest[name], view, clock)


def main_curve(job: Job, path: Path, key: str) -> None:
    """Only the metric that matters most, for a page that shows more than one job. Raises Problem."""
    with Reader(path) as run:
        names = main_metrics(job.kind, run.names())
        if names:
            metric(job, run, names[0], run.latest()[names[0]], View("", 0.0, False, "step"), None, key)


def controls(shown: dict[str, list[str]]) -> View:
    """Families at the left, how to draw at the right; both are part of the page's address."""
    titles = {name: plain(family_title(name)) for name in shown}
    with st.container(
        horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute", key="curve-controls"
    ):
        family = one_of(_("Metrics"), "charts", titles) if len(titles) > 1 else next(iter(titles))
        with st.container(horizontal=True, vertical_alignment="bottom", width="content", key="curve-view"):
            axis = one_of(_("Over"), "axis", {"step": _("Steps"), "time": _("Time")})
            scale = one_of(_("Scale"), "scale", {"linear": _("Linear"), "log": _("Logarithmic")})
            address.chosen("smoothing", SMOOTHINGS, SMOOTHING)
            smoothing = st.select_slider(
                _("Smoothing"), SMOOTHINGS, key="smoothing", width=180, on_change=address.keep,
                args=("smoothing", SMOOTHING),
                help=_("Weight of the exponential moving average; the raw line stays, pale. 0: no smoothing."),
            )  # fmt: skip
    return View(family, float(smoothing), scale == "log", "time" if axis == "time" else "step")


def one_of(label: str, name: str, titles: dict[str, str]) -> str:
    """A choice of one, the first by default, kept in the address as `name`."""
    default = next(iter(titles))
    chosen = address.chosen(name, list(titles), default)
    picked = st.segmented_control(
        label, list(titles), required=True, key=name, format_func=lambda option: titles[option],
        on_change=address.keep, args=(name, default),
    )  # fmt: skip
    return str(picked or chosen)


def metric(
    job: Job, run: Reader, name: str, latest: tuple[int, float], view: View, clock: Clock | None, key: str = ""
) -> None:
    """One chart: newest value, band of minimum and maximum where points are summed up, exact points where zoomed."""
    key = key or f"chart.{job.id}.{name}"
    curve = read_curve(run, name, window(zoom_of(key), view.axis, clock))
    x = curve.steps if clock is None else elapsed(curve.steps, clock)
    line = Line(
        x=x,
        y=curve.mean,
        name=title(name),
        colour=colour_of(job.id),
        low=None if curve.exact else curve.minimum,
        high=None if curve.exact else curve.maximum,
        smooth=smoothed(curve.mean, view.smoothing) if view.smoothing and len(x) > 2 and name not in PLANNED else None,
    )
    bad = int(curve.bad.sum())
    live_chart(
        title(name),
        line_figure(
            [line], x_title=_("step") if clock is None else clock.unit, axis=view.axis, log=view.log, revision=key
        ),
        key=key,
        value=" ".join(part for part in (number(latest[1]), unit(name)) if part),
        note=_("{n} not finite", n=number(bad)) if bad else "",
        hint=hint(name),
    )


def read_curve(run: Reader, name: str, zoomed: tuple[int, int] | None) -> Curve:
    """A curve in a bounded number of buckets; inside `zoomed` as fine as a whole one, coarse outside of it."""
    if zoomed is None:
        return run.curve(name, BUCKETS)
    low, high = zoomed
    parts = [
        run.curve(name, OUTSIDE, None, low - 1),
        run.curve(name, BUCKETS, low, high),
        run.curve(name, OUTSIDE, high + 1, None),
    ]
    joined = (np.concatenate([getattr(p, f) for p in parts]) for f in ("steps", "minimum", "mean", "maximum"))
    steps, minimum, mean, maximum = joined
    return Curve(steps, minimum, mean, maximum, all(p.exact for p in parts), np.concatenate([p.bad for p in parts]))


def window(zoom: Zoom | None, axis: Axis, clock: Clock | None) -> tuple[int, int] | None:
    """The steps that a zoom shows, a little more at both sides; None when nothing is zoomed."""
    if zoom is None or zoom.axis != axis:
        return None
    low, high = zoom.low, zoom.high
    if clock is not None:
        if not len(clock.steps):
            return None
        low, high = np.interp([low * clock.scale, high * clock.scale], clock.seconds, clock.steps).tolist()
    margin = max(1.0, (high - low) / 20)
    return math.floor(low - margin), math.ceil(high + margin)


def clock_of(run: Reader) -> Clock:
    """When each step was logged, in a bounded number of points."""
    times = run.curve(TIME_NAME, BUCKETS)
    seconds = times.minimum - times.minimum[0] if len(times.steps) else times.minimum
    total = float(seconds[-1]) if len(seconds) else 0.0
    _limit, scale, name = next(u for u in UNITS if total < u[0])
    return Clock(times.steps, np.maximum.accumulate(seconds), scale, name)


def elapsed(steps: NDArray[np.int64], clock: Clock) -> NDArray[np.float64]:
    """Time of each step since the first one, in the clock's unit."""
    return np.interp(steps, clock.steps, clock.seconds) / clock.scale
