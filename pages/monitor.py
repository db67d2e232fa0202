"""Monitor: one job as it runs. State, progress, curves, log, samples, settings, result, history."""

from __future__ import annotations

import streamlit as st

from app import address
from app.alerts_panel import alert_strip, mendable
from app.job_actions import (
    clone_button,
    delete_button,
    evaluate_button,
    pause_button,
    refusals,
    start_button,
    stop_button,
    undo_bar,
    unknown_job,
)
from app.job_marks import mark_line, marks_undo_bar, note
from app.job_status import status, why
from app.job_views import views
from app.page import Door, empty_state, go, guarded, header, link, plain, workspace
from app.report_links import report_menu
from app.reproduce_panel import reproduce_button
from app.stages import group_stages, stage_strip
from app.state import as_cell, kind_title
from app.table import Column, Row, table
from app.words import _
from platform_core.errors import Problem
from platform_core.jobs import service as jobs
from platform_core.jobs.folder import metrics_file
from platform_core.jobs.states import ACTIVE, LIVE, STARTABLE
from platform_core.jobs.store import Job

EVERY = 2.0
FOLLOW = "monitor.follow"


def page(job_id: str, live: bool) -> None:
    """Everything about one job; drawn again every two seconds while it, or a job of its group, lives."""
    job = jobs.get(workspace(), job_id)
    group = jobs.list_jobs(workspace(), group=job.group_name, oldest_first=True) if job.group_name else []
    if "follow" in st.query_params:
        follow(job, group, live)
    if lives(job, group) != live:
        st.rerun()
    head(job)
    refusals()
    marks_undo_bar(workspace())
    note(job)
    with guarded():
        group_strip(job, group)
    with guarded():
        status(job, metrics_file(workspace(), job))
    with guarded():
        alert_strip(workspace(), job)
    with guarded():
        why(workspace(), job)
    views(job)


def head(job: Job) -> None:
    """The job's name, what it is, and what can be done with it."""
    line = plain(" · ".join([kind_title(job.kind), job.owner, job.id]))
    with header(job.name, line, lambda: mark_line(workspace(), job)):
        place = workspace()
        if job.state in STARTABLE:
            start_button(place, [job], start_label(job), primary=not mendable(place, job))
        elif job.state != "completed":
            pause_button(place, [job])
            stop_button(place, [job])
        else:
            evaluate_button(job)
        clone_button([job])
        report_menu([job])
        reproduce_button(place, job)
        if job.state not in ACTIVE:
            delete_button(place, [job], leave=True)


def start_label(job: Job) -> str:
    """What Start does to a job that waits for it."""
    if job.state == "paused":
        return _("Go on")
    return _("Start") if job.attempt == 0 else _("Start again")


def lives(job: Job, group: list[Job]) -> bool:
    """Whether anything on the page will change by itself."""
    return job.state in LIVE or any(other.state in LIVE for other in group)


def follow(job: Job, group: list[Job], live: bool) -> None:
    """Go on to the stage that runs once this one is completed, and to the demo's result after the last one."""
    running = next((other for other in group if other.state in ("running", "stopping")), None)
    if job.state == "completed" and running is not None:
        go("monitor", job=running.id, follow="1")
    if live and is_finished_demo(job, group):
        go("home")


def is_finished_demo(job: Job, group: list[Job]) -> bool:
    """Whether all stages of the demo that the job belongs to are completed."""
    return str(job.group_name).startswith("demo") and all(other.state == "completed" for other in group)


def remember_follow() -> None:
    """Keep in the address whether the page goes on by itself."""
    if st.session_state[FOLLOW]:
        st.query_params["follow"] = "1"
    else:
        st.query_params.pop("follow", None)


def group_strip(job: Job, group: list[Job]) -> None:
    """All stages of the group that the job belongs to, and the way to the result once they are completed."""
    if len(group) < 2 or job.group_name is None:
        return
    with st.container(border=True, key="strip"):
        opened = stage_strip(group_stages(workspace(), job.group_name, group), key="stages", here=job.id)
        if opened is not None:
            go("monitor", **{**address.others("follow"), "job": opened})
        if lives(job, group):
            st.session_state[FOLLOW] = "follow" in st.query_params
            st.toggle(_("Go on to the next stage by itself"), key=FOLLOW, on_change=remember_follow)
        elif is_finished_demo(job, group):
            link("home", _("The demo is finished: see its result and try a sum"), "emoji_events")


def choose() -> None:
    """Without a job in the address: the newest ones, or the ways to have one."""
    header(_("Monitor"), _("One job as it runs: curves, log, samples, result."))
    undo_bar(workspace())
    newest = jobs.list_jobs(workspace(), limit=12)
    if not newest:
        empty_state(
            _("No job to watch yet"),
            _("Start one, and its curves move here."),
            [Door(_("New job"), _("Choose what to do and fill a short form."), "add_circle", "new-job", primary=True)],
        )
        return
    columns = [Column("name", _("Job"), "link", "name"), Column("state", _("State"), "state")]
    rows = [
        Row(job.id, {
            "name": {"text": job.name, "href": f"monitor?job={job.id}", "id": job.id, "small": kind_title(job.kind)},
            "state": as_cell(job.state),
        })
        for job in newest
    ]  # fmt: skip
    opened = table(columns, rows, key="monitor.newest")
    if opened:
        go("monitor", job=opened)


def watch(asked: str) -> None:
    """The job that the address asks for."""
    try:
        job = jobs.get(workspace(), asked)
        if job.deleted_at is not None:
            raise Problem("“{name}” is in the trash: restore it to see it.", name=job.name)
    except Problem as problem:
        header(_("Monitor"), _("One job as it runs: curves, log, samples, result."))
        unknown_job(problem)
        return
    group = jobs.list_jobs(workspace(), group=job.group_name) if job.group_name else []
    live = lives(job, group)
    st.fragment(page, run_every=EVERY if live else None, key="monitor")(job.id, live)


wanted = st.query_params.get("job")
if wanted:
    watch(wanted)
else:
    choose()
