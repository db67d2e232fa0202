"""Processor, memory, disk and network of this host and of its jobs, as rates between two looks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from platform_core.clock import monotonic, now
from platform_core.environment.machine import existing, memory_bytes, usable_cores
from platform_core.hosts import nvml
from platform_core.hosts.devices import Snapshot
from platform_core.hosts.whose import named
from platform_core.jobs import processes
from platform_core.jobs.processes import Row

MEMBERS_EVERY = 10.0
"""Seconds after which the process table is read anew for the processes of jobs."""


@dataclass(frozen=True)
class Counters:
    """What the kernel has counted until `at` (monotonic seconds)."""

    at: float
    busy: float
    whole: float
    disk: tuple[float, float] | None
    net: tuple[float, float] | None


@dataclass
class Look:
    """What one look leaves to the next: counters, the processes of jobs, and the CPU seconds they had used."""

    counters: Counters | None = None
    members: dict[str, list[int]] = field(default_factory=dict)
    members_at: float = -MEMBERS_EVERY
    used: dict[str, dict[int, float]] = field(default_factory=dict)
    seen: dict[int, psutil.Process] = field(default_factory=dict)


def snapshot(host: str, home: Path, leaders: Mapping[str, int], look: Look) -> Snapshot:
    """The host now; `leaders` names the process of each live job, whose session is the job's. Updates `look`.

    Rates are None at the first look. Per job: cpu (percent of one core), rss (bytes, a page shared by several
    processes counts in each), processes, and gpu.<index>.memory (bytes) for each GPU that it uses.
    """
    before, after = look.counters, _counters()
    jobs = _jobs(leaders, look, after.at, before.at if before is not None else None)
    look.counters = after
    gpus, trouble = nvml.read_gpus()
    gpus = named(gpus, {pid: job for job, pids in look.members.items() for pid in pids})
    for gpu in gpus:
        for process in gpu.processes:
            if process.job_id in jobs and process.memory_bytes is not None:
                mine, key = jobs[process.job_id], f"gpu.{gpu.index}.memory"
                mine[key] = mine.get(key, 0.0) + process.memory_bytes
    total = memory_bytes()
    space = shutil.disk_usage(existing(home))
    rates: dict[str, Any] = {} if before is None else _rates(before, after)
    return Snapshot(
        host=host,
        time=now(),
        gpus=gpus,
        cores=usable_cores(),
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        memory_total=total,
        memory_available=min(total, psutil.virtual_memory().available),
        disk_total=space.total,
        disk_free=space.free,
        jobs=jobs,
        trouble=trouble,
        **rates,
    )


def _counters() -> Counters:
    times = psutil.cpu_times()
    whole = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    idle = times.idle + getattr(times, "iowait", 0.0)
    disk, net = psutil.disk_io_counters(), psutil.net_io_counters()
    return Counters(
        at=monotonic(),
        busy=whole - idle,
        whole=whole,
        disk=None if disk is None else (disk.read_bytes, disk.write_bytes),
        net=None if net is None else (net.bytes_recv, net.bytes_sent),
    )


def _rates(before: Counters, after: Counters) -> dict[str, float]:
    """Percent of all cores and bytes a second; what was counted anew meanwhile is left out."""
    seconds, whole = after.at - before.at, after.whole - before.whole
    found: dict[str, float] = {}
    if whole > 0:
        found["cpu"] = min(100.0, max(0.0, 100 * (after.busy - before.busy) / whole))
    pairs = ((("disk_read", "disk_write"), before.disk, after.disk), (("net_in", "net_out"), before.net, after.net))
    for names, old, new in pairs:
        if old is None or new is None or seconds <= 0:
            continue
        found |= {name: (b - a) / seconds for name, a, b in zip(names, old, new, strict=True) if b >= a}
    return found


def _jobs(leaders: Mapping[str, int], look: Look, at: float, before: float | None) -> dict[str, dict[str, float]]:
    if leaders.keys() != look.members.keys() or at - look.members_at >= MEMBERS_EVERY:
        look.members_at = at
        rows = [row for row in processes.table() if row.state not in "ZXx"] if leaders else []
        look.members = {job: _members(pid, rows) for job, pid in leaders.items()}
        kept = {pid for pids in look.members.values() for pid in pids}
        look.seen = {pid: process for pid, process in look.seen.items() if pid in kept}
    found: dict[str, dict[str, float]] = {}
    used: dict[str, dict[int, float]] = {}
    for job, pids in look.members.items():
        rss, mine, count = 0.0, {}, 0
        for pid in pids:
            try:
                process = look.seen.setdefault(pid, psutil.Process(pid))
                with process.oneshot():
                    times = process.cpu_times()
                    rss += process.memory_info().rss
                mine[pid] = times.user + times.system
                count += 1
            except (psutil.Error, OSError):
                look.seen.pop(pid, None)
        numbers = {"rss": rss, "processes": float(count)}
        old = look.used.get(job)
        if old is not None and before is not None and at > before:
            spent = sum(max(0.0, seconds - old[pid]) for pid, seconds in mine.items() if pid in old)
            numbers["cpu"] = 100 * spent / (at - before)
        used[job] = mine
        if count:
            found[job] = numbers
    look.used = used
    return found


def _members(leader: int, rows: list[Row]) -> list[int]:
    own = {row.pid for row in rows if leader in (row.pid, row.session, row.group)}
    return sorted(own.union(*(processes.descendants(pid, rows) for pid in own))) if own else []
