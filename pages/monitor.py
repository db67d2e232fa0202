"""Monitor: one job as it runs. State, progress, curves, log, samples, settings, result, history."""

from __future__ import annotations

import json
from collections.abc import Callable

import streamlit as st

from app import address
from app.alerts_panel import alert_strip, mendable
from app.curves import curves
from app.devices_panel import devices_panel
from app.format import UNKNOWN, duration, moment
from app.gradients import gradients
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
from app.log_panel import log_panel
from app.page import Door, empty_state, go, guarded, header, link, plain, workspace
from app.report_links import report_menu
from app.reproduce_panel import proof_result, reproduce_button
from app.results import result_table
from app.samples import samples
from app.spec_text import to_yaml
from app.stages import group_stages, stage_strip
from app.state import as_cell
from app.table import Column, Row, table, words
from app.words import _, say
from platform_core.algorithms.registry import algorithms
from platform_core.clock import now
from platform_core.errors import Problem
from platform_core.jobs import service as jobs
from platform_core.jobs.states import ACTIVE, LIVE, STARTABLE
from platform_core.jobs.store import Job

EVERY = 2.0
VIEW, VIEW_OF, FOLLOW = "monitor.view", "monitor.view.of", "monitor.follow"


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
        status(job, jobs.metrics_file(workspace(), job))
    with guarded():
        alert_strip(workspace(), job)
    with guarded():
        why(workspace(), job)
    views(job)


def head(job: Job) -> None:
    """The job's name, what it is, and what can be done with it."""
    line = plain(" · ".join([kind_title(job), job.owner, job.id]))
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


def kind_title(job: Job) -> str:
    """What kind of job it is, in the reader's language."""
    kind = algorithms().get(job.kind)
    return _(kind.title) if kind is not None else job.kind


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


def views(job: Job) -> None:
    """The material in tabs; the open one is part of the address, and only it is drawn."""
    panels: dict[str, tuple[str, Callable[[Job], None]]] = {
        "curves": (_("Curves"), curve_view),
        "gradients": (_("Gradients"), gradient_view),
        "log": (_("Log"), log_view),
        "samples": (_("Samples"), sample_view),
        "devices": (_("Devices"), devices_panel),
        "result": (_("Result"), result_view),
        "settings": (_("Settings"), settings_view),
        "history": (_("History"), history_view),
    }
    labels = {label: name for name, (label, _panel) in panels.items()}
    asked = st.query_params.get("view", first_view(job))
    asked = asked if asked in panels else "curves"
    if st.session_state.get(VIEW) not in labels or st.session_state.get(VIEW_OF) != job.id:
        st.session_state[VIEW], st.session_state[VIEW_OF] = panels[asked][0], job.id
    tabs = st.tabs(list(labels), key=VIEW, on_change=lambda: remember_view(labels))
    for tab, name in zip(tabs, panels, strict=True):
        if tab.open:
            with tab, guarded():
                panels[name][1](job)


def first_view(job: Job) -> str:
    """What to show when the address does not say: the result of an evaluation, the log of what failed, else curves."""
    kind = algorithms().get(job.kind)
    if job.state == "completed" and kind is not None and kind.role != "train":
        return "result"
    return "log" if job.state == "failed" else "curves"


def remember_view(labels: dict[str, str]) -> None:
    """Keep the open tab in the address."""
    st.query_params["view"] = labels.get(st.session_state[VIEW], "curves")


def curve_view(job: Job) -> None:
    curves(job, jobs.metrics_file(workspace(), job))


def gradient_view(job: Job) -> None:
    gradients(job, jobs.metrics_file(workspace(), job))


def log_view(job: Job) -> None:
    log_panel(job, jobs.log_file(workspace(), job), jobs.metrics_file(workspace(), job))


def sample_view(job: Job) -> None:
    samples(job, jobs.metrics_file(workspace(), job))


def result_view(job: Job) -> None:
    """The numbers it ended with and what it made."""
    metrics = job.result.get("metrics")
    if not metrics:
        st.caption(_("The result comes when the job has completed."))
        return
    proof_result(job)
    result_table(metrics, key=f"result.{job.id}")
    kind = algorithms().get(job.kind)
    if job.result.get("output") and (kind is None or kind.role != "evaluate"):
        st.caption(_("Its output can be used as `job:{id}`.", id=job.id))
        link("models", _("See it in Models"), "deployed_code", ref=f"job:{job.id}")


def settings_view(job: Job) -> None:
    """The resolved settings as they ran, and the command of the newest attempt."""
    st.code(to_yaml(job.kind, job.name, job.spec), language="yaml", height=420)
    st.caption(_("Hash of the settings: {hash}", hash=f"`{job.spec_hash}`"))
    attempts, _transitions = jobs.history(workspace(), job.id)
    if attempts:
        newest = attempts[-1]
        st.markdown(f"**{_('Command of attempt {n}', n=newest.number)}**")
        st.code(json.dumps(newest.command, ensure_ascii=False), language=None, wrap_lines=True)
        st.caption(
            plain(_("{interpreter} with {n} threads on {host}", interpreter=newest.interpreter, n=newest.threads,
                    host=newest.host))
        )  # fmt: skip
    made_of = jobs.provenance(workspace(), job)
    if made_of:
        st.markdown(f"**{_('Made of')}**", help=_("Hashes of the inputs, versions, seed and machine of this attempt."))
        st.json(made_of, expanded=1)


def history_view(job: Job) -> None:
    """Every attempt and every change of state."""
    attempts, transitions = jobs.history(workspace(), job.id)
    if attempts:
        st.markdown(f"**{_('Attempts')}**")
        columns = [
            Column("n", _("Attempt"), kind="number"),
            Column("began", _("Began"), kind="time"),
            Column("took", _("Took"), kind="time"),
            Column("pid", _("Process")),
            Column("end", _("Ended with"), kind="long"),
        ]
        rows = [
            Row(
                str(a.number),
                {
                    "n": words(str(a.number)),
                    "began": words(moment(a.launched_at)),
                    "took": words(duration((a.ended_at or now()) - a.launched_at)),
                    "pid": words(_("{pid} on {host}", pid=a.pid or UNKNOWN, host=a.host)),
                    "end": words(ending(a.outcome, a.exit_code, a.signal)),
                },
            )
            for a in reversed(attempts)
        ]
        table(columns, rows, key=f"attempts.{job.id}")
    st.markdown(f"**{_('Changes of state')}**")
    columns = [
        Column("state", _("State"), "state"),
        Column("time", _("When"), kind="time"),
        Column("actor", _("By")),
        Column("reason", _("Why"), kind="long"),
    ]
    rows = [
        Row(
            str(t.id),
            {
                "state": as_cell(t.to_state),
                "time": words(moment(t.time)),
                "actor": words(t.actor),
                "reason": words(say(t.reason) if t.reason is not None else ""),
            },
        )
        for t in reversed(transitions)
    ]
    table(columns, rows, key=f"transitions.{job.id}")


def ending(outcome: str | None, exit_code: int | None, signal: int | None) -> str:
    """How an attempt ended."""
    if outcome is None:
        return _("still running")
    if outcome == "void":
        return _("never began")
    how = _("signal {n}", n=signal) if signal else _("exit code {n}", n=exit_code) if exit_code is not None else ""
    return " · ".join(part for part in (_(outcome), how) if part)  # words: states


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
            "name": {"text": job.name, "href": f"monitor?job={job.id}", "id": job.id, "small": kind_title(job)},
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
