"""Charts of a comparison: any setting against any metric, and the means of groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from app.compare_tables import group_text, setting_text, spread_text
from app.words import say
from platform_core.evaluation.scores import Score
from platform_core.jobs.compare import ABSENT, Group, Run, SettingRow, setting_title
from platform_core.jobs.looks import looks

LABEL = 24
MOST_TICKS = 8
BESIDE = 0.2
"""Room for the names of the outermost points, in widths of what lies between them."""


def is_number(value: object) -> bool:
    """Whether a setting's value has a place on an axis of numbers."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def shortened(name: str) -> str:
    """A long name without its middle, since the names of a sweep differ at their ends."""
    return name if len(name) <= LABEL else f"{name[: LABEL - 14]}…{name[-13:]}"


def scatter_figure(runs: Sequence[Run], setting: SettingRow, metric: str) -> dict[str, Any]:
    """A labelled point for each run that has both; a log axis for settings such as 2e-5, categories for words."""
    points = [
        (run, value, y)
        for run, value in zip(runs, setting.values, strict=True)
        if value is not ABSENT and (y := run.value(metric)) is not None
    ]
    numbers = bool(points) and all(is_number(value) for _run, value, _y in points)
    traces, look = [], looks([run.job.id for run in runs])
    for run, value, y in points:
        score, name = run.scores[metric], run.job.name
        trace = {
            "type": "scatter",
            "mode": "markers+text",
            "x": [value if numbers else escape(setting_text(setting.name, value), quote=False)],
            "y": [y],
            "text": [escape(shortened(name), quote=False)],
            "textposition": "top center",
            "textfont": {"size": 11},
            "cliponaxis": False,
            "name": escape(name[:80], quote=False),
            "marker": {"size": 10},
            "meta": {"part": "line", "colour": look[run.job.id][0]},
            "customdata": [escape(setting_text(setting.name, value), quote=False)],
            "hovertemplate": f"%{{y:{number_format(metric)}}} · %{{customdata}}",
        }
        if score.low is not None and score.high is not None:
            trace["error_y"] = {
                "type": "data", "array": [score.high - y], "arrayminus": [y - score.low], "thickness": 1.2, "width": 3,
            }  # fmt: skip
        traces.append(trace)
    log = numbers and setting.setting.scientific and all(value > 0 for _run, value, _y in points)
    x_axis: dict[str, Any] = {"type": "log" if log else "linear" if numbers else "category"}
    if numbers:
        there = sorted({value for _run, value, _y in points})
        if log or len(there) <= MOST_TICKS:
            x_axis |= {"tickvals": there, "ticktext": [setting_text(setting.name, value) for value in there]}
        ends = [math.log10(end) if log else end for end in (there[0], there[-1])]
        beside = (ends[1] - ends[0]) * BESIDE or 1.0
        x_axis |= {"range": [ends[0] - beside, ends[1] + beside], "zeroline": False}
    else:
        x_axis["range"] = [-0.6, len({setting_text(setting.name, v) for _run, v, _y in points}) - 0.4]
    return framed(traces, setting_title(setting.setting, say), x_axis, setting.name, metric)


def group_figure(by: str, title: str, groups: Sequence[Group], metric: str) -> dict[str, Any]:
    """The runs of each group as pale points, their mean with one standard deviation."""
    labels = [escape(group_text(by, group.label)[:40], quote=False) for group in groups]
    pairs = [(label, run) for label, group in zip(labels, groups, strict=True) for run in group.runs]
    points = [(label, run) for label, run in pairs if run.value(metric) is not None]
    single = {
        "type": "scatter",
        "mode": "markers",
        "x": [label for label, _run in points],
        "y": [run.value(metric) for _label, run in points],
        "text": [escape(run.job.name[:80], quote=False) for _label, run in points],
        "marker": {"size": 7, "opacity": 0.45},
        "meta": {"part": "line", "colour": 0},
        "hovertemplate": f"%{{y:{number_format(metric)}}}<extra>%{{text}}</extra>",
    }  # fmt: skip
    there = [(label, group) for label, group in zip(labels, groups, strict=True) if group.mean is not None]
    means = {
        "type": "scatter",
        "mode": "markers",
        "x": [label for label, _g in there],
        "y": [group.mean for _l, group in there],
        "error_y": {"type": "data", "array": [group.sd or 0 for _l, group in there], "thickness": 1.6, "width": 6},
        "text": [f"n {group.n}, ± {spread_text(metric, group.sd)}" for _l, group in there],
        "marker": {"size": 10, "symbol": "diamond"},
        "meta": {"part": "line", "colour": 1},
        "hovertemplate": f"%{{y:{number_format(metric)}}} (%{{text}})<extra></extra>",
    }
    axis = {"type": "category", "range": [-0.6, len(there) - 0.4]}
    return framed([single, means], title, axis, by, metric)


def number_format(metric: str) -> str:
    """How d3 writes a metric: a share in per cent, as the tables do."""
    return ".4~p" if Score(metric, None).is_share else ".4~g"


def framed(traces: list[dict[str, Any]], x_title: str, x_axis: dict[str, Any], x: str, metric: str) -> dict[str, Any]:
    """Traces of points with their axes; `x`: the setting or group that lies along the first."""
    title = {"text": escape(x_title, quote=False), "standoff": 6}
    layout = {
        "margin": {"l": 44, "r": 24, "t": 22, "b": 40},
        "hovermode": "closest",
        "showlegend": False,
        "uirevision": f"{x}:{metric}",
        "xaxis": {"title": title, "showgrid": False, "automargin": True, **x_axis},
        "yaxis": {"nticks": 6, "automargin": True, "exponentformat": "power"}
        | ({"tickformat": number_format(metric)} if Score(metric, None).is_share else {}),
        "meta": {"axis": "points"},
    }  # fmt: skip
    return {"data": traces, "layout": layout}
