"""What this host gives to jobs right now: its cores, its memory, its GPUs, who reserved them, whether it is drained."""

from __future__ import annotations

from dataclasses import replace

import psutil

from platform_core.clock import now
from platform_core.environment.machine import memory_bytes, usable_cores
from platform_core.errors import Text, text
from platform_core.hosts.devices import Gpu, GpuProcess, Snapshot
from platform_core.hosts.nvml import read_gpus
from platform_core.hosts.service import Drain, drained, reserved, this_host
from platform_core.jobs.placement import Capacity
from platform_core.workspace.service import Workspace


def capacity(workspace: Workspace) -> Capacity:
    """The host as it is now; a few milliseconds."""
    gpus, trouble = read_gpus()
    total = memory_bytes()
    seen = Snapshot(
        this_host(), now(), gpus=tuple(named(gpu) for gpu in gpus), memory_total=total,
        memory_available=min(total, psutil.virtual_memory().available), trouble=trouble,
    )  # fmt: skip
    drain = drained(workspace)
    return Capacity(
        usable_cores(),
        memory=total,
        snapshot=seen,
        reserved={uuid: found.actor for uuid, found in reserved(workspace).items()} if gpus else {},
        drained=None if drain is None else _drained(drain),
    )


def gpus_here() -> tuple[Gpu, ...]:
    """The GPUs of this host as they are now; empty where there are none or they can't be read."""
    return read_gpus()[0]


def named(gpu: Gpu) -> Gpu:
    """The GPU with name, user and job of each process on it, as far as this process may look at it."""
    return replace(gpu, processes=tuple(_named(process) for process in gpu.processes))


def _named(process: GpuProcess) -> GpuProcess:
    if process.job_id or process.name:
        return process
    try:
        seen = psutil.Process(process.pid)
        name, user = seen.name(), seen.username()
    except psutil.Error:
        return process
    try:
        job_id = seen.environ().get("LATHE_JOB")
    except (psutil.Error, OSError):
        job_id = None
    return replace(process, name=name, user=user, job_id=job_id)


def _drained(drain: Drain) -> Text:
    if drain.reason:
        return text(
            "{host} starts no new jobs: {who} drained it ({reason}). It goes on when it is undrained.",
            host=drain.host,
            who=drain.actor,
            reason=drain.reason,
        )
    return text(
        "{host} starts no new jobs: {who} drained it. It goes on when it is undrained.",
        host=drain.host,
        who=drain.actor,
    )
