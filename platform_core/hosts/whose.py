"""Who uses a GPU: name, user and job of the processes that hold its memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import psutil

from platform_core.hosts.devices import Gpu, GpuProcess
from platform_core.jobs.processes import PROC


def named(gpus: tuple[Gpu, ...], jobs: Mapping[int, str] | None = None) -> tuple[Gpu, ...]:
    """The GPUs with names, users and jobs of their processes; `jobs` maps pids that are known to belong to one.

    A process of another namespace, such as a container's, has a pid that is not seen here: it stays without a name.
    """
    return tuple(replace(gpu, processes=tuple(_named(p, jobs or {}) for p in gpu.processes)) for gpu in gpus)


def job_of(pid: int) -> str | None:
    """The job for which a process was started, by its environment; None for others and where that can't be read."""
    try:
        variables = (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return None
    return next((v[10:].decode(errors="replace") for v in variables if v.startswith(b"LATHE_JOB=")), None)


def _named(process: GpuProcess, jobs: Mapping[int, str]) -> GpuProcess:
    name = user = ""
    try:
        seen = psutil.Process(process.pid)
        name = seen.name()
        user = seen.username()
    except (psutil.Error, OSError, KeyError):
        pass
    return replace(process, name=name, user=user, job_id=jobs.get(process.pid) or job_of(process.pid))
