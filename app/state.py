"""What a job is and how it stands, the same everywhere: its kind; its state as icon, word and colour, since when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import streamlit as st

from app.format import ago, duration, moment
from app.words import _
from platform_core.algorithms.registry import algorithms
from platform_core.clock import now
from platform_core.jobs.states import LIVE, State
from platform_core.jobs.store import Job

Colour = Literal["gray", "blue", "orange", "green", "red"]


@dataclass(frozen=True)
class Look:
    """Icon (Material Symbols) and colour (of the theme) of a state."""

    icon: str
    colour: Colour


LOOKS: dict[State, Look] = {
    "pending": Look("draft", "gray"),
    "queued": Look("schedule", "gray"),
    "starting": Look("hourglass_top", "blue"),
    "running": Look("play_circle", "blue"),
    "pausing": Look("pause_circle", "orange"),
    "paused": Look("pause_circle", "orange"),
    "stopping": Look("stop_circle", "orange"),
    "stopped": Look("stop_circle", "gray"),
    "completed": Look("check_circle", "green"),
    "failed": Look("error", "red"),
}


def kind_title(kind: str) -> str:
    """What a kind of job is called in the session's language; its name where this version does not know it."""
    known = algorithms().get(kind)
    return _(known.title) if known is not None else kind


def word(state: State) -> str:
    """The state's name in the session's language."""
    return _(state).capitalize()  # words: states


def as_cell(state: State) -> dict[str, str]:
    """A state for the widgets that draw themselves (table, stages)."""
    look = LOOKS[state]
    return {"icon": look.icon, "colour": look.colour, "word": word(state)}


def badge(job: Job) -> None:
    """The state with the time since it changed beside it, exact on hover."""
    look = LOOKS[job.state]
    with st.container(horizontal=True, vertical_alignment="center", gap="small", width="content"):
        st.badge(
            word(job.state),
            icon=f":material/{look.icon}:",
            color=look.colour,
            help=_("Since {time}", time=moment(job.since)),
        )
        st.caption(since(job), width="content")


def since(job: Job) -> str:
    """How long a job has been in its state: "for 3 min 05 s" while that goes on, "3 min ago" once it has ended."""
    seconds = max(0.0, now() - job.since)
    if job.state in LIVE:
        return _("for {time}", time=duration(seconds))
    return ago(seconds)
