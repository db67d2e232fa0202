"""What the supervisor asks the queue, and how it writes down what it did. Each change is one transaction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, or_, select, update

from platform_core.algorithms.registry import algorithm
from platform_core.clock import now
from platform_core.database.tables import dependencies, jobs
from platform_core.errors import Problem, Text, text
from platform_core.jobs import store
from platform_core.jobs.retry import Cause, Retry, exhausted, next_retry, wait_before
from platform_core.jobs.states import ACTIVE, State
from platform_core.jobs.store import Job
from platform_core.queue.fair_share import Usage, Whole, read_usage
from platform_core.queue.line import read_line
from platform_core.queue.placement import Capacity
from platform_core.queue.plan import plan

ACTOR = "supervisor"
LATEST = 100
"""Metrics whose last values are copied into the row; a run may have thousands."""


@dataclass(frozen=True)
class Chosen:
    """A job that may start now, and the GPUs (UUIDs) that it gets."""

    job: Job
    gpus: tuple[str, ...] = ()


def active_jobs(connection: Connection) -> list[Job]:
    """Jobs that have, or should have, a process."""
    return store.find_jobs(connection, states=ACTIVE, oldest_first=True)


def is_anyone_waiting(connection: Connection) -> bool:
    """Whether the queue holds a job."""
    query = select(jobs.c.id).where(jobs.c.state == "queued", jobs.c.deleted_at.is_(None)).limit(1)
    return connection.execute(query).first() is not None


def claimable(connection: Connection, have: Capacity, usage: Usage | None = None, limit: int = 32) -> list[Chosen]:
    """Queued jobs that may start now, first in the queue first; see `plan` and `fair_share` for who that is."""
    usage = read_usage(connection, whole(have)) if usage is None else usage
    starts = plan(read_line(connection, usage), have).starts[:limit]
    found = {job.id: job for job in store.find_jobs(connection, ids=[s.job.id for s in starts])} if starts else {}
    return [Chosen(found[s.job.id], s.gpus) for s in starts if s.job.id in found]


def whole(have: Capacity) -> Whole:
    """The whole of this host, of which owners have shares."""
    return Whole(have.cpu_slots, have.memory, len(have.gpus))


def hopeless(connection: Connection) -> list[tuple[str, Text]]:
    """Queued jobs whose dependency failed, was stopped or deleted, each with the sentence that says so."""
    needed = jobs.alias("needed")
    query = (
        select(jobs.c.id, needed.c.name, needed.c.state, needed.c.deleted_at)
        .join(dependencies, dependencies.c.job_id == jobs.c.id)
        .join(needed, needed.c.id == dependencies.c.needs_id)
        .where(jobs.c.state == "queued", jobs.c.deleted_at.is_(None))
        .where(or_(needed.c.state.in_(["failed", "stopped"]), needed.c.deleted_at.is_not(None)))
    )
    found = {}
    for job_id, name, state, deleted_at in connection.execute(query):
        found[job_id] = (
            text(
                "It needs the output of “{needed}”, which was deleted: choose another, then start it again.",
                needed=name,
            )
            if deleted_at is not None
            else text(
                "It needs the output of “{needed}”, which {state}: start that one again, then this one.",
                needed=name,
                state="failed" if state == "failed" else "was stopped",
            )
        )  # fmt: skip
    return list(found.items())


def overlong_waits(connection: Connection) -> list[tuple[str, float]]:
    """Jobs whose wait for a retry became too long because the clock was put back, each with when it shall start.

    A time that a person chose stays.
    """
    at, found = now(), []
    waiting = select(jobs.c.id).where(jobs.c.state == "queued", jobs.c.retried > 0, jobs.c.not_before > at)
    ids = list(connection.scalars(waiting))
    for job in store.find_jobs(connection, ids=ids) if ids else []:
        ended = [a.ended_at for a in store.attempts_of(connection, job.id) if a.ended_at is not None]
        wait, chosen = wait_before(job.retried, _first_wait(job)), job.not_before or 0.0
        if ended and at + wait + 1.0 < chosen <= ended[-1] + wait + 1.0:
            found.append((job.id, at + wait))
    return found


def start_sooner(connection: Connection, job_id: str, not_before: float) -> None:
    """Cut the wait of a queued job."""
    later = jobs.c.not_before > not_before
    connection.execute(
        update(jobs).where(jobs.c.id == job_id, jobs.c.state == "queued", later).values(not_before=not_before)
    )


def give_up(connection: Connection, job_id: str, reason: Text) -> bool:
    """Fail a job that waits in the queue."""
    return store.change_state(connection, job_id, ("queued",), "failed", ACTOR, reason)


def claim(
    connection: Connection,
    job: Job,
    threads: int,
    *,
    host: str,
    interpreter: str,
    command: Sequence[str],
    gpus: Sequence[str] = (),
) -> int:
    """Take a job out of the queue for its next attempt; the attempt's number, 0 when somebody else was first."""
    at, number = now(), job.attempt + 1
    more: dict[str, Any] = {
        "attempt": number, "started_at": at, "finished_at": None, "progress": None, "result": None, "not_before": None,
    }  # fmt: skip
    if not store.change_state(connection, job.id, ("queued",), "starting", ACTOR, **more):
        return 0
    store.add_attempt(
        connection,
        job_id=job.id,
        number=number,
        host=host,
        interpreter=interpreter,
        command=list(command),
        threads=threads,
        launched_at=at,
        devices=list(gpus),
    )
    return number


def requeue(connection: Connection, job: Job, reason: Text, outcome: str = "void") -> bool:
    """Put a job back whose attempt never began; it keeps its place, the attempt stays in the history as `void`."""
    place = {"queued_at": job.queued_at or job.created_at}
    if not store.change_state(connection, job.id, ("starting",), "queued", ACTOR, reason, **place):
        return False
    store.update_attempt(connection, job.id, job.attempt, ended_at=now(), outcome=outcome)
    return True


def mark_running(connection: Connection, job: Job) -> bool:
    """The runner has spoken."""
    return store.change_state(connection, job.id, ("starting",), "running", ACTOR)


def settle(
    connection: Connection,
    job: Job,
    to: State,
    reason: Text | None,
    *,
    result: dict[str, Any] | None = None,
    exit_code: int | None = None,
    signal: int | None = None,
    cause: Cause | None = None,
    **columns: Any,
) -> bool:
    """Write how the attempt ended; False when the job's state changed meanwhile: look again.

    A job that failed by a `cause` that can pass goes back into the queue in the same transaction, so that nobody who
    waits for its output gives up; one that was asked to pause is left to the person who asked.
    """
    came_from: State = job.state
    if to == "failed":
        reason = exhausted(cause, reason, job.retried) if _again(job, cause, reason) is None else reason
    if to == "paused":  # nobody here asked for it: the row goes the whole way nevertheless
        for step in _way_to_pausing(job.state):
            if not store.change_state(connection, job.id, (came_from,), step, ACTOR, reason):
                return False
            came_from = step
    if not store.change_state(connection, job.id, (came_from,), to, ACTOR, reason, result=as_json(result), **columns):
        return False
    store.update_attempt(
        connection, job.id, job.attempt, ended_at=now(), exit_code=exit_code, signal=signal, outcome=to, cause=cause
    )
    retry = _again(job, cause, reason) if to == "failed" else None
    if retry is not None:
        again = {"not_before": now() + retry.wait, "retried": retry.number, "finished_at": None, "result": None}
        place = {"queued_at": job.queued_at or job.created_at}
        store.change_state(connection, job.id, ("failed",), "queued", ACTOR, retry.reason, **again, **place)
    return True


def _again(job: Job, cause: Cause | None, reason: Text | None) -> Retry | None:
    if cause is None or job.state == "pausing":
        return None
    return next_retry(cause, reason, job.retries, job.retried, _first_wait(job))


def _first_wait(job: Job) -> float:
    wait = job.spec.get("retry_wait_seconds", 10.0)
    return float(wait) if isinstance(wait, int | float) else 10.0


def _way_to_pausing(state: State) -> tuple[State, ...]:
    ways: dict[State, tuple[State, ...]] = {"starting": ("running", "pausing"), "running": ("pausing",)}
    return ways.get(state, ())


def stopped_by(connection: Connection, job_id: str) -> str:
    """Who asked for the stop that is under way."""
    asked = [t for t in store.transitions_of(connection, job_id) if t.to_state == "stopping"]
    return asked[-1].actor if asked else ACTOR


def main_metric(kind: str) -> str | None:
    """The metric of the sparkline, or None for a kind that is not known (any more)."""
    try:
        metrics = algorithm(kind).metrics
    except Problem:
        return None
    return metrics[0] if metrics else None


def last_values(kind: str, latest: dict[str, tuple[int, float]]) -> dict[str, float | None]:
    """The last value of each metric, those that matter first; NaN and infinities become None, as JSON knows neither."""
    try:
        first = [m for m in algorithm(kind).metrics if m in latest]
    except Problem:
        first = []
    names = list(dict.fromkeys([*first, *sorted(latest)]))[:LATEST]
    return {name: as_json(latest[name][1]) for name in names}


def as_json(value: Any) -> Any:
    """The same value with None for every NaN and infinity in it: JSON knows neither, and some databases refuse them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k): as_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(v) for v in value]
    return value
