"""What people decide about a host: GPUs kept back from jobs, and a host that starts no new ones."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, insert, select

from platform_core.clock import now
from platform_core.database.engine import reading, writing
from platform_core.database.tables import hosts, reservations
from platform_core.errors import Problem
from platform_core.hosts.decisions import note
from platform_core.hosts.place import this_host
from platform_core.workspace.service import Workspace

LONGEST_REASON = 500


@dataclass(frozen=True)
class Reservation:
    """A GPU (UUID) that no job of ours is given, for whom and why; those that run on it go on."""

    gpu: str
    host: str
    actor: str
    reason: str
    since: float


@dataclass(frozen=True)
class Drain:
    """A host that starts no new jobs; those that run go on."""

    host: str
    actor: str
    reason: str
    since: float


def reserved(workspace: Workspace) -> dict[str, Reservation]:
    """All reservations by the GPU's UUID."""
    with reading(workspace.engine) as connection:
        rows = connection.execute(select(reservations)).all()
    return {r.gpu: Reservation(r.gpu, r.host, r.actor, r.reason or "", r.since) for r in rows}


def reserve(workspace: Workspace, gpu: str, actor: str, reason: str = "", host: str = "") -> Reservation:
    """Keep a GPU (UUID) from new jobs. Raises Problem when somebody has it already."""
    made = Reservation(gpu, host or this_host(), actor, _checked(reason), now())
    with writing(workspace.engine) as connection:
        there = connection.execute(select(reservations).where(reservations.c.gpu == gpu)).first()
        if there is not None:
            raise Problem(
                "GPU {gpu} is reserved already, by {actor}: release it first, then reserve it anew.",
                gpu=gpu,
                actor=there.actor,
            )
        connection.execute(
            insert(reservations).values(gpu=gpu, host=made.host, actor=actor, reason=made.reason, since=made.since)
        )
    note(workspace, made.host, "reserve", actor, gpu, made.reason)
    return made


def release(workspace: Workspace, gpu: str, actor: str, reason: str = "") -> Reservation | None:
    """Give a GPU (UUID) back to jobs; returns what was undone, None when it was not reserved."""
    reason = _checked(reason)
    with writing(workspace.engine) as connection:
        there = connection.execute(select(reservations).where(reservations.c.gpu == gpu)).first()
        connection.execute(delete(reservations).where(reservations.c.gpu == gpu))
    if there is None:
        return None
    note(workspace, there.host, "release", actor, gpu, reason)
    return Reservation(there.gpu, there.host, there.actor, there.reason or "", there.since)


def drained(workspace: Workspace, host: str = "") -> Drain | None:
    """Since when and why a host (this one by default) starts no new jobs; None when it does."""
    with reading(workspace.engine) as connection:
        row = connection.execute(select(hosts).where(hosts.c.name == (host or this_host()))).first()
    if row is None or row.drained_at is None:
        return None
    return Drain(row.name, row.actor or "", row.reason or "", row.drained_at)


def drain(workspace: Workspace, host: str, actor: str, reason: str = "") -> Drain:
    """Let a host start no new jobs; again: who and why are changed, since when is kept."""
    before = drained(workspace, host)
    made = Drain(host, actor, _checked(reason), before.since if before is not None else now())
    with writing(workspace.engine) as connection:
        connection.execute(delete(hosts).where(hosts.c.name == host))
        connection.execute(
            insert(hosts).values(name=host, drained_at=made.since, actor=actor, reason=made.reason or None)
        )
    note(workspace, host, "drain", actor, reason=made.reason)
    return made


def undrain(workspace: Workspace, host: str, actor: str, reason: str = "") -> Drain | None:
    """Let a host start jobs again; returns what was undone, None when it did."""
    reason, before = _checked(reason), drained(workspace, host)
    with writing(workspace.engine) as connection:
        connection.execute(delete(hosts).where(hosts.c.name == host))
    if before is not None:
        note(workspace, host, "undrain", actor, reason=reason)
    return before


def _checked(reason: str) -> str:
    reason = " ".join(reason.split())
    if len(reason) > LONGEST_REASON:
        raise Problem(
            "The reason has {n} characters, at most {most} are kept: shorten it.", n=len(reason), most=LONGEST_REASON
        )
    return reason
