"""Alerts: all that the failure doctor ever found, what still asks for somebody, and what is muted."""

from __future__ import annotations

import streamlit as st

from app import address
from app.alert_words import as_cell, level_word, rule_word
from app.alerts_panel import alert_card
from app.format import ago, moment
from app.page import as_problem, go, guarded, header, link, plain, trouble, workspace
from app.table import Column, Row, table, words
from app.words import _, say
from platform_core.alerts import service as alerts
from platform_core.alerts.store import Alert, Mute
from platform_core.clock import now
from platform_core.doctor.diagnosis import LEVELS
from platform_core.errors import Problem
from platform_core.jobs import service as jobs

EVERY = 5.0
SHOWN = 200
STATES = ("open", "over", "all")


def filters() -> tuple[str, str]:
    """Open or over, and which level, both kept in the address."""
    titles = {"open": _("Open"), "over": _("Over"), "all": _("All")}
    levels = {"any": _("All levels"), **{level: level_word(level) for level in reversed(LEVELS)}}
    with st.container(horizontal=True, vertical_alignment="bottom", key="alert-filters"):
        return address.one_of(_("State"), "state", titles), address.one_of(_("Level"), "level", levels)


def found(state: str, level: str) -> list[Alert]:
    """The alerts that the filters leave, newest first."""
    return alerts.list_alerts(
        workspace(),
        job_id=st.query_params.get("job"),
        levels=None if level == "any" else [level],
        open_only=state == "open",
        ended_only=state == "over",
        limit=SHOWN,
    )


def listed(state: str, level: str) -> None:
    """The table of alerts; drawn again every few seconds."""
    rows = found(state, level)
    only_job()
    if not rows:
        nothing(state)
        return
    columns = [
        Column("level", _("Level"), "state"),
        Column("what", _("What"), "link", "name"),
        Column("job", _("Job"), kind="long"),
        Column("since", _("Since"), kind="time"),
        Column("state", _("State")),
    ]
    opened = table(
        columns,
        [
            Row(
                str(a.id),
                {
                    "level": as_cell(a.level),
                    "what": {
                        "text": say(a.what),
                        "href": f"alerts?alert={a.id}",
                        "id": str(a.id),
                        "small": rule_word(a.rule),
                    },
                    "job": words(a.job_name or a.host or "", small="" if a.job_id is None else a.job_id),
                    "since": words(ago(max(0.0, now() - a.since)), exact=moment(a.since)),
                    "state": words(standing(a)),
                },
            )
            for a in rows
        ],
        key="alerts.table",
    )
    if opened:
        go("alerts", **{**address.others("alert"), "alert": opened})
    if len(rows) == SHOWN:
        st.caption(_("The newest {n} are shown.", n=SHOWN))


def only_job() -> None:
    """Which job the list is about, and the way to all."""
    wanted = st.query_params.get("job")
    if wanted is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        try:
            st.caption(plain(_("Only of “{name}”", name=jobs.get(workspace(), wanted).name)))
        except Problem as problem:
            trouble(problem)
        link("alerts", _("Of all jobs"), "close")


def standing(alert: Alert) -> str:
    """How it stands with an alert, in words."""
    if alert.ended_at is not None:
        return _("over for {time}", time=ago(max(0.0, now() - alert.ended_at)))
    parts = [_("open")]
    if alert.muted:
        parts.append(_("muted"))
    elif alert.seen_at is not None:
        parts.append(_("seen"))
    return ", ".join(parts)


def nothing(state: str) -> None:
    """Where no alert is left by the filters."""
    with st.container(key="empty-state", gap="small"):
        if state == "open":
            st.subheader(_("Nothing wrong"), anchor=False)
            st.caption(
                _(
                    "Every running job is looked at every few seconds: its numbers, its log, its processes and this "
                    "machine. What looks wrong is said here, with what helps."
                )
            )
        else:
            st.subheader(_("Nothing here"), anchor=False)
            st.caption(_("No alert fits these filters."))
    with st.container(horizontal=True):
        link("jobs", _("See the jobs"), "list_alt")
        link("settings", _("Where alerts are sent"), "settings")


def one(asked: str) -> None:
    """The alert that the address asks for, in full."""
    try:
        alert = alerts.get(workspace(), int(asked) if asked.isdecimal() else 0)
        job = None if alert.job_id is None else jobs.get(workspace(), alert.job_id)
    except Problem as problem:
        trouble(problem)
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if job is not None:
            link("monitor", job.name, "monitoring", job=job.id)
        link("alerts", _("All alerts"), "arrow_back", **address.others("alert"))
    alert_card(workspace(), alert, job)


def muted() -> None:
    """What is silent, by whom and until when, with the way back."""
    mutes = alerts.list_mutes(workspace())
    if not mutes:
        return
    st.subheader(_("Muted"), anchor=False)
    for mute in mutes:
        with st.container(horizontal=True, vertical_alignment="center", border=True, key=f"mute-{mute.id}"):
            st.markdown(f":material/notifications_off: {plain(silence(mute))}", width="stretch")
            if st.button(_("Unmute"), key=f"unmute.{mute.id}", icon=":material/notifications:"):
                try:
                    alerts.unmute(workspace(), [mute.id])
                except Problem as problem:
                    trouble(as_problem(problem))
                    return
                st.rerun()


def silence(mute: Mute) -> str:
    """A mute in one sentence."""
    where = _("everywhere") if mute.job_id is None else _("for “{name}”", name=mute.job_name)
    until = _("for ever") if mute.until is None else _("until {time}", time=moment(mute.until))
    return _(
        "{rule}: {where}, {until}, by {actor}", rule=rule_word(mute.rule), where=where, until=until, actor=mute.actor
    )


def page() -> None:
    with header(_("Alerts"), _("What looks wrong with jobs and machines, why it matters, and what helps.")):
        waiting = [a.id for a in alerts.asking(workspace())]
        if waiting and st.button(_("All seen"), icon=":material/visibility:", key="alerts.seen"):
            alerts.see(workspace(), waiting)
            st.rerun()
    asked = st.query_params.get("alert")
    if asked is not None:
        with guarded():
            one(asked)
        return
    state, level = filters()
    st.fragment(listed, run_every=EVERY, key="alerts.listed")(state, level)
    with guarded():
        muted()


page()
