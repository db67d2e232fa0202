"""The queue as it stands at one moment: all that waits or runs, read with a fixed number of queries.

Rows are read without their large columns, so that hundreds of waiting jobs cost milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, and_, or_, select

from platform_core.clock import now
from platform_core.database.tables import attempts, dependencies, jobs
from platform_core.errors import Text
from platform_core.jobs.states import ACTIVE, State
from platform_core.queue.fair_share import Usage, fair_order

LIGHT = (
    jobs.c.id, jobs.c.name, jobs.c.kind, jobs.c.state, jobs.c.since, jobs.c.owner, jobs.c.priority, jobs.c.position,
    jobs.c.queued_at, jobs.c.not_before, jobs.c.cpu_slots, jobs.c.memory_bytes, jobs.c.gpus, jobs.c.gpu_memory_bytes,
    jobs.c.gpu_indexes, jobs.c.time_limit, jobs.c.retried, jobs.c.attempt, jobs.c.started_at, jobs.c.created_at,
    jobs.c.reason,
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A job that waits or runs, as the queue sees it: what it asks for, and when it came."""

    id: str
    name: str
    kind: str
    state: State
    since: float
    owner: str
    priority: int
    position: float | None
    queued_at: float
    not_before: float | None
    cpu_slots: int
    memory_bytes: int
    gpus: int
    gpu_memory_bytes: int
    time_limit: float | None
    retried: int
    attempt: int
    started_at: float | None
    reason: Text | None
    gpu_indexes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Runs(Entry):
    """A job with a process: the GPUs it holds (UUIDs), how far it is, and how long earlier attempts ran."""

    devices: tuple[str, ...] = ()
    progress: dict[str, Any] = field(default_factory=dict)
    ran_before: float = 0.0


@dataclass(frozen=True)
class Needed:
    """A job that is not completed yet and that others wait for."""

    id: str
    name: str
    state: State
    deleted: bool


@dataclass(frozen=True)
class Line:
    """Who waits, in the order in which they shall start, who runs, and who waits for whom, at `time`."""

    time: float
    waiting: tuple[Entry, ...]
    running: tuple[Runs, ...]
    needs: dict[str, tuple[Needed, ...]]

    def ready(self, job: Entry) -> bool:
        """Whether nothing but free slots is missing."""
        return job.id not in self.needs and (job.not_before is None or job.not_before <= self.time)


def read_line(connection: Connection, usage: Usage) -> Line:
    """The queue now. `usage` says what each owner has used of late: see `fair_share.read_usage`."""
    at = now()
    found = [
        _entry(row)
        for row in connection.execute(select(*LIGHT).where(jobs.c.state == "queued", jobs.c.deleted_at.is_(None)))
    ]
    running = tuple(_running(connection))
    return Line(at, tuple(fair_order(found, running, usage)), running, _needs(connection) if found else {})


def _running(connection: Connection) -> Iterable[Runs]:
    query = (
        select(*LIGHT, jobs.c.progress, attempts.c.devices)
        .join(attempts, and_(attempts.c.job_id == jobs.c.id, attempts.c.number == jobs.c.attempt), isouter=True)
        .where(jobs.c.state.in_(ACTIVE), jobs.c.deleted_at.is_(None))
        .order_by(jobs.c.started_at, jobs.c.id)
    )
    rows = list(connection.execute(query))
    limited = [row.id for row in rows if row.time_limit is not None]
    ran = ran_before(connection, limited)
    for row in rows:
        more: dict[str, Any] = {
            "devices": tuple(row.devices or ()),
            "progress": row.progress or {},
            "ran_before": ran.get(row.id, 0.0),
        }
        yield Runs(**_values(row), **more)


def ran_before(connection: Connection, job_ids: list[str]) -> dict[str, float]:
    """Seconds that the ended attempts of some jobs ran, all together; attempts that never began count nothing."""
    query = select(attempts.c.job_id, attempts.c.launched_at, attempts.c.ended_at).where(
        attempts.c.job_id.in_(job_ids), attempts.c.ended_at.is_not(None), attempts.c.outcome != "void"
    )
    found: dict[str, float] = {}
    for job_id, launched, ended in connection.execute(query) if job_ids else ():
        found[job_id] = found.get(job_id, 0.0) + max(0.0, ended - launched)
    return found


def _needs(connection: Connection) -> dict[str, tuple[Needed, ...]]:
    needed = jobs.alias("needed")
    query = (
        select(dependencies.c.job_id, needed.c.id, needed.c.name, needed.c.state, needed.c.deleted_at)
        .join(needed, needed.c.id == dependencies.c.needs_id)
        .join(jobs, jobs.c.id == dependencies.c.job_id)
        .where(jobs.c.state == "queued", jobs.c.deleted_at.is_(None))
        .where(or_(needed.c.state != "completed", needed.c.deleted_at.is_not(None)))
        .order_by(needed.c.created_at)
    )
    found: dict[str, tuple[Needed, ...]] = {}
    for job_id, needs_id, name, state, deleted_at in connection.execute(query):
        found[job_id] = (*found.get(job_id, ()), Needed(needs_id, name, state, deleted_at is not None))
    return found


def _entry(row: Any) -> Entry:
    return Entry(**_values(row))


def _values(row: Any) -> dict[str, Any]:
    return {
        "id": row.id, "name": row.name, "kind": row.kind, "state": row.state, "since": row.since, "owner": row.owner,
        "priority": row.priority, "position": row.position,
        "queued_at": row.created_at if row.queued_at is None else row.queued_at,
        "not_before": row.not_before, "cpu_slots": row.cpu_slots, "memory_bytes": row.memory_bytes, "gpus": row.gpus,
        "gpu_memory_bytes": row.gpu_memory_bytes, "time_limit": row.time_limit, "retried": row.retried,
        "attempt": row.attempt, "started_at": row.started_at, "gpu_indexes": tuple(row.gpu_indexes or ()),
        "reason": None if row.reason is None else Text.from_json(row.reason),
    }  # fmt: skip
