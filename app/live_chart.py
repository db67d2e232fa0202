"""A Plotly chart that keeps its node and its zoom while its data changes.

`st.plotly_chart` makes the figure part of the element's identity, so every new point mounts a new chart. A component
with a key keeps its identity; `Plotly.react` and `uirevision` do the rest. What is zoomed to is told back, so that the
page can ask for its exact points.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

Array = NDArray[Any]
HEIGHT = 240
STATIC = Path(__file__).with_name("static")

_chart = st.components.v2.component(
    "lathe_live_chart",
    html='<div class="live-chart">\n<div class="head"><span class="name"></span><span class="value"></span>'
    '<span class="span"></span><span class="note"></span></div><div class="plot"></div></div>',
    css=(STATIC / "live_chart.css").read_text("utf-8"),
    js=(STATIC / "live_chart.js").read_text("utf-8"),
    isolate_styles=False,
)


@dataclass(frozen=True)
class Line:
    """One curve: arrays of equal length. `low` and `high` make a band, `smooth` is drawn over a pale `y`.

    `colour` is a place in the theme's list of chart colours.
    """

    x: Array
    y: Array
    name: str = ""
    colour: int = 0
    low: Array | None = None
    high: Array | None = None
    smooth: Array | None = None
    dash: str = "solid"


@dataclass(frozen=True)
class Sign:
    """A thin vertical line at `x` with a glyph above and words on hover; `until` makes it a band."""

    x: float
    glyph: str
    text: str
    until: float | None = None
    quiet: bool = False


@dataclass(frozen=True)
class Zoom:
    """The part of the x axis that a person looks at; `axis` is what the axis showed."""

    axis: str
    low: float
    high: float


@dataclass(frozen=True)
class Ready:
    """A figure as it goes to the browser, and what its x axis shows: many sessions may send the same."""

    axis: str
    text: str


def ready(figure: dict[str, Any]) -> Ready:
    """A figure of `line_figure` or `heat_figure` as JSON."""
    return Ready(figure["layout"].get("meta", {}).get("axis", ""), json.dumps(figure))


def live_chart(
    title: str,
    figure: Ready | dict[str, Any],
    *,
    key: str,
    value: str = "",
    note: str = "",
    hint: str = "",
    span: str = "",
    height: int = HEIGHT,
) -> None:
    """Draw a figure of `line_figure` or `heat_figure` under its title, with the newest value at the right.

    `span` says between which values the curve runs, `note` what asks for attention.
    """
    figure = figure if isinstance(figure, Ready) else ready(figure)
    _chart(
        key=key,
        data={
            "title": title,
            "value": value,
            "span": span,
            "note": note,
            "hint": hint,
            "height": height,
            "axis": figure.axis,
            "figure": figure.text,
        },
        default={"zoom": None},
        on_zoom_change=_nothing,
        height=height,
        width="stretch",
    )


def zoom_of(key: str) -> Zoom | None:
    """What the chart with this key was zoomed to when the page last heard of it."""
    state = st.session_state.get(key)
    found = state.get("zoom") if state is not None and hasattr(state, "get") else None
    try:
        low, high = sorted(float(x) for x in found["range"])
        return Zoom(str(found["axis"]), low, high)
    except (TypeError, ValueError, KeyError):
        return None


def line_figure(
    lines: Sequence[Line],
    *,
    x_title: str,
    axis: str = "step",
    log: bool = False,
    revision: str = "",
    log_x: bool = False,
    limits: tuple[float, float] | None = None,
    signs: Sequence[Sign] = (),
    named: bool = False,
) -> dict[str, Any]:
    """Curves over one x axis; zoom is kept as long as `revision`, the axes and `limits` being given stay.

    `named` says which run a line belongs to also where there is only one.

    `limits` of y: what lies beyond is marked by a triangle at the edge. Signs are drawn by live_chart.js.
    Names are escaped, since Plotly reads tags in its texts.
    """
    named = named or len(lines) > 1
    data = [trace for line in lines for trace in _traces(line, legend=named)]
    if limits is not None:
        data += [trace for line in lines for trace in _beyond(line, limits)]
    layout: dict[str, Any] = {
        "margin": {"l": 44, "r": 12, "t": 18 if signs else 6, "b": 34},
        "hovermode": "x unified",
        "showlegend": named,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        "uirevision": f"{revision}:{axis}:{log}:{log_x}:{limits is not None}",
        "xaxis": {"title": {"text": x_title, "standoff": 6}, "showgrid": False, "nticks": 6, "hoverformat": ",.2~f"},
        "yaxis": {"type": "log", "tickformat": ".2~g", "automargin": True}
        if log
        else {"nticks": 5, "automargin": True, "exponentformat": "power"},
        "meta": {"axis": axis, "signs": [_sign(sign) for sign in signs]},
    }  # fmt: skip
    if log_x:
        layout["xaxis"]["type"] = "log"
    if limits is not None:
        layout["yaxis"]["range"] = [math.log10(end) for end in limits] if log else list(limits)
    return {"data": data, "layout": layout}


def heat_figure(x: Array, names: Sequence[str], z: Array, *, x_title: str, colour: int = 0) -> dict[str, Any]:
    """A heat map of `z` (names x steps), the first name at the bottom."""
    trace = {
        "type": "heatmap",
        "x": packed(x),
        "y": [escape(name, quote=False) for name in names],
        "z": packed(z),
        "meta": _part("heat", colour),
        "colorbar": {"thickness": 10, "nticks": 5},
        "hovertemplate": "%{y}, %{x}: %{z:.3g}<extra></extra>",
    }
    layout = {
        "margin": {"l": 90, "r": 8, "t": 6, "b": 34},
        "uirevision": "heat",
        "xaxis": {"title": {"text": x_title, "standoff": 6}, "nticks": 8, "showgrid": False},
        "yaxis": {"automargin": True, "showgrid": False},
    }
    return {"data": [trace], "layout": layout}


def packed(values: Array) -> dict[str, str]:
    """An array as Plotly reads it in JSON: base64 of 4 bytes a number, 8 where an integer needs them."""
    if values.dtype.kind in "iu":
        small = not len(values) or (int(values.min()) >= -(2**31) and int(values.max()) < 2**31)
        values = values.astype("i4" if small else "f8")
    elif values.dtype != np.dtype("f8"):
        values = values.astype("f4")
    kind = {"i4": "i4", "f8": "f8", "f4": "f4"}[values.dtype.str[1:]]
    made = {"dtype": kind, "bdata": base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()}
    return made if values.ndim == 1 else {**made, "shape": ", ".join(map(str, values.shape))}


def smoothed(values: Array, weight: float) -> Array:
    """Exponential moving average with the bias of its start removed (Kingma & Ba 2015); NaN is passed over.

    `weight` in [0, 1) is what is kept of the average at each value.
    """
    made, average, norm = np.empty(len(values)), 0.0, 0.0
    for at, value in enumerate(values.tolist()):
        if np.isfinite(value):
            average = weight * average + (1 - weight) * value
            norm = weight * norm + (1 - weight)
        made[at] = average / norm if norm else np.nan
    return made


def _traces(line: Line, legend: bool) -> list[dict[str, Any]]:
    """The Plotly traces of one curve: band, pale raw line, line."""
    x, colour, traces = packed(line.x), line.colour, []
    common = {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "name": escape(line.name, quote=False),
        "hoverinfo": "skip",
        "showlegend": False,
    }
    if line.low is not None and line.high is not None:
        bounds = {**common, "line": {"width": 0}}
        traces.append({**bounds, "y": packed(line.high.astype("f4")), "meta": _part("edge", colour)})
        traces.append({**bounds, "y": packed(line.low.astype("f4")), "meta": _part("band", colour), "fill": "tonexty"})
    if line.smooth is not None:
        raw = {"y": packed(line.y.astype("f4")), "line": {"width": 1}, "meta": _part("raw", colour)}
        traces.append({**common, **raw})
    top = line.y if line.smooth is None else line.smooth
    few = len(line.x) < 3
    main: dict[str, Any] = {
        **common,
        "y": packed(top.astype("f4")),
        "mode": "lines+markers" if few else "lines",
        "line": {"width": 1.8, "dash": line.dash},
        "meta": _part("line", colour),
        "showlegend": legend,
        "hovertemplate": "%{y:.4g}" + _range_words(line) + ("" if legend else "<extra></extra>"),
    }
    del main["hoverinfo"]
    if few:
        main["marker"] = {"size": 7}
    if line.low is not None and line.high is not None:
        main["customdata"] = packed(np.column_stack([line.low, line.high]).astype("f4"))
    return [*traces, main]


def _beyond(line: Line, limits: tuple[float, float]) -> list[dict[str, Any]]:
    """Triangles at the edge for what lies beyond it, with its true value on hover."""
    low = line.y if line.low is None else line.low
    high = line.y if line.high is None else line.high
    made = []
    for values, out, edge, symbol in (
        (high, high > limits[1], limits[1], "triangle-up"),
        (low, low < limits[0], limits[0], "triangle-down"),
    ):
        if out.any():
            made.append(
                {
                    "type": "scatter", "mode": "markers", "x": packed(line.x[out]),
                    "y": packed(np.full(int(out.sum()), edge)), "customdata": packed(values[out].astype("f4")),
                    "hovertemplate": "%{customdata:.4g}<extra></extra>", "showlegend": False, "cliponaxis": False,
                    "marker": {"size": 7, "symbol": symbol}, "meta": _part("line", line.colour),
                }
            )  # fmt: skip
    return made


def _sign(sign: Sign) -> dict[str, object]:
    text = escape(sign.text, quote=False)
    return {"x": sign.x, "until": sign.until, "glyph": sign.glyph, "text": text, "quiet": sign.quiet}


def _part(part: str, colour: int) -> dict[str, object]:
    """What live_chart.js needs to give a trace its colours."""
    return {"part": part, "colour": colour}


def _range_words(line: Line) -> str:
    return "" if line.low is None else "  (%{customdata[0]:.4g} … %{customdata[1]:.4g})"


def _nothing() -> None:
    """A zoom needs no callback: the rerun that it makes draws what is zoomed to."""
