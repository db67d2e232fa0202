"""The queue drawn: which job has which cores, memory and GPUs, and the line of those that wait, which can be ordered.

Every value is drawn as text. A refresh changes only what changed, so that focus stays and a drag is not broken.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from app.format import duration, moment
from app.state import kind_title
from app.words import _, say
from platform_core.clock import now
from platform_core.durations import coarse
from platform_core.hosts.devices import Gpu
from platform_core.jobs.looks import colour_of
from platform_core.queue.line import Entry, Runs
from platform_core.queue.ordering import View
from platform_core.queue.priority import PRIORITIES, TITLES, priority_of
from platform_core.queue.waiting import Wait, seconds_left

STATIC = Path(__file__).with_name("static")
GIB = 2**30
LATER = {"600": 600.0, "3600": 3600.0, "28800": 28_800.0, "86400": 86_400.0}
"""Seconds by which a job can be put off from its row."""

_slots = st.components.v2.component(
    "lathe_slots",
    html='<div class="root slots"></div>',
    css=(STATIC / "marks.css").read_text("utf-8") + (STATIC / "slots.css").read_text("utf-8"),
    js=(STATIC / "slots.js").read_text("utf-8"),
)
_line = st.components.v2.component(
    "lathe_line",
    html='<div class="root line"><ol></ol><div class="said" role="status" aria-live="polite"></div></div>',
    css=(STATIC / "marks.css").read_text("utf-8") + (STATIC / "line.css").read_text("utf-8"),
    js=(STATIC / "line.js").read_text("utf-8"),
)


@dataclass(frozen=True)
class Wish:
    """What a person just did with one row: moved it, gave it a class, put it off, or opened it."""

    verb: str
    job_id: str
    value: str
    number: int


def draw_slots(seen: View) -> str | None:
    """Draw what runs on which slots; the id of a job that was just pressed."""
    result = _slots(key="queue.slots", data={"bars": _bars(seen)}, on_open_change=_nothing)
    return result.open if isinstance(result.open, str) else None


def draw_line(jobs: list[Entry], waits: Mapping[str, Wait], first: int, total: int) -> Wish | None:
    """Draw a page of the waiting line that begins at number `first`; what a person just did with it."""
    result = _line(
        key="queue.line",
        data={
            "rows": [_row(job, waits[job.id], number) for number, job in enumerate(jobs, first)],
            "total": total,
            "classes": [{"value": p, "text": say(TITLES[p])} for p in PRIORITIES],
            "later": _later_choices(),
            "words": _words(),
        },
        on_wish_change=_nothing,
    )
    told = result.wish
    if not isinstance(told, dict):
        return None
    number = told.get("number")
    verb, job_id, value = (str(told.get(k) or "") for k in ("verb", "id", "value"))
    return Wish(verb, job_id, value, number if isinstance(number, int) else 0) if job_id else None


def _row(job: Entry, wait: Wait, number: int) -> dict[str, Any]:
    return {
        "id": job.id,
        "number": number,
        "name": job.name,
        "href": f"monitor?job={job.id}",
        "small": f"{kind_title(job.kind)} · {job.owner}",
        "since": _("for {time}", time=say(coarse(max(0.0, now() - job.queued_at)))),
        "exact": moment(job.queued_at),
        "priority": priority_of(job.priority),
        "hand": job.position is not None,
        "wants": wants(job),
        "why": say(wait.reason),
        "start": say(wait.expected),
        "later": job.not_before is not None,
    }


def wants(job: Entry) -> str:
    """What a job asks for, short: "2 cores · 1.4 GiB · 1 GPU of 20 GiB"."""
    cores = _("1 core") if job.cpu_slots == 1 else _("{n} cores", n=job.cpu_slots)
    parts = [cores, f"{job.memory_bytes / GIB:.1f} GiB"]
    if job.gpus and job.gpu_indexes:
        parts.append(_("GPU {n}", n=", ".join(map(str, job.gpu_indexes))))
    elif job.gpus and job.gpu_memory_bytes:
        parts.append(_("{n} GPU of {memory} GiB", n=job.gpus, memory=f"{job.gpu_memory_bytes / GIB:.0f}"))
    elif job.gpus:
        parts.append(_("{n} GPU", n=job.gpus))
    return " · ".join(parts)


def _bars(seen: View) -> list[dict[str, Any]]:
    have, running = seen.capacity, seen.line.running
    cores = [_part(job, have.share(job), _("{n} cores", n=have.share(job)), seen) for job in running]
    memory = [_part(job, job.memory_bytes, _("{n} GiB asked for", n=f"{job.memory_bytes / GIB:.1f}"), seen)
              for job in running]  # fmt: skip
    bars = [_bar(_("CPU cores"), cores, have.cpu_slots, _taken(sum(p["size"] for p in cores), have.cpu_slots, ""))]
    if have.memory:
        bars.append(_memory_bar(seen, memory))
    by_gpu = {uuid: job for job in running for uuid in job.devices}
    return bars + [_gpu_bar(gpu, by_gpu.get(gpu.uuid), seen) for gpu in have.gpus]


def _bar(title: str, parts: list[dict[str, Any]], total: float, said: str, note: str = "") -> dict[str, Any]:
    return {"title": title, "parts": parts, "total": total, "said": said, "note": note}


def _taken(part: float, whole: float, unit: str) -> str:
    shown = f"{part:.1f} / {whole:.1f} {unit}" if unit else f"{part:.0f} / {whole:.0f}"
    return shown.strip()


def _memory_bar(seen: View, parts: list[dict[str, Any]]) -> dict[str, Any]:
    have = seen.capacity
    used = sum(part["size"] for part in parts)
    snapshot = seen.capacity.snapshot
    foreign = 0.0
    if snapshot is not None and snapshot.memory_total:
        held = sum(snapshot.jobs.get(job.id, {}).get("memory", 0.0) for job in seen.line.running)
        foreign = max(0.0, min(snapshot.memory_total - snapshot.memory_available - held, have.memory - used))
    if foreign >= 0.01 * have.memory:
        parts = [*parts, _others(foreign, _("other programs"), f"{foreign / GIB:.1f} GiB")]
    return _bar(_("Memory"), parts, have.memory, _taken((used + foreign) / GIB, have.memory / GIB, "GiB"))


def _gpu_bar(gpu: Gpu, job: Runs | None, seen: View) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    foreign = [p for p in gpu.processes if p.job_id is None]
    held = sum(p.memory_bytes or 0 for p in foreign)
    ours = max(0, gpu.memory_used - held)
    if job is not None:
        parts.append(_part(job, max(ours, gpu.memory_total // 50), f"{ours / GIB:.1f} GiB", seen))
    elif not foreign and ours >= 0.01 * gpu.memory_total:
        parts.append(_others(ours, _("in use"), f"{ours / GIB:.1f} GiB"))
    for process in foreign:
        who = f"{process.name or '?'} ({process.user + ', ' if process.user else ''}{process.pid})"
        parts.append(_others(process.memory_bytes or 0, who, f"{(process.memory_bytes or 0) / GIB:.1f} GiB"))
    busy = "" if gpu.utilization is None else f" · {gpu.utilization:.0f} %"
    said = _taken(gpu.memory_used / GIB, gpu.memory_total / GIB, "GiB") + busy
    reserved = seen.capacity.reserved.get(gpu.uuid)
    note = _("reserved: {who}", who=reserved) if reserved is not None else job.name if job is not None else ""
    made = _bar(f"GPU {gpu.index} · {gpu.name}", parts, gpu.memory_total, said, note)
    return made | {"reserved": reserved is not None}


def _part(job: Runs, size: float, amount: str, seen: View) -> dict[str, Any]:
    low, high = seconds_left(job, seen.line.time)
    left = "" if math.isinf(high) else _(", {low} to {high} left", low=duration(low), high=duration(high))
    tip = f"{job.name}: {amount}{left}"
    return {"id": job.id, "name": job.name, "size": size, "colour": colour_of(job.id), "tip": tip}


def _others(size: float, name: str, amount: str) -> dict[str, Any]:
    return {"id": "", "name": name, "size": size, "colour": -1, "tip": f"{name}: {amount}"}


def _later_choices() -> list[dict[str, str]]:
    return [
        {"value": "", "text": _("Start later…")},
        {"value": "600", "text": _("in 10 min")},
        {"value": "3600", "text": _("in 1 h")},
        {"value": "28800", "text": _("in 8 h")},
        {"value": "86400", "text": _("in 24 h")},
        {"value": "now", "text": _("as soon as it can")},
    ]


def _words() -> dict[str, str]:
    return {
        "top": _("To the top of its class"),
        "up": _("One up"),
        "down": _("One down"),
        "bottom": _("To the end of its class"),
        "fair": _("Back to its fair place"),
        "hand": _("placed by hand"),
        "drag": _("Drag to another place; the arrows at the right do the same"),
        "priority": _("Class"),
        "later": _("Start later"),
        "start": _("Start"),
        "wants": _("Asks for"),
        "why": _("Why it waits"),
        "job": _("Job"),
        "order": _("Order"),
    }


def _nothing() -> None:
    """What was done is read from the component's value."""
