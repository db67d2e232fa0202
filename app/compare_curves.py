"""The curves of a comparison: one metric of all runs in one chart, each run by itself or the means of groups."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import streamlit as st

from app import address
from app.compare_tables import group_text
from app.curve_axes import BUCKETS, axes, inner_limits, placed, ruler_of
from app.curve_controls import View, controls
from app.curves import open_run, overlay, span
from app.format import number
from app.live_chart import Line, line_figure, live_chart, smoothed
from app.metric_words import hint, main_metrics, title, unit
from app.page import guarded
from app.words import _, say
from platform_core.jobs.compare import Comparison, groups_of, setting_title
from platform_core.jobs.looks import COLOURS, DASHES
from platform_core.jobs.mean_curve import mean_curve
from platform_core.jobs.store import Job
from platform_core.metrics.reader import Reader

HEIGHT = 340
RUNS = "runs"
PREFIX = "by."


def compare_curves(shown: Comparison) -> None:
    """The metric and how to draw it, then the chart; reads one snapshot of each run's metrics."""
    st.subheader(_("Curves"), anchor=False)
    with ExitStack() as stack:
        names: dict[str, None] = {}
        runs: list[tuple[Job, Reader]] = []
        for run in shown.runs:
            with guarded():
                reader = open_run(stack, run.job)
                runs.append((run.job, reader))
                there = reader.names()
                names |= dict.fromkeys([*main_metrics(run.job.kind, there), *there])
        if not names:
            st.caption(_("No curve yet: the first point comes with the first step that is reported."))
            return
        with st.container(horizontal=True, key="compare.curve.choice"):
            metric = pick(_("Metric"), "metric", {name: title(name) for name in names})
            by = pick(_("Lines"), "lines", line_choices(shown)) if len(runs) > 1 else RUNS
        view = controls({metric: [metric]}, axes(names), marks=False)
        if by == RUNS:
            drawn = overlay(runs, metric, view, f"compare.curve.{metric}", HEIGHT)
        else:
            drawn = means(shown, runs, by.removeprefix(PREFIX), metric, view)
        if drawn < len(shown.runs):
            without = len(shown.runs) - drawn
            st.caption(
                _("1 run has no such curve.") if without == 1 else _("{n} runs have no such curve.", n=number(without))
            )


def pick(label: str, name: str, titles: dict[str, str]) -> str:
    """A choice of one, the first by default, kept in the address as `name`."""
    options = list(titles)
    address.chosen(name, options, options[0])
    picked: str = st.selectbox(
        label, options, key=name, format_func=titles.__getitem__, on_change=address.keep, args=(name, options[0]),
        width=240,
    )  # fmt: skip
    return picked


def line_choices(shown: Comparison) -> dict[str, str]:
    """A line for each run, or the means of runs that agree in a setting that differs, a tag or a group."""
    titles = {row.name: setting_title(row.setting, say) for row in shown.different if row.name != "seed"}
    titles |= {"tag": _("Tag"), "group": _("Group")}
    return {RUNS: _("Each run")} | {PREFIX + name: _("Mean by {what}", what=said) for name, said in titles.items()}


def means(shown: Comparison, runs: Sequence[tuple[Job, Reader]], by: str, metric: str, view: View) -> int:
    """The mean curve of each group with a band of one standard deviation; returns how many runs have the metric."""
    rulers = {job.id: ruler_of(reader, view.axis) for job, reader in runs}
    longest = max((r for r in rulers.values() if r is not None), key=lambda r: r.scale, default=None)
    curves = {}
    for job, reader in runs:
        curve, ruler = reader.curve(metric, BUCKETS), rulers[job.id]
        if len(curve.steps) and (view.axis == "step" or ruler is not None):
            x = curve.steps if ruler is None else placed(curve.steps, ruler) * ruler.scale
            curves[job.id] = (x.astype(float) / (longest.scale if longest is not None else 1), curve.mean)
    lines = []
    for at, (label, members) in enumerate(groups_of(shown.runs, by)):
        found = mean_curve([curves[run.job.id] for run in members if run.job.id in curves])
        if not found.n:
            continue
        said = _("{group}, mean of {n}", group=group_text(by, label)[:40], n=found.n)
        smooth = smoothed(found.mean, view.smoothing) if view.smoothing and len(found.x) > 2 else None
        low, high = (found.mean - found.sd, found.mean + found.sd) if found.n > 1 else (None, None)
        dash = DASHES[at // COLOURS % len(DASHES)]
        lines.append(Line(found.x, found.mean, said, at % COLOURS, low, high, smooth, dash))
    limits = inner_limits([line.y for line in lines], view.log) if view.clip else None
    x_title = longest.unit if longest is not None else _("step")
    figure = line_figure(
        lines, x_title=x_title, axis=view.axis_name, log=view.log, revision=f"{metric}:{by}", log_x=view.log_x,
        limits=limits, named=True,
    )  # fmt: skip
    live_chart(
        title(metric), figure, key=f"compare.means.{by}.{metric}", value=unit(metric), hint=hint(metric),
        span=span(lines), height=HEIGHT,
    )  # fmt: skip
    st.caption(_("Band: mean ± standard deviation between the runs of a group, at each point of the axis."))
    return len(curves)
