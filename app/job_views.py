"""The views of one job, in tabs: curves, gradients, log, samples, devices, result, settings, history."""

from __future__ import annotations

import json
from collections.abc import Callable

import streamlit as st

from app.curves import curves
from app.devices_panel import devices_panel
from app.format import UNKNOWN, duration, moment
from app.gradients import gradients
from app.log_panel import log_panel
from app.page import guarded, link, plain, workspace
from app.reproduce_panel import proof_result
from app.results import result_table
from app.samples import samples
from app.spec_text import to_yaml
from app.state import as_cell
from app.table import Column, Row, table, words
from app.words import _, say
from platform_core.algorithms.registry import algorithms
from platform_core.clock import now
from platform_core.jobs import service as jobs
from platform_core.jobs.folder import log_file, metrics_file, provenance
from platform_core.jobs.store import Job

VIEW, VIEW_OF = "monitor.view", "monitor.view.of"


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
    curves(job, metrics_file(workspace(), job))


def gradient_view(job: Job) -> None:
    gradients(job, metrics_file(workspace(), job))


def log_view(job: Job) -> None:
    log_panel(job, log_file(workspace(), job), metrics_file(workspace(), job))


def sample_view(job: Job) -> None:
    samples(job, metrics_file(workspace(), job))


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
    made_of = provenance(workspace(), job)
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
