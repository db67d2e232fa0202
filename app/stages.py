"""Jobs that belong together as a row of stages, each with its state and a link; used for the demo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from app.format import number
from app.state import as_cell
from app.words import _
from platform_core.algorithms.registry import algorithms
from platform_core.demo import service as demo
from platform_core.jobs.store import Job
from platform_core.workspace.service import Workspace

STATIC = Path(__file__).with_name("static")

_stages = st.components.v2.component(
    "lathe_stages",
    html='<div class="root wrap"><ol></ol>\n</div>',
    css=(STATIC / "marks.css").read_text("utf-8") + (STATIC / "stages.css").read_text("utf-8"),
    js=(STATIC / "stages.js").read_text("utf-8"),
)


def group_stages(workspace: Workspace, group: str, jobs: Sequence[Job]) -> list[tuple[str, Job]]:
    """Stage name and job, in the order of the demo's recipe; other groups in the order they were made."""
    if group.startswith("demo"):
        named = demo.demo_jobs(workspace, group)
        if named:
            return list(named.items())
    return [(job.name, job) for job in jobs]


def stage_strip(stages: Sequence[tuple[str, Job]], *, key: str, here: str = "") -> str | None:
    """Draw the stages; returns the id of the one that was just pressed. `here` is the job that is looked at."""
    shown = [
        {
            "id": job.id,
            "name": stage_title(name, job),
            "title": job.name,
            "href": f"monitor?job={job.id}",
            "state": as_cell(job.state),
            "reached": job.state == "completed",
            "here": job.id == here,
            "detail": detail(job),
        }
        for name, job in stages
    ]
    chosen = _stages(key=key, data={"stages": shown, "label": _("Stages")}, on_open_change=_nothing)
    opened = chosen.open
    return opened if isinstance(opened, str) and opened in {job.id for _name, job in stages} else None


def stage_title(name: str, job: Job) -> str:
    """A stage of the demo by its kind and what it judges ("Evaluate SFT"); other jobs by their name."""
    kind, _dash, what = name.partition("-")
    if kind != job.kind or kind not in algorithms():
        return name
    judged = _(algorithms()[what].title) if what in algorithms() else _("Base") if what == "base" else what
    return f"{_(algorithms()[kind].title)} {judged}".strip()


def detail(job: Job) -> str:
    """How far a stage is: steps while it runs, how long it took once it is over."""
    if job.state == "completed" or job.step is None or not job.total_steps:
        return ""
    return f"{number(job.step)} / {number(job.total_steps)}"


def _nothing() -> None:
    """A click is read from the component's value."""
