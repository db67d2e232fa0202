"""The verbs of alerts: keep what the doctor finds, say what is open, mute, see, try again with the fix."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from typing import Any

from platform_core.alerts import store
from platform_core.alerts.store import About, Alert, Mute
from platform_core.algorithms.registry import algorithm
from platform_core.clock import now
from platform_core.database.engine import reading, writing
from platform_core.doctor.diagnosis import LEVELS, Diagnosis, Fix
from platform_core.errors import Problem, fill
from platform_core.files import read_json, write_json
from platform_core.jobs import service as jobs
from platform_core.jobs.spec import setting_of
from platform_core.jobs.states import STOPPABLE
from platform_core.jobs.store import Job, delete_rows, get_job
from platform_core.workspace.service import Workspace

QUIET_SECONDS = 120.0
"""How long a condition must be gone until its alert ends."""
ORIGIN = "origin.json"
LONGEST_NAME = 200


def keep(workspace: Workspace, job: Job, found: Sequence[Diagnosis], host: str, host_rules: frozenset[str]) -> None:
    """Keep what was found while an attempt runs; what has not been found for two minutes ends.

    Findings of `host_rules` are about the host: one alert there, however many jobs tell it.
    """
    at = now()
    mine, hosts = About(job.id, job.attempt), About(host=host)
    with reading(workspace.engine) as connection:
        open_now = store.find(connection, job_id=job.id, open_only=True)
        open_now += [a for a in store.find(connection, open_only=True, rules=sorted(host_rules)) if a.host == host]
    if not found and not open_now:
        return
    with writing(workspace.engine) as connection:
        for diagnosis in found:
            store.upsert(connection, hosts if diagnosis.rule in host_rules else mine, diagnosis, at)
        store.end_earlier_attempts(connection, job.id, job.attempt, at)
        for about in (mine, hosts):
            store.end(connection, about, at, unseen_since=at - QUIET_SECONDS)


def keep_end(
    workspace: Workspace, job: Job, found: Sequence[Diagnosis], host_rules: frozenset[str], ended_at: float, well: bool
) -> None:
    """Keep what was found once an attempt was over; the rest is past. Doing it twice changes nothing.

    Notes about what ended `well` are history at once: nobody need do anything.
    """
    about, mine = About(job.id, job.attempt), [d for d in found if d.rule not in host_rules]
    with writing(workspace.engine) as connection:
        for diagnosis in mine:
            store.upsert(connection, about, diagnosis, ended_at, again=True)
        store.end(connection, about, ended_at, but=[d.rule for d in mine if not (well and d.level == "info")])


def end_hosts(workspace: Workspace, host: str) -> None:
    """End alerts about a host that nobody has told for two minutes."""
    with reading(workspace.engine) as connection:
        old = [a for a in store.find(connection, open_only=True) if a.host == host]
    if any(a.last_seen < now() - QUIET_SECONDS for a in old):
        with writing(workspace.engine) as connection:
            store.end(connection, About(host=host), now(), unseen_since=now() - QUIET_SECONDS)


def get(workspace: Workspace, alert_id: int) -> Alert:
    """The alert with this number; raises Problem."""
    with reading(workspace.engine) as connection:
        found = store.get(connection, alert_id)
    if found is None:
        raise Problem("There is no alert {id}: `lathe alerts list` shows all.", id=alert_id)
    return found


def list_alerts(workspace: Workspace, **filters: Any) -> list[Alert]:
    """Alerts newest first; filters as `store.find`."""
    with reading(workspace.engine) as connection:
        return store.find(connection, **filters)


def of_job(workspace: Workspace, job_id: str) -> list[Alert]:
    """The open alerts of a job that no mute covers, the worst first, then the newest."""
    found = [a for a in list_alerts(workspace, job_id=job_id, open_only=True) if not a.muted]
    return sorted(found, key=lambda a: (-LEVELS.index(a.level), -a.since))


def asking(workspace: Workspace, limit: int | None = None) -> list[Alert]:
    """Open alerts that nobody has seen and no mute covers, newest first."""
    with reading(workspace.engine) as connection:
        return store.asking(connection, limit)


def count_asking(workspace: Workspace) -> tuple[int, int]:
    """How many alerts ask for somebody, and the highest number of any alert."""
    with reading(workspace.engine) as connection:
        return store.count_asking(connection)


def see(workspace: Workspace, alert_ids: Sequence[int]) -> None:
    """Somebody has seen these alerts: they stay open and ask nobody any more."""
    with writing(workspace.engine) as connection:
        store.mark_seen(connection, alert_ids, now())


def mute(
    workspace: Workspace, rule: str, *, job_id: str | None = None, seconds: float | None = None, actor: str = ""
) -> None:
    """Silence a rule for a job or everywhere, for some time or for ever; what it finds is still kept in the history."""
    if seconds is not None and seconds <= 0:
        raise Problem("A mute must last longer than nothing; {seconds} s is none.", seconds=seconds)
    whose = None if job_id is None else jobs.get(workspace, job_id).id
    with writing(workspace.engine) as connection:
        until = None if seconds is None else now() + seconds
        store.add_mute(connection, rule, whose, until, actor or jobs.current_user())


def unmute(workspace: Workspace, ids: Sequence[int]) -> int:
    """Take mutes away; how many there were."""
    with writing(workspace.engine) as connection:
        return store.remove_mutes(connection, ids)


def list_mutes(workspace: Workspace) -> list[Mute]:
    """The mutes that hold now."""
    with reading(workspace.engine) as connection:
        return store.find_mutes(connection)


def changes(job: Job, fix: Fix | None) -> list[tuple[str, object, object]]:
    """What a fix changes: name of the setting, old and new value; settings that the job's kind lacks are left out."""
    known = algorithm(job.kind).spec.model_fields if fix is not None and fix.changes else {}
    chosen = {} if fix is None else fix.changes
    return [(n, job.spec.get(n), value) for n, value in chosen.items() if n in known and job.spec.get(n) != value]


def best_fix(workspace: Workspace, job_id: str) -> Alert:
    """The worst alert of a job's newest attempt whose fix changes a setting; raises Problem when there is none."""
    job = jobs.get(workspace, job_id)
    found = [a for a in list_alerts(workspace, job_id=job.id) if a.attempt == job.attempt and changes(job, a.fix)]
    if not found:
        raise Problem(
            "No alert of “{name}” has a fix that changes its settings: clone it and change them yourself.",
            name=job.name,
        )
    return max(found, key=lambda a: (a.open, LEVELS.index(a.level), a.since))


def retry(workspace: Workspace, alert_id: int, actor: str = "") -> Job:
    """Make and start a new job with an alert's fix, and stop the old one if it still runs; asked twice, it is one job.

    Raises Problem when the fix changes nothing, or when the new settings can't run.
    """
    alert, actor = get(workspace, alert_id), actor or jobs.current_user()
    if alert.job_id is None:
        raise Problem("Alert {id} is about a machine, not about a job's settings.", id=alert.id)
    if alert.made is not None and (before := _made_before(workspace, alert.made)) is not None:
        return before
    old = jobs.get(workspace, alert.job_id)
    wanted = changes(old, alert.fix)
    if not wanted:
        raise Problem("The fix of alert {id} changes no setting of “{name}”.", id=alert.id, name=old.name)
    values = {**jobs.clone_values(old), **{name: value for name, _old, value in wanted}}
    made = jobs.create(
        workspace,
        old.kind,
        values,
        name=fixed_name(old, wanted),
        engine=old.engine,
        group=old.group_name,
        priority=old.priority,
        actor=actor,
    )
    write_json(workspace.job_folder(made.id) / ORIGIN, {"job": old.id, "alert": alert.id})
    with writing(workspace.engine) as connection:
        counts = store.mark_made(connection, alert.id, made.id)
        if counts != made.id:
            delete_rows(connection, made.id)
    if counts != made.id:
        shutil.rmtree(workspace.job_folder(made.id), ignore_errors=True)
        return jobs.get(workspace, counts)
    if old.state in STOPPABLE:
        jobs.stop(workspace, old.id, actor)
    see(workspace, [alert.id])
    return jobs.start(workspace, made.id, actor)


def fixed_name(old: Job, wanted: Sequence[tuple[str, object, object]]) -> str:
    """ "Sums (learning rate 5e-6)"; what an earlier fix added is replaced."""
    fields = algorithm(old.kind).spec.model_fields
    parts = [f"{setting_of(fields[name], name).title.lower()} {shown(value)}" for name, _old, value in wanted[:2]]
    added = f" ({', '.join(parts)})"
    titles = "|".join(re.escape(setting_of(f, n).title.lower()) for n, f in fields.items())
    base = re.sub(rf" \((?:{titles}) [^()]*\)$", "", old.name)
    return base[: LONGEST_NAME - len(added)] + added


def shown(value: object) -> str:
    """The value of a setting in few characters."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return fill("{value:g}", {"value": value}) if isinstance(value, float) else "–" if value is None else str(value)


def origin(workspace: Workspace, job_id: str) -> str | None:
    """The job from whose alert this one was made."""
    found = read_json(workspace.job_folder(job_id) / ORIGIN) or {}
    return str(found["job"]) if found.get("job") else None


def _made_before(workspace: Workspace, job_id: str) -> Job | None:
    with reading(workspace.engine) as connection:
        there = get_job(connection, job_id)
    return None if there is None or there.deleted_at is not None else there
