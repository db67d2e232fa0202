"""How a person wants to see curves: the controls above them, all of them part of the page's address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import streamlit as st

from app import address
from app.curve_axes import Axis
from app.metric_words import family_title
from app.page import plain, workspace
from app.words import _
from platform_core.ids import is_id
from platform_core.jobs import service as jobs
from platform_core.jobs.store import Job

SMOOTHINGS = [f"{hundredth / 100:g}" for hundredth in range(100)]
SMOOTHING = "0.6"
OTHERS, MOST = 40, 8


@dataclass(frozen=True)
class View:
    """How a person wants to see the curves."""

    family: str = ""
    smoothing: float = 0.0
    log: bool = False
    axis: Axis = "step"
    log_x: bool = False
    clip: bool = False
    marks: bool = False

    @property
    def axis_name(self) -> str:
        """What a zoom on the x axis is remembered under."""
        return f"{self.axis}-log" if self.log_x else self.axis


def others(job: Job, row: Any) -> list[Job]:
    """Runs of the same kind that a person wants to see beside this one, chosen in `row`; kept in the address."""
    asked = [one for one in st.query_params.get("with", "").split(",") if is_id(one) and one != job.id][:MOST]
    found = jobs.list_jobs(workspace(), kinds=[job.kind], limit=OTHERS)
    found += jobs.list_jobs(workspace(), kinds=[job.kind], ids=asked) if asked else []
    there = {other.id: other for other in found if other.id != job.id and other.latest}
    missing = [one for one in asked if one not in there]
    if missing:
        st.caption(
            _("Not drawn: {ids}. Such a run is in the trash, has no point yet, or is of another kind.",
              ids=", ".join(missing))
        )  # fmt: skip
    if not there:
        return []
    chosen = address.chosen_many("with", list(there))
    chosen = row.multiselect(
        _("Overlay runs"), list(there), key="with", default=chosen, max_selections=MOST, width=420,
        format_func=lambda one: f"{there[one].name[:60]} · {one[-4:]}",
        placeholder=_("Choose runs to draw into the same charts"),
        on_change=address.keep_many, args=("with",),
    )  # fmt: skip
    return [there[one] for one in chosen]


def controls(shown: dict[str, list[str]], over: dict[str, str], marks: bool = True) -> View:
    """Families at the left, how to draw at the right; both are part of the page's address."""
    titles = {name: plain(family_title(name)) for name in shown}
    extras = {"logx": _("Log x"), "clip": _("Cut outliers")} | ({"marks": _("Marks")} if marks else {})
    first = ("marks",) if marks else ()
    with st.container(
        horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute", key="curve-controls"
    ):
        family = address.one_of(_("Metrics"), "charts", titles) if len(titles) > 1 else next(iter(titles))
        with st.container(horizontal=True, vertical_alignment="bottom", width="content", key="curve-view"):
            axis = address.one_of(_("Over"), "axis", over)
            scale = address.one_of(_("Scale"), "scale", {"linear": _("Linear"), "log": _("Logarithmic")})
            drawn = address.chosen_many("also", list(extras), first)
            also = st.pills(
                _("Draw"), list(extras), selection_mode="multi", key="also", default=drawn,
                format_func=lambda one: extras[one], on_change=address.keep_many, args=("also", first),
                help=_("Cut outliers: the y axis holds all but the outermost 2 %; triangles show what lies beyond."),
            )  # fmt: skip
            weight = address.chosen("smoothing", SMOOTHINGS, SMOOTHING)
            smoothing = st.select_slider(
                _("Smoothing"), SMOOTHINGS, key="smoothing", value=weight, width=180, on_change=address.keep,
                args=("smoothing", SMOOTHING),
                help=_("Weight of the exponential moving average; the raw line stays, pale. 0: no smoothing."),
            )  # fmt: skip
    return View(
        family, float(smoothing), scale == "log", cast("Axis", axis), "logx" in also, "clip" in also, "marks" in also
    )
