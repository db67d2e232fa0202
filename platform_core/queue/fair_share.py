"""Whose turn it is: fair share between owners inside a priority class.

The owner who has had least of the machine goes next. What counts is the dominant share (Ghodsi et al. 2011, Dominant
Resource Fairness: the largest of one's shares of cores, memory and GPUs) times seconds, and it is forgotten with a
half-life of a day, as Slurm's multifactor priority does (PriorityDecayHalfLife). What an owner holds now counts as if
it went on for an hour, and so does each job that is let in before another: Hadoop's fair scheduler looks at what is
held now alone, and then a person with many short jobs is never full.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Integer, case, cast, func, select

from platform_core.clock import monotonic, now
from platform_core.database.tables import attempts, jobs
from platform_core.jobs.states import ACTIVE

HALF_LIFE = 86_400.0
FORGOTTEN = 7 * HALF_LIFE
STEP = HALF_LIFE / 4
COUNTED_FOR = 60.0
EXPECTED_RUN = 3600.0


class Asks(Protocol):
    """What a job asks of the machine, and where it stands."""

    @property
    def id(self) -> str: ...
    @property
    def owner(self) -> str: ...
    @property
    def priority(self) -> int: ...
    @property
    def position(self) -> float | None: ...
    @property
    def queued_at(self) -> float: ...
    @property
    def cpu_slots(self) -> int: ...
    @property
    def memory_bytes(self) -> int: ...
    @property
    def gpus(self) -> int: ...


@dataclass(frozen=True)
class Whole:
    """The whole machine, of which a job takes a share."""

    cores: int = 1
    memory: int = 0
    gpus: int = 0

    def share(self, cores: int, memory: int, gpus: int) -> float:
        """The dominant share, from 0 to 1."""
        parts = [cores / max(self.cores, 1)]
        parts += [memory / self.memory] if self.memory else []
        parts += [gpus / self.gpus] if self.gpus else []
        return min(max(parts), 1.0)


@dataclass(frozen=True)
class Usage:
    """Share-seconds of each owner up to `time`, decayed; of attempts that have ended."""

    whole: Whole = Whole()
    time: float = 0.0
    seconds: Mapping[str, float] = field(default_factory=dict)


class UsageCounter:
    """Counts usage anew only when an attempt has begun or ended, and now and then: it goes through a week of rows."""

    def __init__(self) -> None:
        self._last: tuple[float, frozenset[tuple[str, int]], Usage] | None = None

    def usage(self, connection: Connection, whole: Whole) -> Usage:
        """What each owner used, as `read_usage`."""
        query = select(jobs.c.id, jobs.c.attempt).where(jobs.c.state.in_(ACTIVE), jobs.c.deleted_at.is_(None))
        active = frozenset((job_id, number) for job_id, number in connection.execute(query))
        last = self._last
        if last is None or last[1] != active or last[2].whole != whole or monotonic() - last[0] >= COUNTED_FOR:
            self._last = last = (monotonic(), active, read_usage(connection, whole))
        return last[2]


def read_usage(connection: Connection, whole: Whole) -> Usage:
    """What each owner used in the last week, older use counting less (in steps of a quarter of the half-life)."""
    at = now()
    parts: list[Any] = [attempts.c.threads * 1.0 / max(whole.cores, 1)]
    parts += [jobs.c.memory_bytes * 1.0 / whole.memory] if whole.memory else []
    parts += [jobs.c.gpus * 1.0 / whole.gpus] if whole.gpus else []
    share = parts[0]
    for part in parts[1:]:
        share = case((part > share, part), else_=share)
    age = cast((at - attempts.c.ended_at) / STEP, Integer)
    query = (
        select(jobs.c.owner, age, func.sum(share * (attempts.c.ended_at - attempts.c.launched_at)))
        .join(jobs, jobs.c.id == attempts.c.job_id)
        .where(attempts.c.ended_at > at - FORGOTTEN, attempts.c.ended_at > attempts.c.launched_at)
        .group_by(jobs.c.owner, age)
    )
    found: dict[str, float] = {}
    for owner, steps, seconds in connection.execute(query):
        found[owner] = found.get(owner, 0.0) + seconds * 0.5 ** (max(0, steps) * STEP / HALF_LIFE)
    return Usage(whole, at, found)


Job = TypeVar("Job", bound=Asks)


def fair_order(waiting: Iterable[Job], running: Sequence[Asks], usage: Usage) -> list[Job]:
    """Who starts first: the higher class; in it those that a person placed, as placed; then fair share."""
    credit = dict(usage.seconds)
    for job in running:
        _charge(credit, usage.whole, job)
    classes: dict[int, list[Job]] = {}
    for job in waiting:
        classes.setdefault(job.priority, []).append(job)
    found: list[Job] = []
    for priority in sorted(classes, reverse=True):
        members = classes[priority]
        placed = sorted((j for j in members if j.position is not None), key=lambda j: (j.position, j.queued_at, j.id))
        for job in placed:
            _charge(credit, usage.whole, job)
        found += placed
        found += _fair([j for j in members if j.position is None], usage.whole, credit)
    return found


def _fair(members: list[Job], whole: Whole, credit: dict[str, float]) -> list[Job]:
    lanes: dict[str, list[Job]] = {}
    for job in sorted(members, key=lambda j: (j.queued_at, j.id), reverse=True):
        lanes.setdefault(job.owner, []).append(job)
    # equal use: who has waited longer
    turn = [(credit.get(owner, 0.0), lane[-1].queued_at, lane[-1].id, owner) for owner, lane in lanes.items()]
    heapq.heapify(turn)
    found: list[Job] = []
    while turn:
        owner = heapq.heappop(turn)[3]
        job = lanes[owner].pop()
        found.append(job)
        _charge(credit, whole, job)
        if lanes[owner]:
            following = lanes[owner][-1]
            heapq.heappush(turn, (credit[owner], following.queued_at, following.id, owner))
    return found


def _charge(credit: dict[str, float], whole: Whole, job: Asks) -> None:
    share = whole.share(job.cpu_slots, job.memory_bytes, job.gpus)
    credit[job.owner] = credit.get(job.owner, 0.0) + share * EXPECTED_RUN
