"""An alert as a card: level, what, a small picture, why it matters, the fix as changed settings, what can be done."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st

from app.alert_words import COLOURS, ICONS, level_word, rule_word, value_words
from app.format import ago, moment, number
from app.job_actions import trains
from app.live_chart import Line, line_figure, live_chart
from app.metric_words import title as metric_title
from app.page import as_problem, go, guarded, link, plain, trouble
from app.words import _, say
from platform_core.alerts import service as alerts
from platform_core.alerts.store import Alert
from platform_core.algorithms.registry import algorithm, algorithms
from platform_core.clock import now
from platform_core.errors import Problem
from platform_core.jobs import service as jobs
from platform_core.jobs import supervision
from platform_core.jobs.spec import setting_of
from platform_core.jobs.states import ENDED
from platform_core.jobs.store import Job
from platform_core.workspace.service import Workspace

PICTURE = 170
CURVE, LIMIT = 0, 1
"""Places in the list of chart colours."""
MUTES: dict[str, float | None] = {"hour": 3600.0, "day": 86_400.0, "ever": None}


def alert_strip(workspace: Workspace, job: Job) -> None:
    """What is wrong with a job, at the top of its page: the worst alert in full, the others folded."""
    came_from(workspace, job)
    found = alerts.of_job(workspace, job.id)
    unseen = [alert for alert in found if alert.seen_at is None]
    for alert in unseen[:1]:
        alert_card(workspace, alert, job)
    for alert in [*unseen[1:], *(a for a in found if a.seen_at is not None)]:
        label = f"{level_word(alert.level)}: {plain(say(alert.what))}"
        opened = st.expander(label, icon=ICONS[alert.level], key=f"alert-more-{alert.id}", on_change="rerun")
        if opened.open:
            with opened:
                alert_card(workspace, alert, job)


def mendable(workspace: Workspace, job: Job) -> bool:
    """Whether the strip offers to try again with other settings, so that the same ones are not what comes first."""
    return any(a.made is None and alerts.changes(job, a.fix) for a in alerts.of_job(workspace, job.id))


def came_from(workspace: Workspace, job: Job) -> None:
    """The way back to the job whose alert led to this one."""
    source = alerts.origin(workspace, job.id)
    if source is None:
        return
    try:
        old = jobs.get(workspace, source)
    except Problem:
        return
    link("monitor", _("A new try of “{name}” with a fix", name=old.name), "healing", job=old.id)


def alert_card(workspace: Workspace, alert: Alert, job: Job | None) -> None:
    """One alert with all that can be done about it; `job` is None for one about a machine."""
    with st.container(border=True, key=f"alert-{alert.id}", gap="small"):
        pictured = bool(alert.evidence.steps or alert.evidence.lines)
        with st.grid(2 if pictured else 1, min_column_width=300, gap=("small", "medium")):
            with st.container(gap="xsmall"):
                head(alert)
                st.markdown(f"**{plain(say(alert.what))}**")
                if alert.why is not None:
                    st.markdown(plain(say(alert.why)))
                if alert.fix is not None:
                    with guarded():
                        fix(alert, job)
            if pictured:
                with st.container(gap=None), guarded():
                    picture(alert)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"), guarded():
            actions(workspace, alert, job)


def head(alert: Alert) -> None:
    """Level, since when, at which step."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(level_word(alert.level), icon=ICONS[alert.level], color=COLOURS[alert.level])
        facts = [ago(max(0.0, now() - alert.since))]
        if alert.step is not None:
            facts.append(_("step {n}", n=number(alert.step)))
        if alert.ended_at is not None:
            facts.append(_("over since {time}", time=moment(alert.ended_at)))
        if alert.muted:
            facts.append(_("muted"))
        st.caption(
            plain(" · ".join(facts)),
            help=plain(_("{rule}, since {time}", rule=rule_word(alert.rule), time=moment(alert.since))),
        )


def picture(alert: Alert) -> None:
    """The piece of the curve with the limit that was crossed, or the lines of the log."""
    seen = alert.evidence
    if seen.steps:
        steps = np.array(seen.steps, "i8")
        values = np.array([np.nan if v is None else v for v in seen.values], "f8")
        name = metric_title(seen.metric)
        lines = [Line(steps, values, name, CURVE)]
        if seen.limit is not None:
            lines.append(Line(steps, np.full(len(steps), float(seen.limit)), _("limit"), LIMIT))
        bad = int((~np.isfinite(values)).sum())
        live_chart(
            name,
            line_figure(lines, x_title=_("step"), revision=f"alert-{alert.id}"),
            key=f"alert-chart-{alert.id}",
            value=number(float(values[-1])),
            note=_("{n} not finite", n=number(bad)) if bad else "",
            height=PICTURE,
        )
    if seen.lines:
        st.code(
            "\n".join(seen.lines), language=None, wrap_lines=True, height=PICTURE if len(seen.lines) > 5 else "content"
        )


def fix(alert: Alert, job: Job | None) -> None:
    """What helps, and which settings change from what to what."""
    if alert.fix is None:
        return
    st.markdown(f":material/healing: {plain(say(alert.fix.says))}")
    if job is None or job.kind not in algorithms():
        return
    fields = algorithm(job.kind).spec.model_fields
    told = []
    for name, old, new in alerts.changes(job, alert.fix):
        label = plain(_(setting_of(fields[name], name).title))  # words: settings
        told.append(f"{label}: ~~{plain(value_words(old))}~~ → **{plain(value_words(new))}**")
    if told:
        st.markdown("  \n".join(told))


def actions(workspace: Workspace, alert: Alert, job: Job | None) -> None:
    """Try again with the fix, look at what was tried, mute, note as seen."""
    if job is not None:
        made = next(iter(jobs.list_jobs(workspace, ids=[alert.made])), None) if alert.made is not None else None
        if made is not None:
            link("monitor", _("Tried again: {name}", name=made.name), "arrow_forward", job=made.id)
        elif job.kind in algorithms() and alerts.changes(job, alert.fix):
            retry_button(workspace, alert, job)
    mute_button(workspace, alert)
    asks = alert.seen_at is None and alert.ended_at is None
    if asks and st.button(
        _("Seen"),
        icon=":material/visibility:",
        key=f"alert.seen.{alert.id}",
        help=_("It stays here, folded, and is counted no more."),
    ):
        act(lambda: alerts.see(workspace, [alert.id]))


def retry_button(workspace: Workspace, alert: Alert, job: Job) -> None:
    """A new job with the fix in one press; while the old one runs, after a sentence that says that it is stopped."""
    label, icon, key = _("Retry with the fix"), ":material/healing:", f"alert.retry.{alert.id}"
    if job.state in ENDED or job.state in ("pending", "paused"):
        pressed = st.button(
            label, icon=icon, key=key, type="primary",
            help=_("A new job with the changed settings starts from the beginning; this one stays as it is."),
        )  # fmt: skip
    else:
        with st.popover(label, icon=icon, key=f"{key}.ask", type="primary", on_change="rerun") as opened:
            if not opened.open:
                return
            st.markdown(plain(_("“{name}” still runs and is stopped first.", name=job.name)))
            st.caption(
                _("It keeps its checkpoint and can go on later. The new job starts afresh, with the new settings.")
                if trains(job)
                else _("The new job starts afresh, with the new settings.")
            )
            pressed = st.button(_("Stop this one, start the new one"), icon=icon, key=key, type="primary")
    if pressed:
        try:
            made = alerts.retry(workspace, alert.id)
            supervision.ensure(workspace.home)
        except Exception as error:
            trouble(as_problem(error))
            return
        go("monitor", job=made.id)


def mute_button(workspace: Workspace, alert: Alert) -> None:
    """Silence this rule for this job or everywhere."""
    with st.popover(
        _("Mute"), icon=":material/notifications_off:", key=f"alert.mute.{alert.id}", on_change="rerun"
    ) as opened:
        if not opened.open:
            return
        words = {"hour": _("For an hour"), "day": _("For a day"), "ever": _("For ever")}
        scopes = (
            {"job": _("This job"), "all": _("Everywhere")} if alert.job_id is not None else {"all": _("Everywhere")}
        )
        scope = st.segmented_control(
            _("Where"), list(scopes), format_func=lambda n: scopes[n], default=next(iter(scopes)), required=True,
            key=f"alert.mute.where.{alert.id}",
        )  # fmt: skip
        st.caption(
            _("Such alerts are still kept in Alerts; they are not shown, counted or sent. Alerts takes a mute back.")
        )
        for name, seconds in MUTES.items():
            if st.button(words[name], key=f"alert.mute.{name}.{alert.id}", width="stretch"):
                whose = alert.job_id if scope == "job" else None
                act(
                    lambda whose=whose, seconds=seconds: alerts.mute(
                        workspace, alert.rule, job_id=whose, seconds=seconds
                    )
                )


def act(do: Callable[[], object]) -> None:
    """Do it and draw the page again; what is refused is said."""
    try:
        do()
    except Exception as error:
        trouble(as_problem(error))
        return
    st.rerun()


def open_alerts(found: Sequence[Alert]) -> None:
    """Alerts that ask for somebody, one line each, for a page about everything."""
    for alert in found:
        with st.container(gap=None):
            about = alert.job_name or alert.host or alert.rule
            label = f"{level_word(alert.level)}: {about}"
            icon = ICONS[alert.level].removeprefix(":material/").removesuffix(":")
            if alert.job_id is not None:
                link("monitor", label, icon, job=alert.job_id)
            else:
                link("alerts", label, icon, alert=str(alert.id))
            st.caption(plain(say(alert.what)))
