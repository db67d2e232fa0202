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
from platform_core.jobs.placement import Capacity
from platform_core.workspace.service import Workspace


def capacity(workspace: Workspace) -> Capacity:
    """The host as it is now, but for what jobs hold, which is at most some seconds old; a few milliseconds."""
    gpus, trouble = read_gpus()
    total = memory_bytes()
    seen = Snapshot(
        this_host(), now(), gpus=named(gpus), memory_total=total, jobs=_memory_of_jobs(workspace),
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


def _memory_of_jobs(workspace: Workspace) -> dict[str, dict[str, float]]:
    """What each live job holds, as the sampler saw it last; nothing when that was too long ago."""
    newest = latest(workspace)
    return newest.snapshot.jobs if newest is not None and newest.fresh else {}


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
