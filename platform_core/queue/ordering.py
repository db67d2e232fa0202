"""Verbs that change the order of the queue: priority class, place by hand, start later. Each can be undone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from sqlalchemy import update

from platform_core.clock import now
from platform_core.database.engine import reading, writing
from platform_core.database.tables import jobs
from platform_core.errors import Problem
from platform_core.jobs import store
from platform_core.jobs.states import STARTABLE, word
from platform_core.jobs.store import Job
from platform_core.queue import service as queue
from platform_core.queue.capacity import capacity
from platform_core.queue.fair_share import UsageCounter
from platform_core.queue.line import Entry, Line, read_line
from platform_core.queue.placement import Capacity
from platform_core.queue.plan import Plan, plan
from platform_core.queue.priority import rank
from platform_core.queue.waiting import Wait, waits
from platform_core.workspace.service import Workspace

Where = Literal["top", "up", "down", "bottom", "before", "after", "fair"]


@dataclass(frozen=True)
class Place:
    """Where a job stood, to put it back."""

    job_id: str
    priority: int
    position: float | None
    not_before: float | None


@dataclass(frozen=True)
class View:
    """The queue as people see it: who waits in which order and why, who runs on what."""

    line: Line
    capacity: Capacity
    plan: Plan
    waits: dict[str, Wait]


@cache
def _counter_of(home: Path) -> UsageCounter:
    return UsageCounter()


def view(workspace: Workspace, have: Capacity | None = None) -> View:
    """The queue now, with a reason and an expected start for each job that waits."""
    have = have or capacity(workspace)
    with reading(workspace.engine) as connection:
        line = read_line(connection, _counter_of(workspace.home).usage(connection, queue.whole(have)))
    made = plan(line, have)
    return View(line, have, made, waits(line, have, made))


def why(workspace: Workspace, job_id: str) -> Wait | None:
    """Why one job waits; None when it is not in the queue."""
    return view(workspace).waits.get(job_id)


def set_priority(workspace: Workspace, job_ids: Sequence[str], priority: str) -> list[Place]:
    """Put jobs into another class, at their fair place there; where they stood before."""
    number, before = rank(priority), []
    with writing(workspace.engine) as connection:
        for job_id in job_ids:
            job = store.get_job(connection, job_id)
            before.append(_place(_waits(job, job_id)))
            store.update_job(connection, job_id, priority=number, position=None)
    return before


def postpone(workspace: Workspace, job_id: str, not_before: float | None) -> list[Place]:
    """Start a job not before a time (seconds since the epoch), or, with None, as soon as it can; where it stood."""
    with writing(workspace.engine) as connection:
        job = _waits(store.get_job(connection, job_id), job_id)
        later = not_before if not_before is not None and not_before > now() else None
        store.update_job(connection, job.id, not_before=later)
    return [_place(job)]


def move(workspace: Workspace, job_id: str, where: Where, other: str = "") -> list[Place]:
    """Place a queued job by hand; where all that changed stood before.

    `top`, `bottom`: of its class. `up`, `down`: past its neighbour, and into that one's class. `before`, `after`:
    `other`, into its class. `fair`: no place by hand any more. Whoever stands before it in the class then keeps that
    place, too, so that the order is the one that a person saw.
    """
    have = capacity(workspace)
    with writing(workspace.engine) as connection:
        line = read_line(connection, _counter_of(workspace.home).usage(connection, queue.whole(have)))
        order = list(line.waiting)
        at = next((i for i, e in enumerate(order) if e.id == job_id), None)
        if at is None:
            raise _not_waiting(store.get_job(connection, job_id), job_id)
        me = order.pop(at)
        if where == "fair":
            store.update_job(connection, me.id, position=None)
            return [_place(me)]
        to, priority = _target(order, at, me, where, other)
        order.insert(to, me)
        placed = _up_to(order, to, priority)
        changed = [e for e, position in placed if e.position != position or e.id == me.id]
        for entry, position in placed:
            if entry.position != position or entry.id == me.id:
                values = {"position": position, "priority": priority}
                connection.execute(update(jobs).where(jobs.c.id == entry.id).values(**values))
    return [_place(e) for e in changed]


def put_back(workspace: Workspace, places: Sequence[Place]) -> None:
    """Undo: jobs that still wait go back to where they stood."""
    with writing(workspace.engine) as connection:
        for place in places:
            values = {"priority": place.priority, "position": place.position, "not_before": place.not_before}
            waiting = jobs.c.state.in_(["queued", *STARTABLE])
            connection.execute(update(jobs).where(jobs.c.id == place.job_id, waiting).values(**values))


def _target(order: list[Entry], at: int, me: Entry, where: Where, other: str) -> tuple[int, int]:
    """Index in `order`, which lacks `me`, and class."""
    if where in ("before", "after"):
        found = next((i for i, e in enumerate(order) if e.id == other), None)
        if found is None:
            raise Problem("Job {id} does not wait in the queue: choose another place.", id=other)
        return found + (where == "after"), order[found].priority
    if where == "up":
        return (at - 1, order[at - 1].priority) if at else (0, me.priority)
    if where == "down":
        return (at + 1, order[at].priority) if at < len(order) else (at, me.priority)
    mine = [i for i, e in enumerate(order) if e.priority == me.priority]
    if not mine:
        return at, me.priority
    return (mine[0] if where == "top" else mine[-1] + 1), me.priority


def _up_to(order: list[Entry], last: int, priority: int) -> list[tuple[Entry, float]]:
    """Positions for the members of a class up to the one at `last`; and those placed by hand behind it."""
    members = [(i, e) for i, e in enumerate(order) if e.priority == priority or i == last]
    kept = [e for i, e in members if i <= last or e.position is not None]
    return [(entry, float(number)) for number, entry in enumerate(kept, 1)]


def _waits(job: Job | None, job_id: str) -> Job:
    if job is None or job.deleted_at is not None or job.state not in ("queued", *STARTABLE):
        raise _not_waiting(job, job_id)
    return job


def _not_waiting(job: Job | None, job_id: str) -> Problem:
    if job is None:
        return Problem("There is no job {id}: `lathe jobs list` shows all.", id=job_id)
    return Problem("“{name}” is {state}: only a job that waits has a place.", name=job.name, state=word(job.state))


def _place(job: Job | Entry) -> Place:
    return Place(job.id, job.priority, job.position, job.not_before)
