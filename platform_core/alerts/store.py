"""Rows of alerts and mutes in and out."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, exists, func, insert, or_, select, update

from platform_core.clock import now
from platform_core.database.tables import alerts, jobs, mutes
from platform_core.doctor.diagnosis import LEVELS, Diagnosis, Evidence, Fix, Level
from platform_core.errors import Text

COUNTED_SECONDS = 30 * 86_400.0
"""What is older is history: it is listed, but asks nobody for anything any more."""


@dataclass(frozen=True)
class Alert:
    """A diagnosis that was kept; about an attempt of a job, or about a host. Times in seconds since the epoch.

    `job_name` is read with it; `muted`: a mute holds for it now; `made`: id of the job that "retry with the fix" made.
    """

    id: int
    job_id: str | None
    attempt: int | None
    host: str | None
    rule: str
    level: Level
    since: float
    last_seen: float
    ended_at: float | None
    step: int | None
    what: Text
    why: Text | None
    fix: Fix | None
    evidence: Evidence
    seen_at: float | None
    sent_at: float | None
    job_name: str = ""
    muted: bool = False
    made: str | None = None

    @property
    def open(self) -> bool:
        return self.ended_at is None


@dataclass(frozen=True)
class Mute:
    """A rule that is silent for a job (None: everywhere) until a time (None: for ever)."""

    id: int
    rule: str
    job_id: str | None
    until: float | None
    actor: str
    since: float
    job_name: str = ""


@dataclass(frozen=True)
class About:
    """What an alert is about: an attempt of a job, or a host."""

    job_id: str | None = None
    attempt: int | None = None
    host: str | None = None

    def where(self) -> ColumnElement[bool]:
        if self.job_id is None:
            return and_(alerts.c.job_id.is_(None), alerts.c.host == self.host)
        return and_(alerts.c.job_id == self.job_id, alerts.c.attempt == self.attempt)


def upsert(connection: Connection, about: About, found: Diagnosis, at: float, *, again: bool = False) -> None:
    """Keep a finding: the open alert of the same rule is brought up to date, else there is a new one.

    One that has become worse is unseen again. `again`: an alert that has ended counts as well, so that looking twice at
    what is over leaves one.
    """
    same = and_(about.where(), alerts.c.rule == found.rule)
    query = select(alerts.c.id, alerts.c.level, alerts.c.fix).where(
        same if again else same & alerts.c.ended_at.is_(None)
    )
    row = connection.execute(query.order_by(alerts.c.id.desc()).limit(1)).one_or_none()
    values: dict[str, Any] = {
        "level": found.level,
        "last_seen": at,
        "step": found.step,
        "what": _plain(found.what.as_json()),
        "why": _plain(found.why.as_json()),
        "fix": _plain(None if found.fix is None else {"says": found.fix.says.as_json(), "changes": found.fix.changes}),
        "evidence": _plain(asdict(found.evidence)),
    }
    if row is None:
        whose = {"job_id": about.job_id, "attempt": about.attempt, "host": about.host}
        connection.execute(insert(alerts).values(rule=found.rule, since=at, **whose, **values))
        return
    made = (row.fix or {}).get("job")
    if made is not None:
        values["fix"] = {**(values["fix"] or {"says": Text("").as_json(), "changes": {}}), "job": made}
    if LEVELS.index(found.level) > LEVELS.index(row.level):
        values["seen_at"] = None
    connection.execute(update(alerts).where(alerts.c.id == row.id).values(**values))


def end(
    connection: Connection, about: About, at: float, *, unseen_since: float | None = None, but: Sequence[str] = ()
) -> int:
    """End the open alerts about something, those of the rules `but` left out; how many they were.

    `unseen_since`: only those that were not found any more since then.
    """
    chosen = and_(about.where(), alerts.c.ended_at.is_(None), alerts.c.rule.not_in(list(but)))
    if unseen_since is not None:
        chosen = and_(chosen, alerts.c.last_seen < unseen_since)
    return connection.execute(update(alerts).where(chosen).values(ended_at=at)).rowcount


def end_earlier_attempts(connection: Connection, job_id: str, attempt: int, at: float) -> int:
    """End what was open about attempts before this one."""
    chosen = and_(alerts.c.job_id == job_id, alerts.c.attempt < attempt, alerts.c.ended_at.is_(None))
    return connection.execute(update(alerts).where(chosen).values(ended_at=at)).rowcount


def get(connection: Connection, alert_id: int) -> Alert | None:
    row = connection.execute(_query().where(alerts.c.id == alert_id)).one_or_none()
    return None if row is None else _alert(row)


def find(
    connection: Connection,
    *,
    job_id: str | None = None,
    rules: Sequence[str] | None = None,
    levels: Sequence[str] | None = None,
    open_only: bool = False,
    ended_only: bool = False,
    limit: int | None = None,
) -> list[Alert]:
    """Alerts newest first, those of deleted jobs left out."""
    wanted = [_there()]
    if job_id is not None:
        wanted.append(alerts.c.job_id == job_id)
    if rules is not None:
        wanted.append(alerts.c.rule.in_(list(rules)))
    if levels is not None:
        wanted.append(alerts.c.level.in_(list(levels)))
    if open_only:
        wanted.append(alerts.c.ended_at.is_(None))
    if ended_only:
        wanted.append(alerts.c.ended_at.is_not(None))
    query = _query().where(*wanted).order_by(alerts.c.since.desc(), alerts.c.id.desc()).limit(limit)
    return [_alert(row) for row in connection.execute(query)]


def asking(connection: Connection, limit: int | None = None) -> list[Alert]:
    """Open alerts that nobody has seen and no mute covers, newest first, of the last 30 days."""
    wanted = (_asks(), ~_muted(), _there())
    return [
        _alert(row) for row in connection.execute(_query().where(*wanted).order_by(alerts.c.id.desc()).limit(limit))
    ]


def count_asking(connection: Connection) -> tuple[int, int]:
    """How many there are of those, and the highest id of any alert."""
    query = select(func.count()).select_from(alerts.outerjoin(jobs, alerts.c.job_id == jobs.c.id))
    count = connection.scalar(query.where(_asks(), ~_muted(), _there()))
    return int(count or 0), int(connection.scalar(select(func.max(alerts.c.id))) or 0)


def unsent(connection: Connection, levels: Sequence[str], since: float) -> list[Alert]:
    """Alerts of these levels that began after a time, are not sent and not muted, oldest first."""
    wanted = (
        alerts.c.sent_at.is_(None),
        alerts.c.level.in_(list(levels)),
        alerts.c.since >= since,
        ~_muted(),
        _there(),
    )
    return [_alert(row) for row in connection.execute(_query().where(*wanted).order_by(alerts.c.id))]


def mark_sent(connection: Connection, alert_id: int, at: float) -> bool:
    """Note that an alert was sent; False when it was before."""
    chosen = and_(alerts.c.id == alert_id, alerts.c.sent_at.is_(None))
    return bool(connection.execute(update(alerts).where(chosen).values(sent_at=at)).rowcount)


def mark_seen(connection: Connection, alert_ids: Sequence[int], at: float) -> None:
    connection.execute(
        update(alerts).where(alerts.c.id.in_(list(alert_ids)), alerts.c.seen_at.is_(None)).values(seen_at=at)
    )


def mark_made(connection: Connection, alert_id: int, job_id: str) -> str:
    """Note which job was made from an alert's fix, unless there is one already; the id of the one that counts."""
    fix = dict(connection.scalar(select(alerts.c.fix).where(alerts.c.id == alert_id).with_for_update()) or {})
    before = fix.get("job")
    if isinstance(before, str):
        there = select(jobs.c.id).where(jobs.c.id == before, jobs.c.deleted_at.is_(None))
        if connection.scalar(there) is not None:
            return before
    connection.execute(update(alerts).where(alerts.c.id == alert_id).values(fix={**fix, "job": job_id}))
    return job_id


def add_mute(connection: Connection, rule: str, job_id: str | None, until: float | None, actor: str) -> None:
    """Silence a rule; an earlier mute of the same rule and job gives way."""
    same = mutes.c.job_id.is_(None) if job_id is None else mutes.c.job_id == job_id
    connection.execute(delete(mutes).where(mutes.c.rule == rule, same))
    connection.execute(insert(mutes).values(rule=rule, job_id=job_id, until=until, actor=actor, since=now()))


def remove_mutes(connection: Connection, ids: Sequence[int]) -> int:
    return connection.execute(delete(mutes).where(mutes.c.id.in_(list(ids)))).rowcount


def find_mutes(connection: Connection) -> list[Mute]:
    """The mutes that hold now, newest first."""
    query = select(mutes, jobs.c.name.label("job_name")).select_from(mutes.outerjoin(jobs, mutes.c.job_id == jobs.c.id))
    found = connection.execute(query.where(_holds()).order_by(mutes.c.since.desc()))
    return [Mute(**{**row._mapping, "job_name": row.job_name or ""}) for row in found]


def _query() -> Any:
    return select(alerts, jobs.c.name.label("job_name"), _muted().label("muted")).select_from(
        alerts.outerjoin(jobs, alerts.c.job_id == jobs.c.id)
    )


def _asks() -> ColumnElement[bool]:
    recent = alerts.c.since >= now() - COUNTED_SECONDS
    return and_(recent, alerts.c.ended_at.is_(None), alerts.c.seen_at.is_(None))


def _there() -> ColumnElement[bool]:
    return or_(alerts.c.job_id.is_(None), jobs.c.deleted_at.is_(None))


def _holds() -> ColumnElement[bool]:
    return or_(mutes.c.until.is_(None), mutes.c.until > now())


def _muted() -> ColumnElement[bool]:
    covers = or_(mutes.c.job_id.is_(None), mutes.c.job_id == alerts.c.job_id)
    return exists().where(mutes.c.rule == alerts.c.rule, covers, _holds())


def _plain(value: Any) -> Any:
    """A value as every kind of database keeps it: numbers of the language's own kind, None for NaN and infinity."""
    return _finite(json.loads(json.dumps(value, default=float)))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _alert(row: Row[Any]) -> Alert:
    values = dict(row._mapping)
    fix, seen = values["fix"] or {}, values["evidence"] or {}
    values["what"] = Text.from_json(values["what"])
    values["why"] = None if values["why"] is None else Text.from_json(values["why"])
    values["fix"] = Fix(Text.from_json(fix["says"]), dict(fix.get("changes") or {})) if fix.get("says") else None
    values["evidence"] = Evidence(
        str(seen.get("metric") or ""),
        tuple(seen.get("steps") or ()),
        tuple(seen.get("values") or ()),
        seen.get("limit"),
        tuple(seen.get("lines") or ()),
    )
    return Alert(
        **{**values, "job_name": values["job_name"] or "", "muted": bool(values["muted"]), "made": fix.get("job")}
    )
