"""The gradient of each layer over the run: what it says in words, a heat map, and its flow played step by step."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import streamlit as st

from app import address
from app.format import number
from app.live_chart import heat_figure, live_chart, packed
from app.page import guarded, plain
from app.words import _, language, say
from platform_core.jobs.looks import colour_of
from platform_core.jobs.store import Job
from platform_core.metrics.gradients import LEAST_STEPS, Norms, Verdict, judge, read_norms
from platform_core.metrics.reader import Reader

STATIC = Path(__file__).with_name("static")
COLUMNS = 240
"""Steps of the picture."""
LOW, HIGH = "gradients.from", "gradients.to"

_flow = st.components.v2.component(
    "lathe_flow",
    html='<div class="flow">\n<div class="bar"><button type="button"></button><input type="range" min="0" step="1" '
    'value="0"><span class="step"></span></div><div class="rows"></div></div>',
    css=(STATIC / "flow.css").read_text("utf-8"),
    js=(STATIC / "flow.js").read_text("utf-8"),
)


def gradients(job: Job, path: Path) -> None:
    """Verdict, heat map and flow of one job's gradient norms; reads one snapshot of its metrics. Raises Problem."""
    with Reader(path) as run:
        last = run.latest().get("grad_norm")
        low, high, logarithmic = controls(last[0] if last else 0)
        norms = read_norms(run, COLUMNS, int(job.spec.get("logging_steps") or 1), low, high)
    if norms is None or not len(norms.steps):
        st.caption(
            _("No gradient norm in these steps: widen the range.")
            if norms is not None
            else _("No gradient norm by layer yet: a training reports them from its first step on.")
        )
        return
    with guarded():
        verdicts(norms)
    with guarded():
        heat_map(job, norms, logarithmic)
    with guarded():
        flow(job, norms)


def controls(last: int) -> tuple[int | None, int | None, bool]:
    """The range of steps and the scale of the colours; all of it is part of the address."""
    for name in (LOW, HIGH):
        asked = st.query_params.get(name, "")
        if asked != st.session_state.get(f"seen.{name}"):
            st.session_state[f"seen.{name}"] = asked
            st.session_state[name] = int(asked) if asked.isdecimal() and len(asked) < 12 else None
    with st.container(horizontal=True, vertical_alignment="bottom", key="gradient-controls"):
        low = st.number_input(
            _("From step"), min_value=1, step=1, key=LOW, placeholder="1", width=130, on_change=keep, args=(LOW,)
        )
        high = st.number_input(
            _("To step"), min_value=1, step=1, key=HIGH, placeholder=number(last), width=130, on_change=keep,
            args=(HIGH,), help=_("Empty: to the newest step."),
        )  # fmt: skip
        scale = address.one_of(_("Colours"), "colours", {"log": _("Logarithmic"), "linear": _("Linear")})
    return low, high, scale == "log"


def keep(name: str) -> None:
    """Write an end of the range into the address."""
    value = st.session_state[name]
    if value is None:
        st.query_params.pop(name, None)
    else:
        st.query_params[name] = str(value)
    st.session_state[f"seen.{name}"] = st.query_params.get(name, "")


def verdicts(norms: Norms) -> None:
    """What the norms say, each with its rule; one line when nothing is wrong."""
    found = judge(norms)
    for verdict in found:
        st.warning(plain(say(verdict.says)), icon=f":material/{icon(verdict)}:")
        st.caption(plain(_("Rule: {rule}", rule=say(verdict.rule))))
    if not found and len(norms.steps) < LEAST_STEPS:
        st.caption(_("Too few steps to judge: {n} of at least {least}.", n=len(norms.steps), least=LEAST_STEPS))
    elif not found:
        st.markdown(
            f":material/check_circle: {_('The gradient reaches all layers evenly enough.')}",
            help=_(
                "Looked for: not finite or exploding norms, layers without gradient, norms that vanish towards the "
                "first blocks, blocks far apart."
            ),
        )


def icon(verdict: Verdict) -> str:
    """The picture of a kind of trouble."""
    known = {"exploding": "trending_up", "vanishing": "trending_down", "dead": "block"}
    return known.get(verdict.kind, "stacked_bar_chart")


def heat_map(job: Job, norms: Norms, logarithmic: bool) -> None:
    """Layer by step; on the logarithmic scale a zero shows no colour."""
    z = norms.values.T
    if logarithmic:
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where(z > 0, np.log10(z), np.nan).astype("f4")
    figure = heat_figure(norms.steps, norms.names, z, x_title=_("step"), colour=colour_of(job.id))
    trace = figure["data"][0]
    trace["customdata"] = packed(norms.values.T)
    trace["hovertemplate"] = "%{y}, %{x}: %{customdata:.3g}<extra></extra>"
    if logarithmic and np.isfinite(z).any():
        powers = range(math.floor(float(np.nanmin(z))), math.ceil(float(np.nanmax(z))) + 1)
        trace["colorbar"] |= {"tickvals": list(powers), "ticktext": [f"1e{p}" for p in powers]}
    live_chart(
        _("Norm by layer, before clipping"),
        figure,
        key=f"chart.{job.id}.layers",
        hint=_("A layer that turns bright alone is where the training may break."),
        height=max(240, min(640, 80 + 22 * len(norms.names))),
    )


def flow(job: Job, norms: Norms) -> None:
    """The norms of one step as bars on a logarithmic scale, the first layer at the bottom; plays through the steps."""
    st.markdown(f"**{_('Flow through the layers')}**", help=_("From the last layer (top) back to the first (bottom)."))
    _flow(
        key=f"flow.{job.id}",
        data={
            "steps": packed(norms.steps),
            "values": packed(np.ascontiguousarray(norms.values).reshape(-1)),
            "names": norms.names,
            "step": _("step"),
            "play": _("Play through the steps"),
            "pause": _("Pause"),
            "lang": language(),
        },
    )
