"""Rows of jobs in and out. Every change of state is compare-and-set, with time, actor and reason."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Row, and_, case, delete, func, insert, or_, select, update
from sqlalchemy import Text as TextType
from sqlalchemy import cast as sql_cast

from platform_core.clock import now
from platform_core.database.tables import alerts, attempts, dependencies, jobs, mutes, transitions
from platform_core.errors import Text
from platform_core.jobs.states import ENDED, NEXT, State


@dataclass(frozen=True)
class Job:
    """One row of the jobs table; times in seconds since the epoch, `progress` as the runner last told it.

    `position` was given by hand and goes before fair order; `retries` may follow each other by themselves, of which
    `retried` were used since a person last started it; `time_limit` in seconds of running, all attempts together.
    `ran_seconds` is how long its attempts ran until it was read; pauses and waits between them do not count.
    """

    id: str
    name: str
    kind: str
    engine: str
    spec: dict[str, Any]
    spec_hash: str
    state: State
    since: float
    reason: Text | None
    owner: str
    group_name: str | None
    priority: int
    cpu_slots: int
    attempt: int
    created_at: float
    started_at: float | None
    finished_at: float | None
    deleted_at: float | None
    progress: dict[str, Any]
    latest: dict[str, Any]
    sparkline: list[float]
    result: dict[str, Any]
    position: float | None = None
    queued_at: float | None = None
    not_before: float | None = None
    time_limit: float | None = None
    retries: int = 0
    retried: int = 0
    memory_bytes: int = 0
    gpus: int = 0
    gpu_memory_bytes: int = 0
    gpu_indexes: list[int] = field(default_factory=list)
    starred: bool = False
    archived_at: float | None = None
    note: str | None = None
    tags: list[str] = field(default_factory=list)
    ran_seconds: float = field(default=0.0, compare=False)

    @property
    def step(self) -> int | None:
        value = self.progress.get("step")
        return None if value is None else int(value)

    @property
    def total_steps(self) -> int | None:
        value = self.progress.get("total_steps")
        return None if value is None else int(value)


@dataclass(frozen=True)
class Attempt:
    """One start of a job: which process, where, on which GPUs (UUIDs), how it ended and by what `cause`."""

    job_id: str
    number: int
    host: str
    interpreter: str
    command: list[str]
    threads: int
    launched_at: float
    pid: int | None
    pid_started: int | None
    boot_id: str | None
    ended_at: float | None
    exit_code: int | None
    signal: int | None
    outcome: str | None
    devices: list[str] = field(default_factory=list)
    cause: str | None = None


@dataclass(frozen=True)
class Transition:
    """One change of state."""

    id: int
    job_id: str
    time: float
    from_state: State | None
    to_state: State
    actor: str
    reason: Text | None


def insert_job(connection: Connection, values: Mapping[str, Any], needs: Iterable[str], actor: str) -> None:
    """Add a job with its dependencies and its first state."""
    connection.execute(insert(jobs).values(**values))
    for needed in dict.fromkeys(needs):
        connection.execute(insert(dependencies).values(job_id=values["id"], needs_id=needed))
    connection.execute(
        insert(transitions).values(job_id=values["id"], time=values["since"], to_state=values["state"], actor=actor)
    )


def get_job(connection: Connection, job_id: str, lock: bool = False) -> Job | None:
    """A job; with `lock` nobody else writes it until the transaction ends (SQLite has one writer anyway)."""
    query = select(jobs, _ran_seconds()).where(jobs.c.id == job_id)
    row = connection.execute(query.with_for_update(of=jobs) if lock else query).one_or_none()
    return None if row is None else _job(row)


def find_jobs(
    connection: Connection,
    *,
    states: Sequence[str] | None = None,
    kinds: Sequence[str] | None = None,
    search: str = "",
    group: str | None = None,
    ids: Sequence[str] | None = None,
    deleted: bool = False,
    tag: str | None = None,
    starred: bool = False,
    archived: bool | None = None,
    limit: int | None = None,
    offset: int = 0,
    oldest_first: bool = False,
) -> list[Job]:
    """Jobs newest first, filtered; `search` looks in name, id and kind; `archived` None: those in the archive, too."""
    rows = _filtered(select(jobs, _ran_seconds()), states, kinds, search, group, ids, deleted)
    query = _marked(rows, tag, starred, archived)
    order = jobs.c.created_at.asc() if oldest_first else jobs.c.created_at.desc()
    return [_job(r) for r in connection.execute(query.order_by(order, jobs.c.id).limit(limit).offset(offset))]


def count_jobs(
    connection: Connection,
    *,
    kinds: Sequence[str] | None = None,
    search: str = "",
    group: str | None = None,
    tag: str | None = None,
    starred: bool = False,
    archived: bool | None = None,
) -> dict[State, int]:
    """How many jobs there are in each state, the trash left out; filters as `find_jobs`."""
    found = _filtered(select(jobs.c.state, func.count()), None, kinds, search, group, None, False)
    query = _marked(found, tag, starred, archived).group_by(jobs.c.state)
    return {cast(State, state): count for state, count in connection.execute(query)}


def change_state(
    connection: Connection,
    job_id: str,
    allowed: Sequence[State],
    to: State,
    actor: str,
    reason: Text | None = None,
    **more: Any,
) -> bool:
    """Move a job to `to` if it is in one of `allowed` now; False when somebody else was first."""
    at, said = now(), None if reason is None else reason.as_json()
    for state in allowed:
        if to not in NEXT[state]:
            raise ValueError(f"{state} is never followed by {to}")
        values: dict[str, Any] = {"state": to, "since": at, "reason": said, **more}
        if to in ENDED:
            values.setdefault("finished_at", at)
        if to == "queued":
            values.setdefault("queued_at", at)
        changed = connection.execute(
            update(jobs).where(jobs.c.id == job_id, jobs.c.state == state, jobs.c.deleted_at.is_(None)).values(**values)
        )
        if changed.rowcount:
            connection.execute(
                insert(transitions).values(
                    job_id=job_id, time=at, from_state=state, to_state=to, actor=actor, reason=said
                )
            )
            return True
    return False


def update_job(connection: Connection, job_id: str, **values: Any) -> None:
    """Set columns other than the state."""
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(**values))


def needs_of(connection: Connection, job_id: str) -> list[str]:
    """Ids of the jobs that must complete before this one starts."""
    return list(connection.scalars(select(dependencies.c.needs_id).where(dependencies.c.job_id == job_id)))


def needed_by(connection: Connection, job_id: str) -> list[str]:
    """Ids of the jobs that wait for this one's output."""
    return list(connection.scalars(select(dependencies.c.job_id).where(dependencies.c.needs_id == job_id)))


def add_attempt(connection: Connection, **values: Any) -> None:
    connection.execute(insert(attempts).values(**values))


def update_attempt(connection: Connection, job_id: str, number: int, **values: Any) -> None:
    connection.execute(
        update(attempts).where(attempts.c.job_id == job_id, attempts.c.number == number).values(**values)
    )


def attempts_of(connection: Connection, job_id: str) -> list[Attempt]:
    rows = connection.execute(select(attempts).where(attempts.c.job_id == job_id).order_by(attempts.c.number))
    return [Attempt(**{**r._mapping, "devices": r.devices or []}) for r in rows]


def transitions_of(connection: Connection, job_id: str) -> list[Transition]:
    rows = connection.execute(select(transitions).where(transitions.c.job_id == job_id).order_by(transitions.c.id))
    return [Transition(**{**r._mapping, "reason": _text(r.reason)}) for r in rows]


def delete_rows(connection: Connection, job_id: str) -> None:
    """Remove a job for good, with its history."""
    for table in (transitions, attempts, alerts, mutes):
        connection.execute(delete(table).where(table.c.job_id == job_id))
    connection.execute(
        delete(dependencies).where(or_(dependencies.c.job_id == job_id, dependencies.c.needs_id == job_id))
    )
    connection.execute(delete(jobs).where(jobs.c.id == job_id))


def _filtered(query: Any, states: Any, kinds: Any, search: str, group: Any, ids: Any, deleted: bool) -> Any:
    wanted: list[Any] = [jobs.c.deleted_at.is_not(None) if deleted else jobs.c.deleted_at.is_(None)]
    if states is not None:
        wanted.append(jobs.c.state.in_(list(states)))
    if kinds is not None:
        wanted.append(jobs.c.kind.in_(list(kinds)))
    if ids is not None:
        wanted.append(jobs.c.id.in_(list(ids)))
    if group is not None:
        wanted.append(jobs.c.group_name == group)
    if search:
        wanted.append(or_(*(c.icontains(search, autoescape=True) for c in (jobs.c.name, jobs.c.id, jobs.c.kind))))
    return query.where(and_(*wanted))


def _marked(query: Any, tag: str | None, starred: bool, archived: bool | None) -> Any:
    if tag is not None:  # the column holds JSON as `json.dumps` writes it, on SQLite and on PostgreSQL
        held, said = sql_cast(jobs.c.tags, TextType), json.dumps(tag)  # with what is before it: a tag may hold a quote
        query = query.where(or_(*(held.contains(before + said, autoescape=True) for before in ("[", ", "))))
    if starred:
        query = query.where(jobs.c.starred.is_(True))
    if archived is not None:
        query = query.where(jobs.c.archived_at.is_not(None) if archived else jobs.c.archived_at.is_(None))
    return query


def tags_of(connection: Connection) -> list[list[str]]:
    """The different sets of tags that jobs outside the trash have."""
    lists = select(sql_cast(jobs.c.tags, TextType)).where(jobs.c.tags.is_not(None), jobs.c.deleted_at.is_(None))
    return [json.loads(found) for found in connection.scalars(lists.distinct()) if found]


def _ran_seconds() -> ColumnElement[float]:
    """Seconds that a job's attempts ran, a part of the query that reads its row."""
    took = func.coalesce(attempts.c.ended_at, now()) - attempts.c.launched_at
    began = or_(attempts.c.outcome.is_(None), attempts.c.outcome != "void")
    total = func.coalesce(func.sum(case((took > 0, took), else_=0.0)), 0.0)
    return select(total).where(attempts.c.job_id == jobs.c.id, began).scalar_subquery().label("ran_seconds")


def _job(row: Row[Any]) -> Job:
    values = dict(row._mapping)
    for name in ("progress", "latest", "result"):
        values[name] = values[name] or {}
    lists = {name: values[name] or [] for name in ("sparkline", "tags", "gpu_indexes")}
    return Job(**{**values, **lists, "reason": _text(values["reason"])})


def _text(data: object) -> Text | None:
    return None if data is None else Text.from_json(data)
