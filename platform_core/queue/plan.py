"""What the supervisor does next with the queue, and why each job that does not start waits."""

from __future__ import annotations

from dataclasses import dataclass, field

from platform_core.errors import Text, text
from platform_core.queue.line import Entry, Line
from platform_core.queue.placement import Capacity, Lack, Room, room


@dataclass(frozen=True)
class Start:
    """A job that may start now, and the GPUs (UUIDs) that it gets."""

    job: Entry
    gpus: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """Who starts now, in order, and what each other ready job misses."""

    starts: tuple[Start, ...] = ()
    lacks: dict[str, Lack] = field(default_factory=dict)


def plan(line: Line, capacity: Capacity) -> Plan:
    """Let in jobs in their order as long as they fit.

    A job that misses what our own jobs hold keeps what is free of it, so that a big one gets its turn; those behind it
    pass where they take nothing that it waits for. They do not pass by their time limit: running jobs end before their
    limits, and the big job would then wait for those that passed. A job that misses what others hold (another
    program's GPU, a reservation) keeps nothing: nobody knows when that is given back.
    """
    free, kept = room(capacity, line.running), room(capacity, line.running)
    starts: list[Start] = []
    lacks: dict[str, Lack] = {}
    for job in line.waiting:
        if not line.ready(job):
            continue
        if not kept.cores and kept.behind:
            lacks[job.id] = Lack("turn", True, behind(kept.behind))
            continue
        found = kept.lack(job)
        if not isinstance(found, Lack):
            starts.append(Start(job, found))
            free.take(job, found)
            kept.take(job, found)
            continue
        lack = lacks[job.id] = _really(job, found, free, kept)
        if lack.ours:
            kept.keep(job, lack)
    return Plan(tuple(starts), lacks)


def behind(name: str) -> Text:
    """Why a job waits for which there would be room."""
    return text("Waits for its turn: “{name}” is before it, and what is free is kept for that.", name=name)


def _really(job: Entry, found: Lack, free: Room, kept: Room) -> Lack:
    """What it misses without what is kept for others, or that it is behind those."""
    if not kept.behind:
        return found
    without = free.lack(job)
    return without if isinstance(without, Lack) else Lack("turn", True, behind(kept.behind))
