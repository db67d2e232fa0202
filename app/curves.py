"""The curves of runs: families of metrics, smoothing, axes, outliers, marks; exact where zoomed in."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import streamlit as st

from app.curve_axes import BUCKETS, Ruler, axes, common_unit, inner_limits, placed, ruler_of, window
from app.curve_controls import View, controls, others
from app.curve_marks import legend, marks_of, signs
from app.format import number
from app.live_chart import HEIGHT, Line, Ready, Zoom, line_figure, live_chart, ready, smoothed, zoom_of
from app.metric_words import families, hint, main_metrics, title, unit
from app.page import guarded, plain, workspace
from app.shared import shared
from app.words import _, language
from platform_core.jobs.folder import metrics_file
from platform_core.jobs.looks import Dash, looks
from platform_core.jobs.states import LIVE
from platform_core.jobs.store import Job
from platform_core.metrics.marks import Mark
from platform_core.metrics.reader import Curve, Reader

OUTSIDE = 150
PLANNED = ("learning_rate", "epoch", "num_tokens")
"""Metrics without noise: smoothing would only bend them."""
LEGEND_ROW = 19
"""Pixels that a chart grows by for each further run's name."""


@dataclass(frozen=True)
class Shown:
    """A run in a chart: one snapshot, read once a refresh for all charts."""

    job: Job
    run: Reader
    ruler: Ruler | None
    latest: dict[str, tuple[int, float]]


@dataclass(frozen=True)
class Drawn:
    """A chart as it goes to the browser; `lines` is how many runs have one."""

    figure: Ready
    value: str
    note: str
    span: str
    lines: int


def shown_run(job: Job, run: Reader, view: View) -> Shown:
    """A run with its place on the axis of the view."""
    if view.axis == "step" or job.state not in LIVE:
        return Shown(job, run, ruler_of(run, view.axis), run.latest())
    ruler = shared(("ruler", job.id, job.state, view.axis, language()), lambda: ruler_of(run, view.axis))
    return Shown(job, run, ruler, run.latest())


def curves(job: Job, path: Path) -> None:
    """All curves of a job with their controls; reads one snapshot of its metrics. Raises Problem."""
    with Reader(path) as run:
        names = run.names()
        if not names:
            st.caption(_("No curve yet: the first point comes with the first step that is reported."))
            return
        shown = families(job.kind, names)
        view = controls(shown, axes(names))
        marks = marks_of(workspace(), job, run) if view.marks else []
        row = st.container(horizontal=True, vertical_alignment="bottom", key="curve-runs")
        beside = others(job, row)
        if marks:
            row.caption(plain(legend(marks)), width="content")
        here = shown_run(job, run, view)
        chosen = shown.get(view.family) or next(iter(shown.values()))
        with ExitStack() as stack:
            runs = [here, *(shown_run(other, open_run(stack, other), view) for other in beside)]
            left_out(runs, view.axis)
            with st.grid(
                4 if len(chosen) == 4 else min(len(chosen), 3), min_column_width=230, gap="medium", key="curves"
            ):
                for name in chosen:
                    with guarded():
                        chart(runs, name, view, f"chart.{job.id}.{name}", marks, HEIGHT + LEGEND_ROW * len(beside))


def main_curve(job: Job, path: Path, key: str) -> None:
    """Only the metric that matters most, for a page that shows more than one job. Raises Problem."""
    with Reader(path) as run:
        names = main_metrics(job.kind, run.names())
        if names:
            chart([shown_run(job, run, View())], names[0], View(), key)


def overlay(runs: Sequence[tuple[Job, Reader]], metric: str, view: View, key: str, height: int = HEIGHT) -> int:
    """One metric of several runs in one chart; returns how many of them have it. Raises Problem."""
    return chart([shown_run(job, run, view) for job, run in runs], metric, view, key, height=height)


def open_run(stack: ExitStack, job: Job) -> Reader:
    """A snapshot of a job's metrics that is let go with the stack."""
    return stack.enter_context(Reader(metrics_file(workspace(), job)))


def left_out(runs: Sequence[Shown], axis: str) -> None:
    """Say which runs have no place on the axis."""
    names = [one.job.name[:60] for one in runs if one.ruler is None]
    if axis != "step" and names:
        st.caption(
            plain(_("Not drawn over this axis: {names}. These runs do not report it; all have steps and time.",
                    names=", ".join(names)))
        )  # fmt: skip


def chart(
    runs: Sequence[Shown], name: str, view: View, key: str, marks: Sequence[Mark] = (), height: int = HEIGHT
) -> int:
    """One metric of one run or of several: newest value, band where points are summed up, exact where zoomed.

    Returns how many runs have a line.
    """
    zoom, live = zoom_of(key), any(one.job.state in LIVE for one in runs)

    def draw() -> Drawn:
        return drawn(runs, name, view, key, zoom, marks)

    told = tuple((one.job.id, one.job.name, one.job.state, one.job.since) for one in runs)
    made = shared(("chart", key, told, name, view, zoom, tuple(marks), language()), draw) if live else draw()
    live_chart(
        title(name), made.figure, key=key, value=made.value, note=made.note, hint=hint(name), span=made.span,
        height=height,
    )  # fmt: skip
    return made.lines


def drawn(
    runs: Sequence[Shown], name: str, view: View, key: str, zoom: Zoom | None, marks: Sequence[Mark] = ()
) -> Drawn:
    """The chart of `chart` from the runs' snapshots; `key` says when a zoom is kept."""
    lines, bad, x_title, look = [], 0, _("step"), looks([one.job.id for one in runs])
    scale, x_unit = common_unit([one.ruler for one in runs if one.ruler is not None], zoom, view.axis_name)
    axis = f"{view.axis_name}:{x_unit}" if view.axis == "time" else view.axis_name
    rulers = [one.ruler and replace(one.ruler, scale=scale, unit=x_unit) for one in runs]
    for one, ruler in zip(runs, rulers, strict=True):
        if view.axis != "step" and ruler is None:
            continue  # a run without tokens or epochs has no place on that axis
        curve = read_curve(one.run, name, window(zoom, axis, ruler))
        if not len(curve.steps):
            continue
        x_title = ruler.unit if ruler is not None else x_title
        bad += int(curve.bad.sum())
        lines.append(line_of(one.job, name, curve, view, ruler, look[one.job.id], len(runs) > 1))
    latest = runs[0].latest.get(name) if runs else None
    newest = number(latest[1]) if latest is not None and len(runs) == 1 else ""
    limits = inner_limits([line.y for line in lines], view.log) if view.clip else None
    figure = line_figure(
        lines, x_title=x_title, axis=axis, log=view.log, revision=key, log_x=view.log_x, limits=limits,
        signs=signs(marks, rulers[0]) if runs else (), named=len(runs) > 1,
    )  # fmt: skip
    return Drawn(
        ready(figure),
        value=" ".join(part for part in (newest, unit(name)) if part),
        note=_("{n} not finite", n=number(bad)) if bad else "",
        span=span(lines),
        lines=len(lines),
    )


def line_of(
    job: Job, name: str, curve: Curve, view: View, ruler: Ruler | None, look: tuple[int, Dash], many: bool
) -> Line:
    """A curve as it is drawn; among several runs under the run's name and without its band."""
    smooth = view.smoothing and len(curve.steps) > 2 and name not in PLANNED
    return Line(
        x=curve.steps if ruler is None else placed(curve.steps, ruler),
        y=curve.mean,
        name=job.name[:60] if many else title(name),
        colour=look[0],
        dash=look[1],
        low=None if curve.exact or many else curve.minimum,
        high=None if curve.exact or many else curve.maximum,
        smooth=smoothed(curve.mean, view.smoothing) if smooth else None,
    )


def span(lines: Sequence[Line]) -> str:
    """The least and the greatest finite value of all lines; "" where they are one."""
    values = np.concatenate(
        [np.empty(0), *(v for line in lines for v in (line.y, line.low, line.high) if v is not None)]
    )
    values = values[np.isfinite(values)]
    if not len(values) or values.min() == values.max():
        return ""
    return _("min {low} · max {high}", low=number(float(values.min()), 3), high=number(float(values.max()), 3))


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
