"""`lathe queue …`: who waits for what, in which order, and since when; change the order."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, cast

import click

from app.commands.options import Commands, verb, workspace
from app.commands.printing import ago, plain, show, show_json, table
from platform_core.clock import now
from platform_core.durations import exact
from platform_core.errors import Problem
from platform_core.jobs import service, supervision
from platform_core.queue import ordering
from platform_core.queue.line import Entry
from platform_core.queue.ordering import View, Where
from platform_core.queue.priority import PRIORITIES, priority_of
from platform_core.queue.waiting import Wait, seconds_left
from platform_core.workspace.service import Workspace

UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
LATER = re.compile(r"\+?\s*(\d+(?:\.\d+)?)\s*(s|min|m|h|d)")
GIB = 2**30


@click.group("queue", cls=Commands, help="See who waits and why; change the order of the queue.")
def command() -> None:
    """An id may be shortened to its last four characters where only one job fits."""


def moment(value: str) -> float | None:
    """Seconds since the epoch for "+30m", "2h", "18:30", "2026-12-24 18:00"; None for "now". Raises Problem."""
    value = value.strip()
    if value.lower() in ("now", "none", ""):
        return None
    span = LATER.fullmatch(value)
    if span:
        return now() + float(span[1]) * UNITS[span[2]]
    here = datetime.fromtimestamp(now()).astimezone()
    try:
        if re.fullmatch(r"\d{1,2}:\d{2}", value):
            hour, minute = map(int, value.split(":"))
            at = here.replace(hour=hour, minute=minute, second=0, microsecond=0).timestamp()
            return at if at > now() else at + 86_400
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=here.tzinfo)).timestamp()
    except ValueError as error:
        raise Problem(
            "“{value}” is no time: write +30m, 2h, 18:30 or 2026-12-24T18:00, or now.", value=value
        ) from error


@command.command("list")
@verb
def list_(as_json: bool) -> None:
    """List what runs on which slots, and who waits: in order, with the reason and the expected start."""
    place = workspace()
    seen = ordering.view(place)
    if as_json:
        show_json(_as_json(seen))
        return
    for line in _slots(seen):
        show(line)
    if seen.capacity.drained is not None:
        show(plain(seen.capacity.drained))
    if not seen.line.waiting:
        show("Nobody waits.")
        return
    headers = ["#", "ID", "NAME", "CLASS", "OWNER", "WANTS", "START", "WHY"]
    rows = [_row(number, job, seen.waits[job.id]) for number, job in enumerate(seen.line.waiting, 1)]
    for line in table(headers, rows):
        show(line)
    _without_supervisor(place)


def _slots(seen: View) -> list[str]:
    have, running = seen.capacity, seen.line.running
    taken = sum(have.share(job) for job in running)
    memory = sum(job.memory_bytes for job in running)
    lines = [
        f"{taken} of {have.cpu_slots} CPU cores, {memory / GIB:.1f} of {have.memory / GIB:.1f} GiB of memory taken"
    ]
    names = {uuid: job.name for job in running for uuid in job.devices}
    for gpu in have.gpus:
        who = f"“{names[gpu.uuid]}”" if gpu.uuid in names else "reserved" if gpu.uuid in have.reserved else "free"
        used, total = gpu.memory_used / GIB, gpu.memory_total / GIB
        lines.append(f"GPU {gpu.index} {gpu.name}: {who}, {used:.1f} of {total:.1f} GiB used")
    for job in running:
        low, high = seconds_left(job, seen.line.time)
        left = "" if math.isinf(high) else f", {exact(low)} to {exact(high)} left"
        lines.append(f"{job.state}: {job.name} ({job.id}) of {job.owner}: {wants(job)}{left}")
    return [plain(line) for line in lines]


def _row(number: int, job: Entry, wait: Wait) -> list[object]:
    by_hand = "*" if job.position is not None else ""
    return [f"{number}{by_hand}", job.id, job.name, priority_of(job.priority), job.owner, wants(job),
            str(wait.expected), str(wait.reason)]  # fmt: skip


def wants(job: Entry) -> str:
    """What a job asks for in one line."""
    parts = [f"{job.cpu_slots} core{'s' if job.cpu_slots > 1 else ''}", f"{job.memory_bytes / GIB:.1f} GiB"]
    if job.gpu_indexes:
        parts.append(f"GPU {'+'.join(map(str, job.gpu_indexes))} with {job.gpu_memory_bytes / GIB:.1f} GiB")
    elif job.gpus:
        parts.append(f"{job.gpus} GPU{'s' if job.gpus > 1 else ''} of {job.gpu_memory_bytes / GIB:.1f} GiB")
    return ", ".join(parts)


def _as_json(seen: View) -> dict[str, Any]:
    def entry(job: Entry) -> dict[str, Any]:
        keys = ("id", "name", "state", "owner", "cpu_slots", "memory_bytes", "gpus", "gpu_indexes", "gpu_memory_bytes")
        return {k: getattr(job, k) for k in keys} | {"priority": priority_of(job.priority)}

    def waiting(job: Entry) -> dict[str, Any]:
        wait = seen.waits[job.id]
        more = {"by_hand": job.position is not None, "queued_at": job.queued_at, "not_before": job.not_before}
        return entry(job) | more | wait_json(wait)

    return {
        "cpu_slots": seen.capacity.cpu_slots,
        "memory_bytes": seen.capacity.memory,
        "gpus": [asdict(gpu) for gpu in seen.capacity.gpus],
        "running": [entry(job) | {"gpu_uuids": list(job.devices)} for job in seen.line.running],
        "waiting": [waiting(job) for job in seen.line.waiting],
    }


def wait_json(wait: Wait) -> dict[str, Any]:
    """Why a job waits; seconds until its start, null where nobody can know."""
    low, high = (None if math.isinf(s) else round(s, 1) for s in (wait.low, wait.high))
    return {"why": str(wait.reason), "expected": str(wait.expected), "least_seconds": low, "most_seconds": high}


@command.command("why")
@click.argument("job_id", metavar="ID")
@verb
def why(job_id: str, as_json: bool) -> int:
    """Say in one sentence why a job waits, and when it is likely to start."""
    place = workspace()
    job = service.get(place, job_id)
    wait = ordering.why(place, job.id)
    if wait is None:
        raise Problem("“{name}” does not wait in the queue: it is {state}.", name=job.name, state=job.state)
    if as_json:
        show_json({"id": job.id} | wait_json(wait))
        return 0
    show(plain(f"{wait.reason}"))
    show(f"Expected start: {wait.expected}. Waiting since {ago(now() - (job.queued_at or job.since))}.")
    _without_supervisor(place)
    return 0


@command.command("priority")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.argument("priority", type=click.Choice(PRIORITIES), metavar="CLASS")
@verb
def priority(ids: tuple[str, ...], priority: str, as_json: bool) -> None:
    """Put jobs into another class: urgent, high, normal, low or idle. A higher class always goes first."""
    place = workspace()
    jobs = [service.get(place, job_id) for job_id in ids]
    ordering.set_priority(place, [job.id for job in jobs], priority)
    _told(place, [job.id for job in jobs], as_json)


@command.command("move")
@click.argument("job_id", metavar="ID")
@click.option("--top", "where", flag_value="top", help="Before all others of its class.")
@click.option("--up", "where", flag_value="up", help="Before the one that is before it.")
@click.option("--down", "where", flag_value="down", help="Behind the one that is behind it.")
@click.option("--bottom", "where", flag_value="bottom", help="Behind all others of its class.")
@click.option("--fair", "where", flag_value="fair", help="Back to its fair place.")
@click.option("--before", metavar="ID", help="Before this job, in its class.")
@click.option("--after", metavar="ID", help="Behind this job, in its class.")
@verb
def move(job_id: str, where: str | None, before: str | None, after: str | None, as_json: bool) -> None:
    """Place a job by hand; it then goes before those that wait in fair order."""
    given = [w for w in (where, "before" if before else None, "after" if after else None) if w]
    if len(given) != 1:
        raise click.UsageError("Say one place: --top, --up, --down, --bottom, --before ID, --after ID or --fair.")
    place = workspace()
    job = service.get(place, job_id)
    other = service.get(place, before or after or "").id if before or after else ""
    ordering.move(place, job.id, cast(Where, given[0]), other)
    _told(place, [job.id], as_json)


@command.command("postpone")
@click.argument("job_id", metavar="ID")
@click.argument("time", metavar="TIME")
@verb
def postpone(job_id: str, time: str, as_json: bool) -> None:
    """Start a job not before a time: +30m, 2h, 18:30, 2026-12-24T18:00; `now` lets it start when it can."""
    place = workspace()
    job = service.get(place, job_id)
    ordering.postpone(place, job.id, moment(time))
    _told(place, [job.id], as_json)


def _told(place: Workspace, ids: Sequence[str], as_json: bool) -> None:
    seen = ordering.view(place)
    order = {job.id: number for number, job in enumerate(seen.line.waiting, 1)}
    found = [service.get(place, job_id) for job_id in ids]
    if as_json:
        show_json([
            {"id": j.id, "priority": priority_of(j.priority), "place": order.get(j.id), "not_before": j.not_before}
            | (wait_json(seen.waits[j.id]) if j.id in seen.waits else {})
            for j in found
        ])  # fmt: skip
        return
    for job in found:
        where = f"number {order[job.id]} of {len(order)}" if job.id in order else job.state
        why = f" {seen.waits[job.id].reason}" if job.id in seen.waits else ""
        show(plain(f"{job.name} ({job.id}): {priority_of(job.priority)}, {where}.{why}"))


def _without_supervisor(place: Workspace) -> None:
    if not supervision.is_alive(place.home):
        show("No supervisor runs, so that nothing starts: lathe supervisor start")
