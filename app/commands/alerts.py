"""`lathe alerts …`: what the failure doctor found, muting it, and testing where it is sent."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from app.commands.options import Commands, verb, workspace
from app.commands.printing import ago, paint, plain, show, show_json, significant, table
from platform_core.alerts import notify, service
from platform_core.alerts.store import Alert
from platform_core.clock import now
from platform_core.doctor.diagnosis import LEVELS
from platform_core.errors import Problem
from platform_core.jobs import service as jobs
from platform_core.options import service as options

COLOURS = {"info": 34, "warning": 33, "critical": 31}
HOUR = 3600.0


@click.group(
    "alerts", cls=Commands, help="List, look at and mute what the failure doctor found; test where it is sent."
)
def command() -> None:
    """Alerts are numbered; `lathe jobs fix ID` tries a job again with the fix of its worst one."""


@command.command("list")
@click.option("--job", "job_id", metavar="ID", help="Only of this job.")
@click.option("--level", "levels", multiple=True, type=click.Choice(LEVELS), help="Only of this level (repeatable).")
@click.option("--rule", "rules", multiple=True, metavar="RULE", help="Only of this rule (repeatable).")
@click.option("--all", "everything", is_flag=True, help="Also those that are over.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most this many.")
@verb
def list_(
    job_id: str | None, levels: tuple[str, ...], rules: tuple[str, ...], everything: bool, limit: int, as_json: bool
) -> None:
    """List alerts, newest first."""
    place = workspace()
    found = service.list_alerts(
        place,
        job_id=None if job_id is None else jobs.get(place, job_id).id,
        levels=levels or None,
        rules=rules or None,
        open_only=not everything,
        limit=limit,
    )
    if as_json:
        show_json([alert_json(a) for a in found])
    elif not found:
        show("Nothing wrong." if not everything else "No alert fits.")
    else:
        headers = ["NUMBER", "LEVEL", "RULE", "JOB", "SINCE", "STATE", "WHAT"]
        for line in table(headers, [_row(a) for a in found]):
            show(line)


def _row(alert: Alert) -> list[object]:
    about = alert.job_name or alert.host or ""
    return [alert.id, alert.level, alert.rule, about, ago(now() - alert.since), _state(alert), str(alert.what)]


def _state(alert: Alert) -> str:
    if alert.ended_at is not None:
        return "over"
    return "muted" if alert.muted else "seen" if alert.seen_at is not None else "open"


def alert_json(alert: Alert) -> dict[str, Any]:
    """An alert as the command line's JSON gives it; times in seconds since the epoch."""
    return {
        **notify.payload(alert),
        "state": _state(alert),
        "last_seen": alert.last_seen,
        "ended_at": alert.ended_at,
        "sent_at": alert.sent_at,
        "evidence": asdict(alert.evidence),
        "made": alert.made,
    }


@command.command("show")
@click.argument("number", type=int)
@verb
def show_(number: int, as_json: bool) -> None:
    """Show one alert: what, why it matters, what was seen, what helps."""
    place = workspace()
    alert = service.get(place, number)
    if as_json:
        show_json(alert_json(alert))
        return
    show(f"{paint(alert.level, COLOURS[alert.level])}  {plain(alert.what)}")
    if alert.why is not None:
        show("  " + plain(alert.why))
    about = f"{plain(alert.job_name)} ({alert.job_id}), attempt {alert.attempt}" if alert.job_id else plain(alert.host)
    show(f"  {about}, rule {plain(alert.rule)}, {ago(now() - alert.since)}, {_state(alert)}")
    seen = alert.evidence
    for step, value in list(zip(seen.steps, seen.values, strict=False))[-8:]:
        show(f"  {plain(seen.metric)} at step {step}: {'NaN' if value is None else significant(value)}")
    if seen.limit is not None:
        show(f"  limit: {significant(seen.limit)}")
    for line in seen.lines:
        show("  | " + plain(line, keep="\t"))
    if alert.fix is not None:
        show(f"What helps: {plain(alert.fix.says)}")
        job = None if alert.job_id is None else jobs.get(place, alert.job_id)
        for name, old, new in [] if job is None else service.changes(job, alert.fix):
            show(f"  {name}: {plain(service.shown(old))} → {plain(service.shown(new))}")
        if job is not None and service.changes(job, alert.fix):
            show(f"Try again with it: lathe jobs fix {job.id}")


@command.command("mute")
@click.argument("rule")
@click.option("--job", "job_id", metavar="ID", help="Only for this job. [default: everywhere]")
@click.option("--hours", type=click.FloatRange(min=0, min_open=True), help="For so long. [default: for ever]")
@verb
def mute(rule: str, job_id: str | None, hours: float | None, as_json: bool) -> None:
    """Silence a rule: what it finds is still kept, but not shown, counted or sent."""
    service.mute(workspace(), rule, job_id=job_id, seconds=None if hours is None else hours * HOUR)
    _show_mutes(as_json)


@command.command("unmute")
@click.argument("rule")
@click.option("--job", "job_id", metavar="ID", help="Only the mute for this job. [default: all of the rule]")
@verb
def unmute(rule: str, job_id: str | None, as_json: bool) -> None:
    """Let a rule be heard again."""
    place = workspace()
    whose = None if job_id is None else jobs.get(place, job_id).id
    found = [m.id for m in service.list_mutes(place) if m.rule == rule and whose in (None, m.job_id)]
    if not found:
        raise Problem("The rule {rule} is not muted.", rule=rule)
    service.unmute(place, found)
    _show_mutes(as_json)


def _show_mutes(as_json: bool) -> None:
    found = service.list_mutes(workspace())
    if as_json:
        show_json([asdict(m) for m in found])
        return
    for m in found:
        where = "everywhere" if m.job_id is None else f"for {plain(m.job_name)} ({m.job_id})"
        until = "for ever" if m.until is None else f"for {(m.until - now()) / HOUR:.1f} h more"
        show(f"{plain(m.rule)} is muted {where}, {until}, by {plain(m.actor)}.")
    if not found:
        show("Nothing is muted.")


@command.command("test")
@verb
def test(as_json: bool) -> int:
    """Send a test by every way that is set (see `lathe options list`)."""
    current = options.current(workspace())
    on = notify.channels(current)
    if not on:
        raise Problem("Neither a webhook nor an e-mail address is set: lathe options set webhook_url=https://…")
    told: dict[str, str | None] = {}
    for channel in on:
        try:
            notify.test(current, channel)
            told[channel] = None
        except Problem as problem:
            told[channel] = str(problem)
    if as_json:
        show_json(told)
    else:
        for name, problem_said in told.items():
            show(f"{name}: {'taken by the other side' if problem_said is None else plain(problem_said)}")
    return 1 if any(told.values()) else 0
