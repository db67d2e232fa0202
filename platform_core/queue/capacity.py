"""What this host gives to jobs right now: its cores, its memory, its GPUs, who reserved them, whether it is drained."""

from __future__ import annotations

import psutil

from platform_core.clock import now
from platform_core.environment.machine import memory_bytes, usable_cores
from platform_core.errors import Text, text
from platform_core.hosts.devices import Gpu, Snapshot
from platform_core.hosts.history import latest
from platform_core.hosts.nvml import read_gpus
from platform_core.hosts.place import this_host
from platform_core.hosts.service import Drain, drained, reserved
from platform_core.hosts.whose import named
from platform_core.queue.placement import Capacity
from platform_core.workspace.service import Workspace


def capacity(workspace: Workspace) -> Capacity:
    """The host as it is now, but for what jobs hold, which is at most some seconds old; a few milliseconds."""
    gpus, trouble = read_gpus()
    total, last = memory_bytes(), _last_seen(workspace)
    seen = Snapshot(
        this_host(), now(), gpus=named(gpus, _of_jobs(last)), memory_total=total,
        jobs=last.jobs if last is not None else {},
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


def _last_seen(workspace: Workspace) -> Snapshot | None:
    """What the sampler saw last; None when that was too long ago."""
    newest = latest(workspace)
    return newest.snapshot if newest is not None and newest.fresh else None


def _of_jobs(seen: Snapshot | None) -> dict[int, str]:
    """Pid → job on GPUs. A runner that was forked from the warm parent does not tell its job in its environment."""
    found = [p for gpu in (seen.gpus if seen is not None else ()) for p in gpu.processes]
    return {process.pid: process.job_id for process in found if process.job_id}


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
